"""`stepwatch query list|show|run`: the query book, asked of the tables as a user who may only read."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.cli import screen
from stepwatch.cli.asking import (
    PATIENCE_S,
    Data,
    Patience,
    RunName,
    Since,
    Tenant,
    Until,
    moments,
    pairs,
    reading_tables,
)
from stepwatch.cli.errors import Misused
from stepwatch.cli.formats import Format, written

if TYPE_CHECKING:
    from stepwatch.store.querybook import Question

commands = typer.Typer(no_args_is_help=True, help="Questions that auditors and investigators ask, and their answers.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `query list` shows it.")]
_PERIOD = ("since", "until", "tenant")
"""Options that go to the parameters of the same name."""


@commands.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line: all of each header.")] = False,
) -> None:
    """List the questions of the book, in its parts.

    Exit status 0. No server is asked.
    """
    from stepwatch.store.querybook import PARTS, questions

    book = questions().values()
    if as_json:
        for one in book:
            print(json.dumps(_object(one), ensure_ascii=False))
        return
    size = max(len(one.name) for one in book)
    for part, title in PARTS.items():
        print(screen.paint(title, "bold"))
        for one in book:
            if one.part == part:
                print(f"  {one.name.ljust(size)}  {one.title}")
    screen.say(f"{screen.counted(len(book), 'question')}; `stepwatch query show NAME` explains one")


@commands.command()
def show(
    name: Name,
    sql: Annotated[bool, typer.Option("--sql", help="The query alone, for another client.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show a question: what it is for, its parameters, its columns, how to read the answer, its SQL.

    Exit status 0; 2 where the book has no such question. No server is asked.
    """
    one = _question(name)
    if sql:
        print(one.sql)
    elif as_json:
        print(json.dumps(_object(one) | {"sql": one.sql}, ensure_ascii=False))
    else:
        _explain(one)


@commands.command()
def run(
    name: Name,
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="A parameter; give several.")
    ] = None,
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    fmt: Annotated[Format, typer.Option("--format", help="How the answer is written.")] = Format.TABLE,
    of_run: RunName = None,
    stats: Annotated[
        bool, typer.Option("--stats", help="Say what ClickHouse read for it, and how long it took.")
    ] = False,
    data: Data = None,
    patience_s: Patience = PATIENCE_S,
) -> None:
    """Ask a question of the tables.

    Values go to ClickHouse as parameters of the request, never into the text of the query. Times are UTC. In CSV and
    TSV a text that a spreadsheet could take for a formula has an apostrophe before it.

    Exit status 0; 2 where the book has no such question, a parameter is missing or wrong, or ClickHouse refuses; 3
    where it does not answer.
    """
    from stepwatch.store.answers import ask
    from stepwatch.store.querybook import BookError

    one = _question(name)
    now = datetime.now(UTC)
    given = dict(pairs(param or []))
    said = moments(since, until, now) | ({} if tenant is None else {"tenant": tenant})
    if twice := sorted(set(said) & set(given)):
        raise Misused(f"{twice[0]} is given by --{twice[0]} and by --param: leave one out")
    try:
        values = one.bind(given | said, now)
    except BookError as error:
        raise Misused(f"{error}; `stepwatch query show {name}` explains them") from error
    with reading_tables(data, of_run, patience_s) as (client, _):
        answer = ask(client, one, values)
    sys.stdout.write(written(answer, fmt))
    sys.stdout.flush()
    if fmt is Format.TABLE:
        screen.say(screen.counted(len(answer.rows), "row"))
    if stats:
        scanned = f"{answer.rows_read:,} rows and {answer.bytes_read / 1e6:,.1f} MB"
        screen.say(f"{scanned} scanned in {answer.elapsed_s * 1000:,.0f} ms")


def _question(name: str) -> Question:
    from stepwatch.store.querybook import BookError, question

    try:
        return question(name)
    except BookError as error:
        raise Misused(str(error)) from error


def _object(one: Question) -> dict[str, object]:
    return {
        "name": one.name,
        "part": one.part,
        "title": one.title,
        "purpose": one.purpose,
        "parameters": [
            {
                "name": each.name,
                "type": each.type,
                "default": None if each.required else each.default,
                "meaning": each.meaning,
            }
            for each in one.parameters
        ],
        "columns": [{"name": each.name, "meaning": each.meaning} for each in one.columns],
        "read_so": one.read_so,
    }


def _explain(one: Question) -> None:
    room = screen.width()
    print(screen.paint(one.title, "bold"))
    print(screen.wrapped(one.purpose[:1].upper() + one.purpose[1:], room, ""))
    print(screen.paint("\nPARAMETERS", "bold"))
    for each in one.parameters:
        option = f"--{each.name}" if each.name in _PERIOD else f"--param {each.name}="
        default = "needed" if each.required else f"default {each.default}"
        print(screen.wrapped(f"{option}  {each.meaning} ({each.type}, {default})", room, "  "))
    print(screen.paint("\nCOLUMNS", "bold"))
    size = max(len(column.name) for column in one.columns)
    for column in one.columns:
        print(screen.wrapped(f"{column.name.ljust(size)}  {column.meaning}", room, "  "))
    print(screen.paint("\nREAD IT SO", "bold"))
    print(screen.wrapped(one.read_so, room, "  "))
    print(screen.paint("\nSQL", "bold"))
    print(one.sql)
