"""`stepwatch replay --into RUN`: a file judged into tables of its own, and what would have been alerted."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.clickhouse import clickhouse
from stepwatch.cli.errors import Misused
from stepwatch.cli.lines import Converted, Origin, adapter_of
from stepwatch.cli.policy import policy_files

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from stepwatch.streams.replay import Gathered
    from stepwatch.streams.sets import PolicySets

T = TypeVar("T")
_TICK = 10_000
"""Lines or rows from one change of the progress line to the next."""


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

    for explained in gather(_watched(lines, "events read"), sets, gathered):
        name = explained.row["field"]
        told.rejected[name] += 1
        told.sentences.setdefault(name, (lines.origin(explained.row["line"]), explained.sentence))
    told.records = lines.lines_read


def _fill(client: Client, live: str, asked: Asked, gathered: Gathered, sets: PolicySets, told: Told) -> None:
    from stepwatch.store.runs import About, Filling, begin_run, end_run
    from stepwatch.streams.replay_rows import table_rows

    about = About(asked.source, asked.file, [str(path) for path in asked.policies])
    begin_run(client, live, asked.run, about, replace=asked.replace)
    filling = Filling(client)
    filling.take(_watched(table_rows(gathered, sets, time.time_ns() // 1000), "rows written"))
    end_run(client, about)
    told.refused = filling.refused
    if filling.refusals:
        table, refusal = filling.refusals[0]
        told.words = f"{table}: {refusal.words}"


def _watched(items: Iterable[T], words: str) -> Iterator[T]:
    """The same items, counted on standard error where somebody looks."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(words, total=None)
        for number, item in enumerate(items, start=1):
            if number % _TICK == 0:
                progress.update(task, completed=number)
            yield item
