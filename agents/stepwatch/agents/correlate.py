"""The correlate role: inputs in; audit, evidence, alerts, dead letters and state out (DESIGN section 7)."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any

from stepwatch.agents.app import RoleApp, build_app, run_app, run_role
from stepwatch.agents.deadman import Deadman, read_url
from stepwatch.agents.inputs import InputService
from stepwatch.agents.lateness import LOOK_S, Lateness
from stepwatch.agents.logs import configure_logs
from stepwatch.agents.policies import PolicyService
from stepwatch.agents.settings import Settings
from stepwatch.agents.takeover import Build
from stepwatch.agents.task import CorrelatorLike
from stepwatch.streams.sets import PolicySets

_OFFSETS_S = 5.0


def build_correlate(settings: Settings, build: Build | None = None) -> RoleApp:
    """The Faust app of the correlate role.

    Args:
        settings: of the process.
        build: makes a partition's correlator; default: `stepwatch.streams.correlator.Correlator`.
    """
    app = build_app("correlate", settings)
    channel: Any = app.channel(maxsize=0)

    def use(sets: PolicySets) -> None:
        for task in inputs.tasks:
            task.correlator.use(sets)

    def correlator(partition: int, restored: Iterable[tuple[bytes, bytes]]) -> CorrelatorLike:
        assert policies.sets is not None, "a partition is taken over after the policies were read"
        return _correlator(settings, policies.sets, partition, restored)

    policies = PolicyService(settings, app.health, use, beacon=app.beacon)
    inputs = InputService(settings, app.health, policies, channel.put, build or correlator, beacon=app.beacon)
    app.add(policies)
    app.add(inputs)

    @app.agent(channel)
    async def correlate(batches: Any) -> None:
        """Hand each batch to the task of its partition, which takes it and commits its effects."""
        async for batch in batches:
            batch.task.hand(batch)

    app.every(settings.pulse_ms / 1000, inputs.write_pulses)
    app.every(_OFFSETS_S, inputs.commit_offsets)
    app.every(LOOK_S, Lateness(app.health, lambda: inputs.tasks).look)
    if (url := read_url(settings)) is not None:
        app.add(Deadman(settings, app.health, lambda: inputs.tasks, url, beacon=app.beacon))

    return app


def _correlator(
    settings: Settings, sets: PolicySets, partition: int, restored: Iterable[tuple[bytes, bytes]]
) -> CorrelatorLike:
    from stepwatch.streams.correlator import Correlator

    correlator: CorrelatorLike = Correlator(
        partition=partition,
        partitions=settings.partitions,
        topics=settings.topics,
        sets=sets,
        restored=restored,
    )
    return correlator


def prepare(settings: Settings) -> None:
    """Set up log lines and memory for a process that runs this role."""
    configure_logs(settings)
    # A batch makes tens of thousands of small objects, none of them cyclic: the default of 700 costs a third.
    gc.set_threshold(200_000, 50, 100)


async def run_correlate(settings: Settings) -> int:
    """Run the role in the running event loop until it is told to stop or fails; returns the exit status."""
    prepare(settings)
    return await run_app(build_correlate(settings))


def main(settings: Settings) -> int:
    """Run the role as this process; returns the exit status."""
    prepare(settings)
    return run_role(build_correlate, settings)
