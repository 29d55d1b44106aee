"""Lines of a file -> verdicts and alerts, with the stream's own engine (contract section 10).

The batch job of the law: every line is read, the first record of each event is kept, and both log times are then past
every close. Nothing is forgotten, no alert expires, nobody responds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from stepwatch.schemas.times import format_time
from stepwatch.streams import intake
from stepwatch.streams.alerting import SOURCE_SILENCE, Standing, highest_severity
from stepwatch.streams.anchors import weigh_sources
from stepwatch.streams.decode import ACTION, Event, Fault, Heartbeat, Skipped, decode, tie_hash
from stepwatch.streams.facts import Action
from stepwatch.streams.judge import NOT_REQUIRED, VERIFIED, Decision
from stepwatch.streams.ledger import Ledger
from stepwatch.streams.limits import ALERT_ACTIONS_MAX
from stepwatch.streams.partition import Partition
from stepwatch.streams.rows import Coordinates, plain_rest
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.settling import settle, settle_alerts
from stepwatch.streams.skimming import plain_lines
from stepwatch.streams.waiting import SubjectKey
from stepwatch.streams.wording import reason_sentence

END_US = 2**62
"""A log time past every close: further than any event and any duration of a policy reach."""

Row = dict[str, Any]
EventKey = tuple[str, str, str, str, str]
"""(tenant, canonical subject, family, source, id)."""


class Explained(NamedTuple):
    """A row of contract section 10, and the sentence that a person reads beside it."""

    row: Row
    sentence: str


class PlainLine(msgspec.Struct, gc=False):
    """A line with an action that no policy can match, read natively: its key says all of it that a row shows."""

    arrival_us: int
    value: bytes


class Gathered:
    """What is to be judged of a file: the first record of each event, its heartbeats, when its lines arrived."""

    __slots__ = ("arrivals", "events", "heartbeats")

    def __init__(self) -> None:
        self.events: dict[EventKey, Event | PlainLine] = {}
        self.heartbeats: list[Heartbeat] = []
        self.arrivals: list[int] = []


class _PlainRow(msgspec.Struct):
    tenant: str
    subject: str
    source: str
    action_id: str
    verdict: str
    reason: str
    policy: str
    revision: int


_decode_row = msgspec.json.Decoder(_PlainRow).decode
UNCONCERNED = Decision(NOT_REQUIRED, "no_policy")


def replay(lines: Iterable[bytes], sets: PolicySets) -> Iterator[Row]:
    """Judge a file.

    Args:
        lines: one event each, in any order; blank ones are skipped.
        sets: what to judge by.

    Returns:
        The rows of `stepwatch replay --json`.
    """
    return (explained.row for explained in explained_replay(lines, sets))


def explained_replay(lines: Iterable[bytes], sets: PolicySets) -> Iterator[Explained]:
    """The same, each row with its sentence."""
    gathered = Gathered()
    yield from gather(lines, sets, gathered)
    yield from judge_gathered(gathered, sets)


def judge_gathered(gathered: Gathered, sets: PolicySets) -> Iterator[Explained]:
    """Judge what was gathered of a file by the same sets: its verdicts and alerts."""
    partition, final = _judged(gathered.events, gathered.heartbeats, sets)
    yield from final
    for subject, ledger in partition.ledgers.items():
        for action in ledger.actions:
            yield _verdict(subject, ledger, action, partition.judge.decide(action, ledger))
    if gathered.arrivals:
        partition.first_log_us = min(gathered.arrivals)
        weigh_sources(partition, max(gathered.arrivals))
    settle_alerts(partition, 0)
    for standing in partition.alerting.standing.values():
        if standing.order:
            yield _alert(standing)


def gather(lines: Iterable[bytes], sets: PolicySets, into: Gathered) -> Iterator[Explained]:
    """Read a file to its end.

    Args:
        lines: as `replay` takes them.
        sets: what aliases and plain actions are told by.
        into: empty; holds what is to be judged, once the last line is read.

    Returns:
        A row for each rejected line, while it is read.
    """
    events, heartbeats, arrivals = into.events, into.heartbeats, into.arrivals
    plain_of = plain_lines(sets)
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        if (plain := plain_of(text)) is not None:
            tenant, name, source, event_id, arrival_us = plain
            arrivals.append(arrival_us)
            keep_first(events, (tenant, name, ACTION, source, event_id), PlainLine(arrival_us, text))
            continue
        outcome = decode(text, None)
        if isinstance(outcome, Fault):
            row = {"kind": "rejected", "line": number, "id": outcome.id, "field": outcome.field}
            yield Explained(row, outcome.message)
        elif not isinstance(outcome, Skipped):
            arrivals.append(outcome.arrival_us)
            if isinstance(outcome, Heartbeat):
                heartbeats.append(outcome)
            else:
                keep_first(events, event_key(outcome, sets), outcome)


def event_key(event: Event, sets: PolicySets) -> EventKey:
    """What makes the event one: its subject by the set in force at its own time."""
    subject = sets.at(event.time_us).canonical(event.tenant, event.subject)
    return (event.tenant, subject, event.family, event.source, event.id)


def keep_first(events: dict[EventKey, Event | PlainLine], key: EventKey, event: Event | PlainLine) -> None:
    """Of several records of one event the first to arrive; of equal arrivals the smaller hash."""
    known = events.get(key)
    if (
        known is None
        or event.arrival_us < known.arrival_us
        or (
            event.arrival_us == known.arrival_us
            and event.value != known.value
            and tie_hash(event.value) < tie_hash(known.value)
        )
    ):
        events[key] = event


def _judged(
    events: dict[EventKey, Event | PlainLine], heartbeats: list[Heartbeat], sets: PolicySets
) -> tuple[Partition, list[Explained]]:
    """A partition that has read everything and closed every action, and the verdicts that were final at once."""
    # Every sign of the file is heard before the first action is judged by the first of them.
    partition = Partition(sets, signs_max=END_US)
    partition.plain_rest = plain_rest("", "", 0)
    for heartbeat in heartbeats:
        intake.hear(partition, heartbeat)
    final: list[Explained] = []
    for key, event in events.items():
        subject = (key[0], key[1])
        if isinstance(event, PlainLine):
            final.append(_verdict_row(subject, key[3], key[4], UNCONCERNED, ""))
        else:
            intake.accept(partition, event, subject, Coordinates())
            final += _final_at_once(partition)
    partition.reach(END_US, END_US)
    settle(partition)
    return partition, final


def _final_at_once(partition: Partition) -> Iterator[Explained]:
    """The verdict of an action that no policy matches or that is exempt: accepting it made its one row."""
    for _, encoded in partition.effects.audit:
        row = _decode_row(encoded)
        subject = (row.tenant, row.subject)
        yield _verdict_row(subject, row.source, row.action_id, Decision(row.verdict, row.reason), row.policy)
    partition.effects.audit.clear()


def _verdict(subject: SubjectKey, ledger: Ledger, action: Action, decision: Decision) -> Explained:
    explained = _verdict_row(subject, action.source, action.id, decision, action.policy)
    if decision.verdict == VERIFIED and decision.chosen is not None:
        explained.row["verification"] = decision.chosen.shown_id
        explained.row["age_us"] = action.time_us - decision.chosen.at_us
    return explained


def _verdict_row(subject: SubjectKey, source: str, action_id: str, decision: Decision, policy: str) -> Explained:
    nearest = decision.nearest
    row: Row = {
        "kind": "verdict",
        "tenant": subject[0],
        "subject": subject[1],
        "source": source,
        "action_id": action_id,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "policy": policy,
        "verification": None,
        "age_us": None,
        "nearest_miss": None,
    }
    if nearest is not None:
        row["nearest_miss"] = nearest.shown()
    return Explained(row, reason_sentence(decision.reason, nearest))


def _alert(standing: Standing) -> Explained:
    alert, members = standing.alert, list(standing.inside())
    first, last = members[0], members[-1]
    row = {
        "kind": "alert",
        "alert_id": alert.alert_id,
        "alert": alert.kind,
        "tenant": alert.tenant,
        "subject": alert.subject,
        "policy": alert.policy,
        "severity": highest_severity(members),
        "reason": first.reason,
        "count": len(members),
        "actions": [] if alert.kind == SOURCE_SILENCE else [member.id for member in members[:ALERT_ACTIONS_MAX]],
        "first_time": format_time(first.time_us),
        "last_time": format_time(last.time_us),
    }
    return Explained(row, f"{first.title}; {first.explanation}")
