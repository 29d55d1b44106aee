"""A day of log read at full speed: it ends as the live run would have, and pages nobody for what was proved in time."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from stepwatch.agents.settings import Settings
from stepwatch.streams.alerting import SOURCE_SILENCE
from tests.faults.day import DAY_MS, POLICY, Day, Said, laid, lay_down, read_live, shifted
from tests.faults.grounds import NOTIFY, ODD, verified
from tests.faults.stage import Actor, Outcome, Stage
from tests.live.harness import read, until
from tests.live.road import sets_of

_ALERT_ID = re.compile(r"al_[0-9a-f]{32}")


async def backlog(
    stage: Stage,
    *,
    more_actions: int,
    more_authentications: int,
    worker: str = "",
    kills: int = 0,
    late: str = "",
    late_ms: int = 0,
    **changes: Any,
) -> Outcome:
    """A day that lies in the log before the first worker starts, read at full speed.

    It must end with the alerts that the live run has open, and no alert may ever have been opened for an action that
    the live run never accused: those were proved in time.

    Args:
        stage: of the run.
        more_actions, more_authentications: how many of each are in the log beside the policed ones.
        worker: what is odd about it (`odd`); none: as shipped.
        kills: kill -9 of the worker while it reads.
        late, late_ms: a family whose whole log was appended so much later than its events happened.
        changes: of the settings.
    """
    # A feed that is alive but hours late is a silent source, whose alert bears the id of its last heartbeat: of the
    # last when it was seen, for a worker, and of the last of all, for a batch job. Here it is late, and not silent.
    policy = POLICY.replace("silent_after: 30m", "silent_after: 24h") if late else POLICY
    settings = await stage.road(policy, partitions=3, **changes)
    scale = stage.scale
    end_ms = time.time_ns() // 1_000_000 - 60_000
    begin_ms = end_ms - DAY_MS - late_ms
    day = Day(stage.rng, begin_ms, int(3000 * scale), int(more_actions * scale), int(more_authentications * scale))
    logs = laid(shifted(day.sent, late, late_ms), settings.partitions)
    await lay_down(settings, logs)
    live = read_live(settings, sets_of(settings), logs, end_ms + 60_000)
    notify = stage.start(settings, NOTIFY, again=False)
    reader = await _read_through(stage, settings, worker, kills, sum(event.subject is not None for event in day.sent))
    came = await _until_as_live(settings, live)
    _assert_nobody_accused(live, came)
    await _assert_paged(notify, live, came)
    await verified(settings)
    for role in (reader, notify):
        assert await role.stop() == 0, role.said
    assert "Traceback" not in reader.said
    spared = sum(len(actions) for actions in live.members.values()) - sum(map(len, came.members.values()))
    return Outcome(
        sum(map(len, logs.values())), kills, f"{len(came.open())} alerts open as live, {spared} pages spared"
    )


async def _read_through(stage: Stage, settings: Settings, worker: str, kills: int, events: int) -> Actor:
    """Start the worker, and kill it again and again while it reads; the last one stays."""
    reader = stage.start(settings, f"{ODD} {worker}", again=False)
    for number in range(kills):
        await until(lambda at=events * (number + 1) // (kills + 2): _has_said(settings, at), 240, "progress")
        await reader.kill_for_good()
        reader.start()
    return reader


async def _has_said(settings: Settings, count: int) -> bool:
    """Whether the rows of so many events are there."""
    outputs = (settings.topics.audit, settings.topics.evidence)
    return sum([len(await read(settings, topic)) for topic in outputs]) >= count


async def heard(settings: Settings) -> Said:
    """All that came out, in the order in which it was published."""
    said = Said()
    for record in await read(settings, settings.topics.alerts):
        if record.value is not None:
            said.hear_alert(json.loads(record.value))
    for record in await read(settings, settings.topics.audit):
        said.hear_row(json.loads(record.value))
    return said


async def _until_as_live(settings: Settings, live: Said) -> Said:
    wanted = live.open()

    async def as_live() -> bool:
        return (await heard(settings)).open() == wanted

    try:
        await until(as_live, 120, "the open alerts of the live run")
    except AssertionError as error:
        found = (await heard(settings)).open()
        more, less = found.keys() - wanted.keys(), wanted.keys() - found.keys()
        other = {key: (found[key], wanted[key]) for key in found.keys() & wanted.keys() if found[key] != wanted[key]}
        raise AssertionError(
            f"{error}: too many {[found[key] for key in more]}, missing {[wanted[key] for key in less]}, "
            f"(found, wanted) {other}"
        ) from error
    return await heard(settings)


def _assert_nobody_accused(live: Said, came: Said) -> None:
    """Whoever was proved in time live has no accusing row, and was named by no alert."""
    assert came.accused - live.accused == set()
    for alert_id, actions in came.members.items():
        assert alert_id in live.members, came.last[alert_id]
        assert actions - live.members[alert_id] == set(), came.last[alert_id]


async def _assert_paged(notify: Actor, live: Said, came: Said) -> None:
    """On-call heard of every alert that is open, and of none that the live run never opened."""
    silences = {alert_id for alert_id, alert in came.last.items() if alert["kind"] == SOURCE_SILENCE}

    def told() -> set[str]:
        return set(_ALERT_ID.findall(notify.said))

    async def all_told() -> bool:
        return {alert_id for alert_id, alert in came.last.items() if alert["state"] == "open"} <= told()

    await until(all_told, 60, "notices of all open alerts")
    assert told() - live.members.keys() - silences == set()
