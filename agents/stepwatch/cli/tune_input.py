"""What the commands of `tune` read: a file of events, or what ClickHouse has stored, and the policies to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.cli.asking import PATIENCE_S, Data, RunName, Since, Tenant, Until, period, reading_tables
from stepwatch.cli.errors import Misused
from stepwatch.cli.lines import AS_THEY_ARE, Converted, adapter_of
from stepwatch.cli.policy_sets import policies_of
from stepwatch.cli.screen import counted, say

if TYPE_CHECKING:
    from stepwatch.streams.replay import Gathered
    from stepwatch.streams.sets import PolicySets

Events = Annotated[
    list[str] | None,
    typer.Argument(metavar="EVENTS...", help="Files or folders of events, as `replay` reads them; - is a pipe."),
]
Policies = Annotated[
    list[Path] | None,
    typer.Option("--policy", metavar="FILE", help="A policy file or folder; with --since default: as applied."),
]
Source = Annotated[str, typer.Option("--from", metavar="SOURCE", help="Whose log the files are, by `sources list`.")]

__all__ = ["Data", "Events", "Policies", "Read", "RunName", "Since", "Source", "Tenant", "Until", "Wanted", "read"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed: files, or a period of ClickHouse's tables; and the policies.

    Attributes:
        reach_days: how much of the time before the period is read, where that is more than `lookback`.
    """

    events: Sequence[str] | None
    policies: Sequence[Path] | None
    source: str = AS_THEY_ARE
    since: str | None = None
    until: str | None = None
    tenant: str | None = None
    data: Path | None = None
    run: str | None = None
    reach_days: int = 0


@dataclass(frozen=True, slots=True)
class Read:
    """What was read.

    Attributes:
        sets: to judge by; without `silent_after` where the events hold no heartbeat.
        since_us: only actions from then on are meant; what was read of the time before is what they stand on.
        words: what was read, in a line.
        notes: what the reader should know about it.
    """

    gathered: Gathered
    sets: PolicySets
    since_us: int
    words: str
    notes: list[str]


def read(wanted: Wanted) -> Read:
    """Read the events and the policies.

    Raises:
        Misused: neither files nor a period, or both; a file cannot be read; there are no events.
        PolicyRefused: a policy file.
        ServerAway: ClickHouse or Kafka does not answer.
    """
    from stepwatch.streams.replay import Gathered
    from stepwatch.streams.tuning.variants import without_silence

    stored = [wanted.since, wanted.until, wanted.tenant, wanted.data, wanted.run]
    if not wanted.events and wanted.since is None:
        raise Misused("nothing to read: name files of events, or take stored ones with --since 7d")
    if wanted.events and any(said is not None for said in stored):
        raise Misused("--since, --until, --tenant, --run and --data mean stored events: leave them out, or the files")
    gathered = Gathered()
    if wanted.events and not wanted.policies:
        raise Misused("no policies: name their files or their folder with --policy")
    sets = policies_of(wanted.policies or (), wanted.data)
    since_us = 0
    if wanted.events:
        words = _gather_files(wanted.events, wanted.source, sets, gathered)
    else:
        words, since_us = _gather_stored(wanted, sets, gathered)
    if not gathered.events:
        raise Misused(f"{words}: no event among them, so there is nothing to go by")
    notes = []
    if not gathered.heartbeats and sets.silent_after_max_us:
        sets = without_silence(sets)
        notes.append("these events hold no heartbeats, so they are judged as if no source had `silent_after`")
    return Read(gathered, sets, since_us, words, notes)


def _gather_files(events: Sequence[str], source: str, sets: PolicySets, into: Gathered) -> str:
    from stepwatch.streams.replay import gather

    count, rejected, first = 0, 0, ""
    for name in events:
        lines = Converted(name, adapter_of(source))
        for explained in gather(lines, sets, into):
            rejected += 1
            place = f"{name}: line {lines.origin(explained.row['line']).line}"
            first = first or f"{place}: {explained.row['field']}: {explained.sentence}"
        count += lines.lines_read
        for words in lines.skips_in_words():
            say(words)
    if rejected:
        say(f"{counted(rejected, 'line')} rejected and left out; the first: {first}")
    return f"{counted(count, 'record')} of {', '.join(events)}"


def _gather_stored(wanted: Wanted, sets: PolicySets, into: Gathered) -> tuple[str, int]:
    """Gather the stored events of a period, and of one `lookback` before it the proofs that its actions stand on."""
    from stepwatch.schemas.times import SECOND_US
    from stepwatch.store.stored_events import Period, stored_lines, stored_names
    from stepwatch.streams.replay import gather

    since, until = period(wanted.since, wanted.until, 7)
    reach = max(timedelta(microseconds=sets.lookback_max_us), timedelta(days=wanted.reach_days))
    # No event is older than 1970 (contract section 3), and a calendar ends earlier than a lookback may reach.
    epoch = datetime.fromtimestamp(0, UTC)
    begin, tenant = since - reach if since - epoch > reach else epoch, wanted.tenant or ""
    with reading_tables(wanted.data, wanted.run, PATIENCE_S) as (client, settings):
        names = [
            (one, action)
            for one, action, _ in stored_names(client, Period(begin, until, tenant))
            if any(policy_set.may_match(one, action) for policy_set in sets.sets)
        ]
        for explained in gather(stored_lines(client, begin, until, tenant, names=names), sets, into):
            say(f"a stored event is none, and is left out: {explained.row['field']}: {explained.sentence}")
    words = f"what {settings.clickhouse_database} has stored from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
    return words, int(since.timestamp()) * SECOND_US
