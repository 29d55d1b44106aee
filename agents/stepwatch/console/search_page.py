"""Search over verdicts by any column; what is asked stands in the address, and can be taken along as a file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import IO, Any, Final

from clickhouse_connect.driver.client import Client
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stepwatch.agents.logs import get_logger
from stepwatch.console.action_page import away
from stepwatch.console.requests import Refusal, console_of, render, viewer_of
from stepwatch.console.searching import EXPORT_ROWS_MAX, PAGE_ROWS, TEXTS, WORDS, BadSearch, Search, search_of
from stepwatch.console.shown import moment
from stepwatch.console.tables import Row, TablesAway
from stepwatch.store.answers import streaming
from stepwatch.store.export import FORMATS, selected

log = get_logger(__name__)
_KINDS: Final = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_PIECE_BYTES: Final = 256 * 1024
_FIRST: Final = ("tenant", "subject", "action", "policy", "session", "resource_id")
"""Filters that are always there; the rest unfold."""


async def search(request: Request) -> Response:
    """The page."""
    console, user = console_of(request), viewer_of(request).user
    wanted = _wanted(request)
    rows: list[Row] = []
    words = ""
    try:
        sql, values = wanted.rows(user.sees_all, list(user.tenants))
        rows = await console.tables.rows(sql, **values)
    except TablesAway as error:
        words = str(error)
    said = wanted.said()
    return render(
        request,
        "search.html",
        503 if words else 200,
        wanted=wanted,
        said=said,
        rows=rows[:PAGE_ROWS],
        next=wanted.next_place(rows),
        away=words,
        words=WORDS,
        first=[name for name in _FIRST if name != "tenant" or user.sees_all or len(user.tenants) > 1],
        more=[name for name in TEXTS if name not in _FIRST],
        unfolded=any(name in said for name in (*TEXTS, "sensitivity", "outcome") if name not in _FIRST),
        further=wanted.place is not None,
        most=EXPORT_ROWS_MAX,
    )


async def as_csv(request: Request) -> Response:
    """All that is found as CSV, every column, texts made safe for spreadsheets."""
    return await _export(request, "csv")


async def as_parquet(request: Request) -> Response:
    """The same as Parquet, texts as they are."""
    return await _export(request, "parquet")


async def _export(request: Request, fmt: str) -> Response:
    console, user = console_of(request), viewer_of(request).user
    wanted = _wanted(request)
    sql, values = wanted.whole(user.sees_all, list(user.tenants))
    if console.exporting.locked():
        raise Refusal(503, "Too many exports", "others are being made: try again in a minute", {"Retry-After": "30"})
    async with console.exporting:
        try:
            # Whole before its first byte is sent: a file that breaks off looks like one that does not.
            file, size = await console.tables.use(lambda client: _written(client, sql, values, fmt))
        except TablesAway as error:
            raise away(error) from error
    log.info("exported a search", by=user.name, format=fmt, filters=sorted(wanted.filters), bytes=size)
    name = f"stepwatch-{moment(console.clock())[:16].replace(' ', 'T').replace(':', '')}.{fmt}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size)}
    return StreamingResponse(_pieces(file), media_type=_KINDS[fmt], headers=headers)


def _written(client: Client, sql: str, values: Mapping[str, Any], fmt: str) -> tuple[IO[bytes], int]:
    """A file without a name that holds the answer, and its bytes."""
    columns = selected(client, sql, values, fmt)
    with ExitStack() as held:
        file = held.enter_context(tempfile.TemporaryFile())
        with closing(streaming(client, f"SELECT {columns} FROM ({sql}) AS found", values, FORMATS[fmt])) as stream:
            shutil.copyfileobj(stream, file, _PIECE_BYTES)
        size = file.tell()
        file.seek(0)
        held.pop_all()
    return file, size


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def _wanted(request: Request) -> Search:
    try:
        return search_of(request.query_params, console_of(request).clock())
    except BadSearch as error:
        raise Refusal(400, "No such search", str(error)) from error
