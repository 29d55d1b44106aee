"""`stepwatch replay --into RUN`: a file judged into tables of its own, and what would have been alerted."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.clickhouse import clickhouse
from stepwatch.cli.errors import Misused
from stepwatch.cli.lines import Converted, Origin, adapter_of
from stepwatch.cli.policy import policy_files
from stepwatch.cli.progress import watched

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from stepwatch.store.runs import About
    from stepwatch.streams.replay import Gathered
    from stepwatch.streams.sets import PolicySets


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed."""

    run: str
    file: str
    source: str
    policies: Sequence[Path]
    data: Path | None = None
    replace: bool = False


@dataclass(slots=True)
class Told:
    """What is to be told beside what the tables hold.

    Attributes:
        records: how many were read, blank lines too.
        rejected: lines that are no event, by field; `sentences` has each field's first line and its fault.
        refused: rows that ClickHouse did not take; `words` says why, of the first.
        took_s: seconds from the first line to the last row.
    """

    database: str
    records: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    sentences: dict[str, tuple[Origin, str]] = field(default_factory=dict)
    refused: int = 0
    words: str = ""
    took_s: float = 0.0


def judge_into(asked: Asked, as_json: bool) -> None:
    """Judge a file or a folder into a run, and print what would have been alerted.

    Raises:
        typer.Exit: status 1 where ClickHouse refused a row.
        Misused: the run is there already, or something else is not as it must be.
        ServerAway: ClickHouse does not answer.
    """
    from stepwatch.cli.run_report import as_object, write_summary
    from stepwatch.cli.target import connect, quiet_logs
    from stepwatch.store.run_summary import summarise
    from stepwatch.store.runs import database_of, is_taken, taken
    from stepwatch.streams.replay import Gathered
    from stepwatch.streams.sets import load_files

    adapter = adapter_of(asked.source)
    sets = load_files(policy_files(list(asked.policies)))
    settings = connect(asked.data)
    quiet_logs(settings)
    live = settings.clickhouse_database
    gathered = Gathered()
    with clickhouse(settings) as client:
        # Before the file is read: reading a month takes minutes.
        if is_taken(client, live, asked.run) and not asked.replace:
            raise Misused(taken(asked.run))
    told = Told(database_of(live, asked.run))
    began_s = time.monotonic()
    lines = Converted(asked.file, adapter)
    _gather(lines, sets, gathered, told)
    with clickhouse(settings) as client:
        _fill(client, live, asked, gathered, sets, told)
        told.took_s = time.monotonic() - began_s
        summary = summarise(client)
    if as_json:
        print(json.dumps(as_object(asked, told, summary, lines), ensure_ascii=False))
    else:
        write_summary(asked, told, summary, lines)
    if told.refused:
        raise typer.Exit(EXIT_PROBLEM)


def _gather(lines: Converted, sets: PolicySets, gathered: Gathered, told: Told) -> None:
    from stepwatch.streams.replay import gather

    for explained in gather(watched(lines, "events read"), sets, gathered):
        name = explained.row["field"]
        told.rejected[name] += 1
        told.sentences.setdefault(name, (lines.origin(explained.row["line"]), explained.sentence))
    told.records = lines.lines_read


def _fill(client: Client, live: str, asked: Asked, gathered: Gathered, sets: PolicySets, told: Told) -> None:
    from stepwatch.store.runs import About
    from stepwatch.streams.replay_rows import table_rows

    about = About(asked.source, asked.file, [str(path) for path in asked.policies])
    rows = table_rows(gathered, sets, time.time_ns() // 1000)
    told.refused, told.words = fill_run(client, live, asked.run, about, rows, replace=asked.replace)


def fill_run(
    client: Client, live: str, run: str, about: About, rows: Iterable[tuple[str, bytes]], *, replace: bool
) -> tuple[int, str]:
    """Make a run of (table, row) pairs; the client has its database selected afterwards.

    Returns:
        How many rows ClickHouse refused, and why, of the first.

    Raises:
        RunRefused: there is one of this name, and it is to stay.
    """
    from stepwatch.store.runs import Filling, begin_run, end_run

    begin_run(client, live, run, about, replace=replace)
    filling = Filling(client)
    filling.take(watched(rows, "rows written"))
    end_run(client, about)
    if not filling.refusals:
        return filling.refused, ""
    table, refusal = filling.refusals[0]
    return filling.refused, f"{table}: {refusal.words}"
