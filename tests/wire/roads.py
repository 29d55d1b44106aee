"""Short ways over a protected wire: one record there and back; a worker that judges."""

from __future__ import annotations

import time
from pathlib import Path

from stepwatch.agents.settings import Settings
from tests.live.harness import produce, read, with_topics
from tests.live.road import POLICY, Role, Town, assert_accounted, play, until_judged
from tests.wire.commands import run

SEED = 20
EVENTS = 60


async def round_trip(settings: Settings) -> None:
    """Create the topics, write a record, read it back."""
    await with_topics(settings)
    await produce(settings, settings.topics.actions, 1, [(b"k", b"v")])
    [record] = await read(settings, settings.topics.actions)
    assert (record.partition, record.key, record.value) == (1, b"k", b"v")


async def judged_end_to_end(settings: Settings, tmp: Path) -> str:
    """Topics by the command, events in, a worker that judges them, verdicts out; returns what was said.

    The verdicts are those of `replay`, and every record is accounted for once.
    """
    assert settings.policies_dir is not None
    (settings.policies_dir / "none.yaml").write_text(POLICY)
    created = run(settings, "topics create", STEPWATCH_LOG_LEVEL="debug")
    assert created.status == 0, created
    await play(settings, Town(SEED, time.time_ns() // 1000), EVENTS)
    worker = Role(settings.model_copy(update={"log_level": "debug"}), tmp / "worker.log", "correlate")
    try:
        rows = await until_judged(settings)
        await assert_accounted(settings, rows)
        assert len(rows) > EVENTS // 4
        assert worker.stop() == 0, worker.said
    finally:
        worker.kill()
    return created.out + created.err + worker.said
