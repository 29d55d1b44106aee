"""Records of a file, plain or gzipped, as they are or said in our words by an adapter."""

from __future__ import annotations

import gzip
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import IO

import msgspec

from stepwatch.cli.errors import Misused
from stepwatch.cli.unpacking import Batch, Unpacker
from stepwatch.sources.base import NOT_JSON, Adapter, Skip

AS_THEY_ARE = "stepwatch"
_LINES_NAMED = 20
"""Of one reason why something is no event."""
_PIECE_BYTES = 256 * 1024
_GZIP = b"\x1f\x8b"


@contextmanager
def open_lines(path: str) -> Iterator[IO[bytes]]:
    """The lines of a file; `-` is standard input. A gzipped file is unpacked on the way.

    Raises:
        Misused: it cannot be read.
    """
    if path == "-":
        if sys.stdin is None:
            raise Misused("standard input is closed: name a file, or pipe the events in")
        yield sys.stdin.buffer
        return
    with _open(path) as file:
        # A pipe has no place to go back to.
        packed = file.seekable() and file.read(2) == _GZIP
        if file.seekable():
            file.seek(0)
        if not packed:
            yield file
            return
        try:
            yield gzip.GzipFile(fileobj=file)  # type: ignore[misc]
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Misused(f"{path}: cannot be unpacked: {error}") from error


def _open(path: str) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise Misused(f"{path}: cannot be read: {error.strerror or error}") from error


def adapter_of(name: str) -> Adapter | None:
    """The adapter after `--from`; None for events as they are.

    Raises:
        Misused: there is no such adapter.
    """
    if name == AS_THEY_ARE:
        return None
    from stepwatch.sources import ADAPTERS

    if name not in ADAPTERS:
        known = ", ".join([*sorted(ADAPTERS), AS_THEY_ARE])
        raise Misused(f"--from {name}: no such source; known are {known}")
    return ADAPTERS[name]


class Conversion:
    """Records of a log as events, and a count of those that are none.

    Args:
        adapter: of the product; None: the records are events as they are.

    Attributes:
        skipped: lines and records that are no event, by reason and field.
    """

    def __init__(self, adapter: Adapter | None) -> None:
        self.skipped: Counter[Skip] = Counter()
        self.adapter = adapter
        self._places: dict[Skip, list[tuple[str, str, int]]] = {}

    def events(self, record: bytes, file: str, noun: str, number: int) -> Sequence[bytes]:
        """The events of a record, as JSON.

        Args:
            record: as it stands in the file, on one line.
            file: its name, `""` where there is only one.
            noun: what is counted in it, `line` or `record`.
            number: of the record, from 1.
        """
        if self.adapter is None:
            return (record,)
        found = []
        for said in self.adapter.events(record):
            if isinstance(said, Skip) and said != NOT_JSON:
                self._skip(said, (file, noun, number))
            else:
                # What is no JSON stays as it is: it is then rejected with its line, not passed over in silence.
                found.append(record if isinstance(said, Skip) else msgspec.json.encode(said))
        return found

    def _skip(self, skip: Skip, place: tuple[str, str, int]) -> None:
        self.skipped[skip] += 1
        first = self._places.setdefault(skip, [])
        if len(first) < _LINES_NAMED and place not in first:
            first.append(place)

    def skips_in_words(self) -> list[str]:
        """What is no event: how much, then a line for each reason with the first lines that it holds for."""
        if not self.skipped:
            return []
        count = self.skipped.total()
        said = [f"{count:,} {'record is' if count == 1 else 'records are'} no event of ours:"]
        for skip, times in self.skipped.most_common():
            more = ", …" if times > len(self._places[skip]) else ""
            said.append(f"{times:>7,}  {skip.reason} ({skip.field}): {_in_words(self._places[skip])}{more}")
        return said


def _in_words(places: list[tuple[str, str, int]]) -> str:
    """`lines 3, 5`; of several files `a.json: record 3; b.json: lines 1, 2`."""
    said = []
    for (file, noun), group in groupby(places, key=lambda place: place[:2]):
        numbers = [str(number) for _, _, number in group]
        said.append(f"{file}{': ' if file else ''}{noun}{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}")
    return "; ".join(said)


class Converted:
    """The records of a file as events, one each, remembering from which line (or which record) each came.

    Attributes:
        lines_read: how many lines, blank ones too; of arrays and documents how many records.
    """

    def __init__(self, lines: IO[bytes], adapter: Adapter | None) -> None:
        self.lines_read = 0
        self._lines = lines
        self._conversion = Conversion(adapter)
        self._origins = array("Q")

    def __iter__(self) -> Iterator[bytes]:
        for batch in self._batches():
            self.lines_read += len(batch.values)
            if self._conversion.adapter is None:
                yield from batch.values
                continue
            for number, record in enumerate(batch.values, batch.first):
                for value in self._conversion.events(record, "", batch.noun, number):
                    self._origins.append(number)
                    yield value

    def _batches(self) -> Iterator[Batch]:
        unpacker = Unpacker()
        while piece := self._lines.read(_PIECE_BYTES):
            if batch := unpacker.feed(piece):
                yield batch
        if batch := unpacker.finish():
            yield batch

    def origin(self, number: int) -> int:
        """The line of the file, or the record of its array, from which the event of this number (from 1) came."""
        return number if self._conversion.adapter is None else self._origins[number - 1]

    @property
    def skipped(self) -> Counter[Skip]:
        """Lines and records that are no event, by reason and field."""
        return self._conversion.skipped

    def skips_in_words(self) -> list[str]:
        """What is no event; see `Conversion`."""
        return self._conversion.skips_in_words()
