"""Rows of bytes into a table, as they are: one insert a batch, and no row of a batch can stop another.

ClickHouse refuses a batch whole for one row that it cannot read. The batch is then cut around the row
that its message names, or in halves where that was wrong, until each row that it refuses stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from clickhouse_connect.driver.client import Client

from stepwatch.store.client import Trouble, trouble_of, words_of

INSERT_SETTINGS: dict[str, int | str] = {
    # Older servers read neither `Z` nor an offset by default, and stop at fields of a newer worker.
    "date_time_input_format": "best_effort",
    "input_format_skip_unknown_fields": 1,
    "input_format_null_as_default": 1,
    "input_format_json_read_numbers_as_strings": 1,
    # A lone surrogate in a text is the text's business, not a reason to refuse the row.
    "input_format_json_throw_on_bad_escape_sequence": 0,
    # The answer must mean that the rows are in the table, in every table that a view feeds.
    "async_insert": 0,
    "wait_end_of_query": 1,
    # A retry after a half-done insert must fill the view's table too; the key makes it harmless.
    "insert_deduplicate": 0,
    # Event times reach back to 1970: a batch over more than 100 months is no fault of its rows.
    "max_partitions_per_insert_block": 0,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that ClickHouse refuses even alone: its place in the batch, and what the server said."""

    index: int
    words: str


@dataclass(slots=True)
class Loaded:
    """What became of a batch.

    Attributes:
        rows: how many are in the table now.
        refusals: the others, by place.
        inserts: how many requests it took.
    """

    rows: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    inserts: int = 0


class Loader:
    """Inserts batches through one client, from one thread at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        known = client.server_settings
        self._settings = {
            name: value for name, value in INSERT_SETTINGS.items() if name in known or name == "wait_end_of_query"
        }

    def load(self, table: str, rows: Sequence[bytes]) -> Loaded:
        """Insert a batch; each row is one JSON object whose keys are columns.

        Args:
            table: its name, without database.
            rows: at least one; in the order of their records.

        Returns:
            What became of each row.

        Raises:
            Exception: what the client raises where the trouble is not in the rows (`trouble_of` says which);
                some of the rows may be stored then, so the whole batch is to be loaded again.
        """
        loaded = Loaded()
        good = [index for index, row in enumerate(rows) if _is_framed(row)]
        if len(good) < len(rows):
            bad = sorted(set(range(len(rows))) - set(good))
            loaded.refusals = [Refusal(index, "expected one JSON object, {…}") for index in bad]
            rows = [rows[index] for index in good]
        self._load_framed(table, rows, good, loaded)
        loaded.refusals.sort(key=lambda refusal: refusal.index)
        return loaded

    def _load_framed(self, table: str, rows: Sequence[bytes], places: Sequence[int], loaded: Loaded) -> None:
        parts = [(0, len(rows), False)] if rows else []
        trust = True
        while parts:
            start, end, suspected = parts.pop()
            loaded.inserts += 1
            error = self._insert(table, rows[start:end])
            if error is None:
                loaded.rows += end - start
                # The server named a row that it takes: from here on halves, which need no trust.
                trust = trust and not suspected
            elif end - start == 1:
                loaded.refusals.append(Refusal(places[start], words_of(error)))
            else:
                parts += _cut(start, end, _row_named(error) if trust else None)

    def _insert(self, table: str, rows: Sequence[bytes]) -> Exception | None:
        """Insert, or the error that is the rows' own fault."""
        try:
            self._client.raw_insert(table, insert_block=b"\n".join(rows), settings=self._settings, fmt="JSONEachRow")
        except Exception as error:
            if trouble_of(error) is not Trouble.ROWS:
                raise
            return error
        return None


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
