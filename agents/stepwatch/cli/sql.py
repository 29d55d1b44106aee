"""`stepwatch sql`: one question to the tables, as a user who may only read."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepwatch.cli import screen
from stepwatch.cli.clickhouse import known_refusal
from stepwatch.cli.errors import Misused, NoTables
from stepwatch.store.cells import is_number, is_time

if TYPE_CHECKING:
    from stepwatch.agents.settings import Settings

_CONTROLS = bytes(byte if byte in b"\n\t" or 31 < byte != 127 else ord("?") for byte in range(256))
_FORMATTED = re.compile(r"\bFORMAT\s+\w+\s*$", re.I)
_TABLE = "JSONCompactStringsEachRowWithNamesAndTypes"
_READONLY = {"readonly": 2}
_WELL_S = 10
"""How long ClickHouse may be silent when it is asked what it is, which a server that is well says at once."""
_QUERY_S = 60


def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A SELECT, SHOW or DESCRIBE; - reads it from input.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")] = False,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")] = None,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Ask the tables of a run of `replay --into` instead.")
    ] = None,
    patience_s: Annotated[
        int, typer.Option("--timeout", metavar="SECONDS", min=1, help="How long to wait for an answer.")
    ] = _QUERY_S,
) -> None:
    """Ask the tables, reading only.

    A FORMAT at the end of the query is kept as it is. A ClickHouse that hangs is not waited for: one that does not even
    say what it is ends the command after 10 s.

    Exit status 0; 2 where ClickHouse refuses the query; 3 where it does not answer.
    """
    from stepwatch.cli.target import connect, quiet_logs

    settings = connect(data, as_reader=True)
    quiet_logs(settings)
    if run is not None:
        settings = of_run(settings, run)
    text = _trimmed(sys.stdin.read() if query == "-" else query)
    if _FORMATTED.search(text):
        answer = ask(settings, text, None, patience_s)
        # Values are a producer's: on a terminal they must not move the cursor. A file gets them as they are.
        sys.stdout.buffer.write(answer.translate(_CONTROLS) if sys.stdout.isatty() else answer)
    elif as_json:
        sys.stdout.buffer.write(ask(settings, text, "JSONEachRow", patience_s))
    else:
        _print_table(ask(settings, text, _TABLE, patience_s))
    sys.stdout.flush()


def ask(
    settings: Settings, query: str, fmt: str | None, patience_s: int = _QUERY_S, values: dict[str, Any] | None = None
) -> bytes:
    """The answer to a query.

    Args:
        settings: address and user.
        query: as typed.
        fmt: the format, of ClickHouse's, of the answer; None: the one that the query names.
        patience_s: how long the answer may take, s.
        values: of the query's parameters, by name; sent beside it.

    Raises:
        ServerAway: ClickHouse does not answer, or not in time.
        NoTables: it has no such table or database.
        Misused: it refuses the query or us.
    """
    from stepwatch.store.client import BadUrl, open_client, trouble_of, wait_at_most
    from stepwatch.store.tls import TlsRefused

    try:
        client = open_client(settings, answer_timeout_s=min(_WELL_S, patience_s))
        try:
            wait_at_most(client, patience_s)
            # Beside the query, not in it: refusals repeat the query, and it is to be the one that was typed.
            beside: dict[str, Any] = {"default_format": fmt} if fmt else {}
            try:
                return bytes(client.raw_query(query, values, settings={**_READONLY, **beside}))
            except Exception as error:
                # A user of `readonly = 1` may set nothing, not even this, and needs it not.
                if "readonly" not in str(error).lower():
                    raise
                return bytes(client.raw_query(query, values, settings=beside))
        finally:
            client.close()
    except (BadUrl, TlsRefused) as error:
        raise Misused(str(error)) from error
    except Exception as error:
        if trouble_of(error) is None:
            raise
        raise refusal(settings, error) from error


def of_run(settings: Settings, run: str) -> Settings:
    """The same settings, with the database of a run.

    Raises:
        Misused: it is no name for a run.
    """
    from stepwatch.store.runs import RunRefused, database_of

    try:
        database = database_of(settings.clickhouse_database, run)
    except RunRefused as error:
        raise Misused(str(error)) from error
    return settings.model_copy(update={"clickhouse_database": database})


def refusal(settings: Settings, error: Exception) -> Exception:
    """The error of a command that only reads, for an exception of the client."""
    from stepwatch.store.client import name_of, words_of

    silent = "it hangs, or the query takes longer; ask for fewer rows, or wait longer with --timeout SECONDS"
    if (known := known_refusal(settings, error, silent)) is not None:
        return known
    name, words = name_of(error), words_of(error)
    refused = f"ClickHouse refuses the query of user {settings.clickhouse_user}: {words}"
    if name in ("UNKNOWN_TABLE", "UNKNOWN_DATABASE"):
        return NoTables(
            f"{refused} The role `store` makes the tables when it first starts; `show tables` lists them, "
            "and `stepwatch runs list` the runs"
        )
    hint = ""
    if name in ("ACCESS_DENIED", "READONLY"):
        hint = " This command only reads"
    return Misused(f"{refused}{hint}")


def _trimmed(query: str) -> str:
    text = query.strip().rstrip(";").rstrip()
    if not text:
        raise Misused(
            'no query: write one, as in stepwatch sql "select verdict, count() from audit_current group by 1"'
        )
    return text


def _print_table(answer: bytes) -> None:
    lines = answer.decode(errors="replace").splitlines()
    if len(lines) < 2:
        screen.say("no answer: this statement returns no rows")
        return
    names, types, *rows = [json.loads(line) for line in lines]
    right = {index for index, kind in enumerate(types) if is_number(kind)}
    whole = right | {index for index, kind in enumerate(types) if is_time(kind)}
    if rows:
        print(screen.table([*map(screen.shown, names)], [[*map(_cell, row)] for row in rows], right, whole))
    screen.say(screen.counted(len(rows), "row"))


def _cell(value: Any) -> str:
    return "" if value is None else screen.shown(value)
