"""`stepwatch rejudge`: stored history judged anew into tables of a run. The record is never touched."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.asking import PATIENCE_S, Data, Tenant, Until, period, reading_tables
from stepwatch.cli.errors import Misused
from stepwatch.cli.lines import AS_THEY_ARE
from stepwatch.cli.policy import policy_files
from stepwatch.cli.progress import watched
from stepwatch.cli.report import VERDICT_COLOURS
from stepwatch.cli.screen import GAP, counted, paint, say, shown

if TYPE_CHECKING:
    from stepwatch.store.rejudged import Beside
    from stepwatch.streams.replay import Gathered
    from stepwatch.streams.sets import PolicySets

_DAYS: Final = 7
_SILENCE: Final = "heartbeats are not stored, so the run is judged as if no source had `silent_after`"


class _Timed(msgspec.Struct):
    """The time by which a row is of the period: an action's own, an alert's last."""

    time: str = ""
    last_time: str = ""


_TIMED: Final = msgspec.json.Decoder(_Timed).decode


def rejudge(
    policies: Annotated[
        list[Path], typer.Option("--policies", metavar="DIR", help="A folder of policy files, or a file; give several.")
    ],
    run: Annotated[str, typer.Option("--run", metavar="NAME", help="Of the run that it goes into.")],
    since: Annotated[str, typer.Option(metavar="TIME", help="From this time on: 2026-11-24, an RFC 3339 time, or 7d.")],
    until: Until = None,
    tenant: Tenant = None,
    replace: Annotated[bool, typer.Option("--replace", help="Drop the run of this name first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
    data: Data = None,
) -> None:
    """Judge stored history anew by other policies.

    Verdicts, evidence and alerts go into a run of their own, as those of `replay --into` do: `sql --run NAME` asks it,
    `runs drop NAME` drops it. The record is not touched. What the run has otherwise than the record is reported.

    Exit status 0; 1 where ClickHouse refuses a row; 2 where the policies are refused, the run is there already or
    nothing is stored; 3 where ClickHouse does not answer.
    """
    from stepwatch.cli.clickhouse import clickhouse
    from stepwatch.cli.into import fill_run
    from stepwatch.cli.target import connect, quiet_logs
    from stepwatch.store.rejudged import beside
    from stepwatch.store.runs import About, database_of, is_taken, taken
    from stepwatch.streams.replay_rows import table_rows
    from stepwatch.streams.sets import load_files
    from stepwatch.streams.tuning.variants import without_silence

    sets = load_files(policy_files(policies))
    settings = connect(data)
    quiet_logs(settings)
    live = settings.clickhouse_database
    with clickhouse(settings) as client:
        # Before the events are read: reading a month takes minutes.
        if is_taken(client, live, run) and not replace:
            raise Misused(taken(run))
    begin, end = period(since, until, _DAYS)
    gathered = _gathered(data, sets, begin, end, tenant or "")
    if not gathered.events:
        raise Misused(f"{live} has stored no event from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC")
    judging = without_silence(sets) if sets.silent_after_max_us else sets
    of = f"{live} from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    about = About(AS_THEY_ARE, of, [str(path) for path in policies])
    rows = _within(table_rows(gathered, judging, time.time_ns() // 1000), begin, end)
    with clickhouse(settings) as client:
        refused, why = fill_run(client, live, run, about, rows, replace=replace)
        found = beside(client, live, database_of(live, run), begin, end, tenant or "")
    notes = [_SILENCE] if sets.silent_after_max_us else []
    if refused:
        notes.append(f"{counted(refused, 'row')} refused by ClickHouse, so the run lacks them; the first: {why}")
    _show(run, of, found, notes, as_json=as_json)
    if refused:
        raise typer.Exit(EXIT_PROBLEM)


def _gathered(data: Path | None, sets: PolicySets, begin: datetime, end: datetime, tenant: str) -> Gathered:
    """What is stored of a period, and what its actions stand on."""
    from stepwatch.cli.policy_diff_input import reach
    from stepwatch.store.stored_events import stored_lines
    from stepwatch.streams.replay import Gathered, gather

    gathered = Gathered()
    with reading_tables(data, None, PATIENCE_S) as (client, _):
        lines = watched(stored_lines(client, *reach(begin, end, sets), tenant), "events read")
        for explained in gather(lines, sets, gathered):
            say(f"a stored event is none, and is left out: {explained.row['field']}: {explained.sentence}")
    return gathered


def _within(rows: Iterator[Any], begin: datetime, end: datetime) -> Iterator[tuple[str, bytes]]:
    """All rows but the actions and alerts outside the period: these were read for what others stand on."""
    from stepwatch.cli.policy_diff_input import us_of
    from stepwatch.schemas.times import format_time
    from stepwatch.streams.replay_rows import AUTHENTICATIONS

    first, last = format_time(us_of(begin)), format_time(us_of(end))
    for table, value in rows:
        timed = _TIMED(value)
        if table == AUTHENTICATIONS or first <= (timed.last_time or timed.time) < last:
            yield table, value


def _show(run: str, of: str, found: Beside, notes: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        said = {
            "run": run,
            "of": of,
            "flips": found.flips,
            "turns": [turn._asdict() for turn in found.turns],
            "examples": [
                {**one._asdict(), "time": one.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")} for one in found.examples
            ],
            "alerts": [pile._asdict() for pile in found.alerts],
            "notes": list(notes),
        }
        print(json.dumps(said, ensure_ascii=False))
        return
    for note in notes:
        say(note)
    for line in _lines(run, of, found):
        print(line)


def _lines(run: str, of: str, found: Beside) -> Iterator[str]:
    yield shown(f"run {run}: {of}; `stepwatch sql --run {run}` asks it, the record is as it was")
    yield paint(f"{counted(found.flips, 'verdict')} otherwise than on record", "bold")
    for turn in found.turns:
        words = f"{_painted(turn.was)} -> {_painted(turn.becomes)}"
        yield f"{turn.actions:>9,}{GAP}{words}{GAP}{shown(turn.policy)}"
    if found.examples:
        yield ""
        yield paint("the newest" if found.flips > len(found.examples) else "all of them", "bold")
    for one in found.examples:
        where = f"{one.time:%Y-%m-%d %H:%M:%S}Z{GAP}{one.tenant}/{one.subject}{GAP}{one.action} {one.action_id}"
        turned = f"{_painted(one.was)} ({one.was_reason}) -> {_painted(one.becomes)} ({one.becomes_reason})"
        yield f"{shown(where)}{GAP}{turned}"
    if found.alerts:
        yield ""
        yield paint("ALERTS", "bold") + ": in both, only on record, only in the run"
    for pile in found.alerts:
        of_policy = f" [{shown(pile.policy)}]" if pile.policy else ""
        yield f"{pile.both:>9,}{pile.record_only:>9,}{pile.run_only:>9,}{GAP}{pile.kind}{of_policy}"


def _painted(verdict: str) -> str:
    return paint(verdict, VERDICT_COLOURS[verdict])
