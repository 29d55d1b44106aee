"""`stepwatch replay`: a file of events in, verdicts, alerts and rejected lines out (contract section 10)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.cli import screen
from stepwatch.cli.actions_file import ActionsFile, use_actions
from stepwatch.cli.errors import Misused
from stepwatch.cli.lines import AS_THEY_ARE, Converted, adapter_of
from stepwatch.cli.policy import policy_files

if TYPE_CHECKING:
    from stepwatch.streams.replay import Explained

_ROWS_AT_ONCE = 1000


def replay(
    events: Annotated[
        str,
        typer.Argument(
            metavar="EVENTS.jsonl", help="One event a line, or JSON arrays, in any order; a folder; - is a pipe."
        ),
    ],
    policy: Annotated[list[Path], typer.Option("--policy", metavar="FILE", help="A policy file; give several.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")] = False,
    source: Annotated[
        str, typer.Option("--from", metavar="SOURCE", help="Whose log it is, by `sources list`; or stepwatch.")
    ] = AS_THEY_ARE,
    actions: ActionsFile = None,
    run: Annotated[
        str | None,
        typer.Option("--into", metavar="RUN", help="Judge into tables of a run; show what would be alerted."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="With --into: drop the run of this name first.")] = False,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="With --into: folder of a running `stepwatch up`.")
    ] = None,
) -> None:
    """Judge a file of events, or all files of a folder, with each reason.

    With --into RUN the verdicts, the evidence and the alerts go into a ClickHouse database of their own, where `sql
    --run RUN` asks them, and a summary is shown instead; the live tables are not touched.

    Exit status 0, with rejected lines too; 1 where ClickHouse refuses a row; 2 where the policies are refused, a file
    cannot be read or the run is there already; 3 where ClickHouse does not answer.
    """
    use_actions(actions, source)
    if run is not None:
        from stepwatch.cli.into import Asked, judge_into

        judge_into(Asked(run, events, source, policy, data, replace), as_json)
        return
    if replace or data is not None:
        raise Misused("--replace and --data mean something with --into RUN only")
    from stepwatch.streams.replay import explained_replay
    from stepwatch.streams.sets import load_files

    adapter = adapter_of(source)
    sets = load_files(policy_files(policy))
    lines = Converted(events, adapter)
    with ended_by_reader():
        if as_json:
            rows = _with_origins(explained_replay(lines, sets), lines)
            write_json(explained.row for explained in rows)
        else:
            from stepwatch.cli.report import Glances, write_report

            glances = Glances()
            rows = _with_origins(explained_replay(glances.watch(lines), sets), lines)
            write_report(rows, glances)
    for words in lines.skips_in_words():
        screen.say(words)


def write_json(rows: Iterable[dict[str, object]]) -> None:
    """One JSON object a line to standard output, flushed every so many rows."""
    import msgspec

    encode = msgspec.json.encode
    rows = iter(rows)
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        sys.stdout.buffer.write(b"".join(encode(row) + b"\n" for row in chunk))
        sys.stdout.buffer.flush()


def _with_origins(rows: Iterator[Explained], lines: Converted) -> Iterator[Explained]:
    for explained in rows:
        if explained.row["kind"] == "rejected":
            origin = lines.origin(explained.row["line"])
            explained.row["line"] = origin.line
            if origin.file:
                explained.row["file"] = origin.file
        yield explained


@contextmanager
def ended_by_reader() -> Iterator[None]:
    """Whoever reads our output has enough (`| head`): end as Unix tools do, without a word."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, into nothing now.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(128 + signal.SIGPIPE) from None
