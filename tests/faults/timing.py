"""Scenarios of time: whatever clocks, logs and pulses do, the verdicts are those of the law."""

from __future__ import annotations

from stepwatch.streams.decode import ACTION, AUTHENTICATION
from tests.faults.backlog import backlog
from tests.faults.clocks import idle, no_pulses, producers_clocks, pulses_refused, workers_clock
from tests.faults.stage import Outcome, Scenario, Stage

_HOUR_MS = 3_600_000


async def much_evidence(stage: Stage) -> Outcome:
    """A day in which authentications are some twelve times as many as actions."""
    return await backlog(stage, more_actions=0, more_authentications=40_000)


async def much_acting(stage: Stage) -> Outcome:
    """A day in which actions are ten times as many as authentications."""
    return await backlog(stage, more_actions=40_000, more_authentications=0)


async def uneven(stage: Stage) -> Outcome:
    """Fetched in any order, in small batches, by workers that are killed in the middle."""
    kills = max(2, int(10 * stage.scale))
    worker = f"uneven={stage.seed}"
    return await backlog(
        stage, more_actions=3000, more_authentications=20_000, worker=worker, kills=kills, batch_records=200
    )


async def evidence_hours_later(stage: Stage) -> Outcome:
    """All evidence was appended 20 hours after it happened: every action had to be judged without it."""
    return await backlog(
        stage, more_actions=3000, more_authentications=20_000, late=AUTHENTICATION, late_ms=20 * _HOUR_MS
    )


async def actions_hours_later(stage: Stage) -> Outcome:
    """All actions were appended 20 hours after they happened: the evidence lay there long before."""
    return await backlog(stage, more_actions=3000, more_authentications=20_000, late=ACTION, late_ms=20 * _HOUR_MS)


SCENARIOS: dict[str, Scenario] = {
    "timing.producers_clocks": producers_clocks,
    "timing.workers_clock": workers_clock,
    "timing.idle": idle,
    "timing.no_pulses": no_pulses,
    "timing.pulses_refused": pulses_refused,
    "timing.backlog_of_much_evidence": much_evidence,
    "timing.backlog_of_much_acting": much_acting,
    "timing.backlog_uneven": uneven,
    "timing.evidence_hours_later": evidence_hours_later,
    "timing.actions_hours_later": actions_hours_later,
}
