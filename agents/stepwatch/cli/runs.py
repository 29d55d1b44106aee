"""`stepwatch runs list|drop`: what `stepwatch replay --into RUN` has made."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepwatch.cli import screen
from stepwatch.cli.clickhouse import clickhouse

if TYPE_CHECKING:
    from stepwatch.store.runs import Run

commands = typer.Typer(no_args_is_help=True, help="What `replay --into RUN` has made: list it, drop it.")
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")]
_HEADER = ("RUN", "BEGUN (UTC)", "ACTIONS", "EVIDENCE", "ALERTS", "FROM", "TO", "OF")


@commands.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")] = False,
    data: Data = None,
) -> None:
    """List the runs: what is in each, and of which days.

    Exit status 0; 3 where ClickHouse does not answer.
    """
    from stepwatch.cli.target import connect, quiet_logs
    from stepwatch.store.runs import list_runs

    settings = connect(data, as_reader=True)
    quiet_logs(settings)
    with clickhouse(settings) as client:
        runs = list_runs(client, settings.clickhouse_database)
    if as_json:
        for run in runs:
            print(json.dumps(_object(run), ensure_ascii=False))
        return
    if runs:
        print(screen.table(_HEADER, [_cells(run) for run in runs], {2, 3, 4}, {1, 2, 3, 4, 5, 6}))
    else:
        screen.say("no run yet: `stepwatch replay --from SOURCE --policy FILE LOG --into RUN` makes one")


@commands.command()
def drop(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Names, as `runs list` shows them.")],
    data: Data = None,
) -> None:
    """Drop runs with all their rows; the live tables are not touched.

    Exit status 0; 2 where there is no such run; 3 where ClickHouse does not answer.
    """
    from stepwatch.cli.target import connect, quiet_logs
    from stepwatch.store.runs import drop_run

    settings = connect(data)
    quiet_logs(settings)
    with clickhouse(settings) as client:
        for run in runs:
            drop_run(client, settings.clickhouse_database, run)
            print(f"dropped run {screen.shown(run)}")


def _cells(run: Run) -> list[str]:
    begun = (f"{run.begun:%Y-%m-%d %H:%M}" if run.begun else "") + ("" if run.ended else " unfinished")
    made_of = f"{run.about.source}: {run.about.file}" if run.about else ""
    counts = (f"{count:,}" for count in (run.actions, run.authentications, run.alerts))
    days = ("" if time is None else f"{time:%Y-%m-%d}" for time in (run.first_time, run.last_time))
    return [run.name, begun.strip(), *counts, *days, screen.shown(made_of)]


def _object(run: Run) -> dict[str, Any]:
    return {
        "run": run.name,
        "database": run.database,
        "source": run.about.source if run.about else None,
        "file": run.about.file if run.about else None,
        "policies": list(run.about.policies) if run.about else None,
        "begun": text_of(run.begun),
        "ended": text_of(run.ended),
        "actions": run.actions,
        "authentications": run.authentications,
        "alerts": run.alerts,
        "first_time": text_of(run.first_time),
        "last_time": text_of(run.last_time),
    }


def text_of(time: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
