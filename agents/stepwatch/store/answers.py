"""A question of the book asked of ClickHouse: its rows with their types, and what the server read for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from stepwatch.store.querybook import Question

READONLY: Final = {"readonly": 2}
"""Set for every question: it reads, whoever asks."""
_EXACT: Final = {
    # JSON has no number for these; and a verdict's counts stay numbers.
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What ClickHouse said.

    Attributes:
        names, types: of the columns; types are ClickHouse's.
        rows: values as JSON has them: times are text in UTC.
        rows_read, bytes_read: what the server scanned, before any condition.
        elapsed_s: seconds that it took, as the server says.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[list[Any]]
    rows_read: int
    bytes_read: int
    elapsed_s: float

    def objects(self) -> list[dict[str, Any]]:
        """The rows by the names of their columns."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


def ask(client: Client, question: Question, values: Mapping[str, Any]) -> Answer:
    """Ask a question of the selected database.

    Args:
        client: connected.
        question: of the book.
        values: each parameter, as `Question.bind` gives them.

    Raises:
        Exception: whatever the client raises.
    """
    return read_answer(reading(client, question.sql, values, "JSONCompact", _EXACT))


def reading(client: Client, sql: str, values: Mapping[str, Any], fmt: str, settings: Mapping[str, Any]) -> bytes:
    """The answer to a query that may only read, in a format of ClickHouse's."""
    return bytes(_asked(client.raw_query, sql, values, fmt, settings))


def streaming(client: Client, sql: str, values: Mapping[str, Any], fmt: str) -> Any:
    """The same as a stream, with `read(bytes)` and `close()`; an answer that breaks off raises where it is read."""
    return _asked(client.raw_stream, sql, values, fmt, {})


def _asked(
    method: Callable[..., Any], sql: str, values: Mapping[str, Any], fmt: str, settings: Mapping[str, Any]
) -> Any:
    try:
        return method(sql, dict(values), settings={**READONLY, **settings}, fmt=fmt)
    except Exception as error:
        # A user of `readonly = 1` may set nothing, and reads only anyway.
        if "readonly" not in str(error).lower():
            raise
        return method(sql, dict(values), fmt=fmt)


def read_answer(content: bytes) -> Answer:
    """An answer in ClickHouse's format JSONCompact."""
    said = json.loads(content)
    meta, statistics = said["meta"], said["statistics"]
    return Answer(
        names=tuple(column["name"] for column in meta),
        types=tuple(column["type"] for column in meta),
        rows=said["data"],
        rows_read=statistics["rows_read"],
        bytes_read=statistics["bytes_read"],
        elapsed_s=statistics["elapsed"],
    )
