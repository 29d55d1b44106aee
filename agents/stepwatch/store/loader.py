"""Rows of bytes into a table, as they are: one insert a batch, and no row of a batch can stop another.

ClickHouse refuses a batch whole for one row that it cannot read. The batch is then cut around the row
that its message names, or in halves where that was wrong, until each row that it refuses stands alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final

from clickhouse_connect.driver.binding import format_str, quote_identifier
from clickhouse_connect.driver.client import Client

from stepwatch.store.client import NotClickHouse, Trouble, trouble_of, words_of

INSERT_SETTINGS: dict[str, int | str] = {
    # Older servers read neither `Z` nor an offset by default, and stop at fields of a newer worker.
    "date_time_input_format": "best_effort",
    "input_format_skip_unknown_fields": 1,
    "input_format_null_as_default": 1,
    "input_format_json_read_numbers_as_strings": 1,
    # A lone surrogate in a text is the text's business, not a reason to refuse the row.
    "input_format_json_throw_on_bad_escape_sequence": 0,
    # A profile that lets bad rows pass would let them vanish.
    "input_format_allow_errors_num": 0,
    "input_format_allow_errors_ratio": 0,
    # Chunks side by side cost as much CPU, and half as much memory again for each batch.
    "input_format_parallel_parsing": 0,
    # The answer must mean that the rows are in the table, in every table that a view feeds.
    "async_insert": 0,
    "wait_end_of_query": 1,
    # A retry after a half-done insert must fill the view's table too; the key makes it harmless.
    "insert_deduplicate": 0,
    # Event times reach back to 1970: a batch over more than 100 months is no fault of its rows.
    "max_partitions_per_insert_block": 0,
}

_PLAIN: Final = re.compile(r"LowCardinality\(String\)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that ClickHouse refuses even alone: its place in the batch, and what the server said."""

    index: int
    words: str


class Loading:
    """A batch on its way into a table: what became of its rows, and what is still to be tried.

    Attributes:
        table: its name, without database.
        rows: how many are in the table now.
        refusals: rows that ClickHouse refuses even alone, by place once the batch is done.
        inserts: how many requests it took, those that came to nothing too.
    """

    def __init__(self, table: str, rows: Sequence[bytes]) -> None:
        """A batch of which nothing was tried yet.

        Args:
            table: its name, without database.
            rows: each one JSON object whose keys are columns; in the order of their records.
        """
        good = [index for index, row in enumerate(rows) if _is_framed(row)]
        bad = sorted(set(range(len(rows))) - set(good))
        self.table = table
        self.rows = 0
        self.refusals = [Refusal(index, "expected one JSON object, {…}") for index in bad]
        self.inserts = 0
        self._rows = [rows[index] for index in good]
        self._places = good
        self._parts = [(0, len(good), False)] if good else []
        self._trust = True

    @property
    def left(self) -> int:
        """How many rows are neither in the table nor refused yet."""
        return sum(end - start for start, end, _suspected in self._parts)

    def next_part(self) -> list[bytes]:
        """The rows to insert next; `took` or `refused` says what became of them."""
        start, end, _suspected = self._parts[-1]
        return self._rows[start:end]

    def took(self) -> None:
        """The next part is in the table."""
        start, end, suspected = self._parts.pop()
        self.rows += end - start
        # The server named a row that it takes: from here on halves, which need no trust.
        self._trust = self._trust and not suspected

    def refused(self, error: Exception) -> None:
        """The next part was refused for one of its rows: it is cut, or set aside where it is one row."""
        start, end, _suspected = self._parts.pop()
        if end - start == 1:
            self.refusals.append(Refusal(self._places[start], words_of(error)))
            self.refusals.sort(key=lambda refusal: refusal.index)
        else:
            self._parts += _cut(start, end, _row_named(error) if self._trust else None)


class Loader:
    """Inserts batches through one client, from one thread at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._targets: dict[str, str] = {}
        known = client.server_settings
        self._settings = {
            name: value for name, value in INSERT_SETTINGS.items() if name in known or name == "wait_end_of_query"
        }

    def load(self, table: str, rows: Sequence[bytes]) -> Loading:
        """Insert a batch, from its begin to its end; for errors see `go_on`."""
        loading = Loading(table, rows)
        self.go_on(loading)
        return loading

    def go_on(self, loading: Loading) -> None:
        """Insert what a batch still lacks; returns when it is done.

        Raises:
            Exception: trouble that is not in the rows (`trouble_of`). Called again, it goes on where it stood: a
                server that fails at every tenth request would otherwise never see the end of a batch with ten bad
                rows. Only the part whose answer was lost is inserted again.
        """
        while loading.left:
            loading.inserts += 1
            error = self._insert(loading.table, loading.next_part())
            if error is None:
                loading.took()
            else:
                loading.refused(error)

    def _target(self, table: str) -> str:
        if table not in self._targets:
            answer = self._client.raw_query(f"DESCRIBE TABLE {quote_identifier(table)}", fmt="JSONCompactColumns")
            try:
                names, kinds, defaults, *_ = json.loads(answer)
            except ValueError as error:
                raise NotClickHouse(NotClickHouse.words) from error
            written = [default not in ("MATERIALIZED", "ALIAS") for default in defaults]
            self._targets[table] = _target_of(table, list(compress(zip(names, kinds, strict=True), written)))
        return self._targets[table]

    def _insert(self, table: str, rows: Sequence[bytes]) -> Exception | None:
        """Insert, or the error that is the rows' own fault."""
        try:
            answer = self._client.raw_insert(
                self._target(table), insert_block=b"\n".join(rows), settings=self._settings, fmt="JSONEachRow"
            )
        except Exception as error:
            if trouble_of(error) is not Trouble.ROWS:
                raise
            return error
        if not any(answer.summary.values()):
            # A gate before it that shows its page about repairs with status 200 has stored nothing.
            raise NotClickHouse(NotClickHouse.words)
        return None


def _target_of(table: str, columns: Sequence[tuple[str, str]]) -> str:
    """What stands between `INSERT INTO` and `FORMAT`, which the client writes as it is given.

    ClickHouse looks each value of a `LowCardinality` column up by itself where it reads rows, and all of a block at
    once where it converts a column: read as plain texts and then converted, a row of `audit` costs two thirds.
    """
    names = ", ".join(quote_identifier(name) for name, _ in columns)
    shape = ", ".join(f"{quote_identifier(name)} {_PLAIN.sub('String', kind)}" for name, kind in columns)
    return f"{quote_identifier(table)} ({names}) SELECT {names} FROM input({format_str(shape)})"


def _is_framed(row: bytes) -> bool:
    """Whether a row can stand in a batch at all: an empty one would vanish, a `[` would swallow the rest."""
    return row[:1] == b"{" and row[-1:] == b"}"


def _row_named(error: Exception) -> int | None:
    """The row, from 0, that the server's message names."""
    found = re.search(r"\(at row (\d{1,9})\)", str(error))
    return int(found[1]) - 1 if found else None


def _cut(start: int, end: int, named: int | None) -> list[tuple[int, int, bool]]:
    """A refused part as smaller ones, first to try last: (start, end, whether the server named it)."""
    if named is None or not 0 <= named < end - start:
        middle = (start + end) // 2
        return [(middle, end, False), (start, middle, False)]
    row = start + named
    parts = [(row + 1, end, False), (start, row, False), (row, row + 1, True)]
    return [part for part in parts if part[0] < part[1]]
