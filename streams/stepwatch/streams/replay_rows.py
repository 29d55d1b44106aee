"""A gathered file -> the rows of the tables `audit`, `authentications` and `alerts` (contract sections 8 and 10).

The judgement of `replay`, said as the worker says it: each verdict as its audit row, each accepted authentication event
as its evidence row, each alert as its last state. Times that a worker takes from its own clock say when a worker that
had read along would have spoken: an alert opens at the end of its last member's grace.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final, NamedTuple

from stepwatch.schemas.times import format_time
from stepwatch.streams import intake
from stepwatch.streams.anchors import weigh_sources
from stepwatch.streams.decode import Event, decode
from stepwatch.streams.partition import Partition
from stepwatch.streams.replay import END_US, EventKey, Gathered, PlainLine
from stepwatch.streams.rows import Coordinates, plain_rest
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.settling import settle, settle_alerts

AUDIT: Final = "audit"
AUTHENTICATIONS: Final = "authentications"
ALERTS: Final = "alerts"

EVENTS_AT_ONCE: Final = 100_000
"""How many events are judged before what is known of their subjects is let go: about 1 GB where policies match all."""


class TableRow(NamedTuple):
    """One row: the table that it belongs to, and its JSON object."""

    table: str
    value: bytes


def table_rows(
    gathered: Gathered, sets: PolicySets, decided_us: int, *, events_at_once: int = EVENTS_AT_ONCE
) -> Iterator[TableRow]:
    """Judge what was gathered of a file.

    No subject's verdicts depend on another's events, so some subjects are judged at a time; then they are let go.

    Args:
        gathered: of the whole file. Its events are taken out while they are judged.
        sets: what to judge by.
        decided_us: microseconds since 1970 that audit rows show as `decided_at`.
        events_at_once: after how many the next subject begins anew; at least 1.

    Returns:
        Rows in no order but that each event's come once. All of it is judged only when the last row was taken.
    """
    decided_at = format_time(decided_us)
    for keys in _whole_subjects(gathered, events_at_once):
        partition = _listening(gathered, sets, decided_at)
        for key in keys:
            kept = gathered.events.pop(key)
            event = decode(kept.value, None) if isinstance(kept, PlainLine) else kept
            assert isinstance(event, Event)
            intake.accept(partition, event, (key[0], key[1]), Coordinates())
            yield from _rows(partition)
        partition.reach(END_US, END_US)
        settle(partition)
        yield from _rows(partition)
        yield from _alerts(partition)
    if gathered.arrivals:
        partition = _listening(gathered, sets, decided_at)
        partition.first_log_us = min(gathered.arrivals)
        weigh_sources(partition, max(gathered.arrivals))
        yield from _alerts(partition)


def _whole_subjects(gathered: Gathered, events_at_once: int) -> Iterator[list[EventKey]]:
    """The keys of some subjects' events at a time; of each subject in the order of their arrival, as a worker reads."""
    events = gathered.events
    keys = sorted(events, key=lambda key: (key[0], key[1], events[key].arrival_us, key))
    some: list[EventKey] = []
    for _, of_subject in groupby(keys, key=lambda key: (key[0], key[1])):
        some += of_subject
        if len(some) >= events_at_once:
            yield some
            some = []
    if some:
        yield some


def _listening(gathered: Gathered, sets: PolicySets, decided_at: str) -> Partition:
    """A partition that has heard every heartbeat, and nothing else."""
    partition = Partition(sets, signs_max=END_US)
    partition.decided_at = decided_at
    partition.plain_rest = plain_rest(decided_at, "", 0)
    for heartbeat in gathered.heartbeats:
        intake.hear(partition, heartbeat)
    return partition


def _rows(partition: Partition) -> Iterator[TableRow]:
    effects = partition.effects
    for _, row in effects.audit:
        yield TableRow(AUDIT, row)
    for _, row in effects.evidence:
        yield TableRow(AUTHENTICATIONS, row)
    effects.audit.clear()
    effects.evidence.clear()


def _alerts(partition: Partition) -> Iterator[TableRow]:
    """Every alert that has a member, each written by itself, at the moment at which it would have been raised."""
    alerting = partition.alerting
    for alert_id in sorted(alerting.dirty):
        standing = alerting.standing[alert_id]
        last = max(standing.inside(), key=lambda member: member.grace_end_us, default=None)
        if last is not None:
            standing.alert.last_arrival_us, standing.alert.last_grace_us = last.arrival_us, last.grace_end_us
            alerting.dirty = {alert_id}
            settle_alerts(partition, last.grace_end_us)
    for _, row in partition.effects.alerts:
        if row is not None:
            yield TableRow(ALERTS, row)
