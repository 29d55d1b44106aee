"""What `policy diff` reads: events of files or of ClickHouse, gathered for two sets at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from stepwatch.cli.asking import PATIENCE_S, period, reading_tables
from stepwatch.cli.errors import Misused
from stepwatch.cli.lines import Converted, adapter_of
from stepwatch.cli.progress import watched
from stepwatch.cli.screen import counted, say

if TYPE_CHECKING:
    from stepwatch.streams.sets import PolicySets
    from stepwatch.streams.tuning.differing import Both, Difference

_DAYS = 7


@dataclass(frozen=True, slots=True)
class Wanted:
    """Two sets, and the events: of files, or of a period of the tables."""

    old: PolicySets
    new: PolicySets
    events: Sequence[str]
    log: str
    since: str | None = None
    until: str | None = None
    tenant: str | None = None
    data: Path | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of it.

    Attributes:
        words: what was read.
        notes: what the reader should know about it.
    """

    difference: Difference
    words: str
    notes: list[str]


def differing(wanted: Wanted) -> Compared:
    """Read the events and judge them by both sets.

    Raises:
        Misused: a file cannot be read, or nothing is to be judged.
        ServerAway: ClickHouse does not answer.
    """
    from stepwatch.streams.replay import END_US
    from stepwatch.streams.tuning.differing import Both
    from stepwatch.streams.tuning.variants import without_silence

    both, notes = Both(wanted.old, wanted.new), []
    since_us, until_us, actions = 0, END_US, None
    if wanted.events:
        words = _from_files(wanted, both)
    else:
        since, until = period(wanted.since, wanted.until, _DAYS)
        since_us, until_us = us_of(since), us_of(until)
        words, actions = _from_tables(wanted, both, since, until)
    old, new = wanted.old, wanted.new
    if not both.has_heartbeats and (old.silent_after_max_us or new.silent_after_max_us):
        old, new = without_silence(old), without_silence(new)
        notes.append("these events hold no heartbeats, so they are judged as if no source had `silent_after`")
    difference = both.compare(old, new, since_us, until_us, actions)
    if not difference.actions:
        raise Misused(f"{words}: no action among them, so there is nothing to compare")
    return Compared(difference, words, notes)


def _from_files(wanted: Wanted, both: Both) -> str:
    adapter, read = adapter_of(wanted.log), 0
    for name in wanted.events:
        lines, rejected = Converted(name, adapter), []
        for number, fault in both.gather(watched(lines, "events read", _size_of(name), lambda line: len(line) + 1)):
            origin = lines.origin(number)
            rejected.append(f"{origin.file or name}: line {origin.line}: {fault.field}: {fault.message}")
        if rejected:
            say(f"{counted(len(rejected), 'line')} rejected and left out; the first: {rejected[0]}")
        for words in lines.skips_in_words():
            say(words)
        read += lines.lines_read
    return f"{counted(read, 'record')} of {', '.join(wanted.events)}"


def _size_of(name: str) -> int | None:
    """Bytes of a plain file of events; None where nobody knows how many there will be."""
    path = Path(name)
    return path.stat().st_size if path.is_file() and path.suffix != ".gz" else None


def _from_tables(wanted: Wanted, both: Both, since: datetime, until: datetime) -> tuple[str, int]:
    """What was read, and how many actions the tables have; those that concern neither set stay there."""
    from stepwatch.store.stored_events import Period, stored_lines, stored_names

    tenant = wanted.tenant or ""
    begin, end = reach(since, until, wanted.old, wanted.new)
    with reading_tables(wanted.data, wanted.run, PATIENCE_S) as (client, settings):
        actions = sum(count for _, _, count in stored_names(client, Period(since, until, tenant)))
        names = [
            (one, action)
            for one, action, _ in stored_names(client, Period(begin, end, tenant))
            if any(_may_match(sets, one, action) for sets in (wanted.old, wanted.new))
        ]
        lines = stored_lines(client, begin, end, tenant, names=names)
        for _, fault in both.gather(watched(lines, "events read")):
            say(f"a stored event is none, and is left out: {fault.field}: {fault.message}")
    place = settings.clickhouse_database
    return f"what {place} has stored from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC", actions


def reach(since: datetime, until: datetime, *all_sets: PolicySets) -> tuple[datetime, datetime]:
    """From when until when events may speak of the actions of a period, as any of the sets asks."""
    back_us = max(sets.lookback_max_us for sets in all_sets)
    on_us = max(sets.horizon_max_us for sets in all_sets)
    return since - timedelta(microseconds=back_us), until + timedelta(microseconds=on_us)


def us_of(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _may_match(sets: PolicySets, tenant: str, action: str) -> bool:
    return any(policy_set.may_match(tenant, action) for policy_set in sets.sets)
