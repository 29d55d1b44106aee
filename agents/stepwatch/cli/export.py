"""`stepwatch export`: tables or answers of the query book as Parquet or CSV, in parts, going on where it stopped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepwatch.cli import screen
from stepwatch.cli.asking import Data, Patience, RunName, Since, Tenant, moments, pairs, reading_tables
from stepwatch.cli.errors import Misused

if TYPE_CHECKING:
    from stepwatch.agents.settings import Settings
    from stepwatch.store.export import Wanted

_PATIENCE_S = 300
_DAYS = 30


class FileFormat(StrEnum):
    """What the parts are."""

    PARQUET = "parquet"
    CSV = "csv"


def export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the parts go; made where it is missing.")],
    table: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="audit_current (default), audit, authentications, alerts, dead_letters."),
    ] = None,
    query: Annotated[str | None, typer.Option(metavar="NAME", help="A question of `query list` instead.")] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter of the question.")
    ] = None,
    since: Since = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Before this time; default: the end of yesterday, UTC.")
    ] = None,
    tenant: Tenant = None,
    fmt: Annotated[FileFormat, typer.Option("--format", help="What the parts are.")] = FileFormat.PARQUET,
    of_run: RunName = None,
    data: Data = None,
    patience_s: Patience = _PATIENCE_S,
) -> None:
    """Export a table by days, or an answer, to files.

    Each part is whole or not there, and manifest.json says which are: the same command again goes on after them. Files
    are readable by their owner only. In CSV a text that a spreadsheet could take for a formula has an apostrophe before
    it. A day whose actions have not closed yet may change after it was exported.

    Exit status 0; 2 where the folder holds another export, a file cannot be written or ClickHouse refuses; 3 where it
    does not answer: what is whole stays.
    """
    from stepwatch.store.export import ExportRefused
    from stepwatch.store.export import export as parts

    if table is not None and query is not None:
        raise Misused("--table and --query are two exports: leave one out, and give each a folder of its own")
    if param and query is None:
        raise Misused("--param means something with --query NAME only")
    try:
        with reading_tables(data, of_run, patience_s) as (client, settings):
            wanted = _wanted(settings, folder, table, query, param or [], since, until, tenant, fmt)
            rows = size = count = 0
            for done in parts(client, wanted, folder):
                count, rows, size = count + 1, rows + done.rows, size + done.size
                was = " (was there)" if done.was_there else ""
                screen.say(f"{done.file}  {screen.counted(done.rows, 'row')}{was}")
    except ExportRefused as error:
        raise Misused(str(error)) from error
    screen.say(f"{screen.counted(count, 'part')} in {folder}: {screen.counted(rows, 'row')}, {size / 1e6:,.1f} MB")


def _wanted(
    settings: Settings,
    folder: Path,
    table: str | None,
    query: str | None,
    params: list[str],
    since: str | None,
    until: str | None,
    tenant: str | None,
    fmt: FileFormat,
) -> Wanted:
    """What is to be exported; the period of an export that is there already, where none was typed."""
    from stepwatch.store.export import TABLES, Wanted, manifest_of, yesterday_end
    from stepwatch.store.querybook import BookError, question

    now = datetime.now(UTC)
    said = moments(since, until, now)
    if not said and (there := manifest_of(folder)) is not None:
        said = {name: f"{there['export'][name].replace(' ', 'T')}Z" for name in ("since", "until")}
    end = datetime.fromisoformat(said["until"]) if "until" in said else yesterday_end(now)
    begin = datetime.fromisoformat(said["since"]) if "since" in said else end - timedelta(days=_DAYS)
    if begin >= end:
        raise Misused(
            f"--since {begin:%Y-%m-%dT%H:%M:%SZ} is not before --until {end:%Y-%m-%dT%H:%M:%SZ}: turn them round"
        )
    name = query or table or "audit_current"
    if query is None and name not in TABLES:
        raise Misused(f"--table {name}: expected one of {', '.join(TABLES)}")
    common: dict[str, Any] = {
        "fmt": fmt.value,
        "tenant": tenant or "",
        "since": begin,
        "until": end,
        "database": settings.clickhouse_database,
    }
    if query is None:
        return Wanted(name=name, **common)
    try:
        one = question(query)
        known = {parameter.name for parameter in one.parameters}
        told = {"since": begin.isoformat(), "until": end.isoformat(), **({} if tenant is None else {"tenant": tenant})}
        given = {key: value for key, value in told.items() if key in known} | dict(pairs(params))
        return Wanted(name=name, question=one, values=one.bind(given, now), **common)
    except BookError as error:
        raise Misused(str(error)) from error
