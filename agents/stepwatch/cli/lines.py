"""Records of a file, plain or gzipped, as they are or said in our words by an adapter."""

from __future__ import annotations

import gzip
import sys
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from io import BufferedReader
from itertools import groupby
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from stepwatch.cli.errors import Misused
from stepwatch.cli.reading import FAILURES, files_of, unreadable
from stepwatch.cli.unpacking import Batch, Unpacker
from stepwatch.cli.values import records_on
from stepwatch.sources.base import NOT_JSON, Adapter, Skip

AS_THEY_ARE = "stepwatch"
_LINES_NAMED = 20
"""Of one reason why something is no event."""
_PIECE_BYTES = 256 * 1024
_GZIP = b"\x1f\x8b"


class Origin(NamedTuple):
    """Where an event came from: the line of a file, or the record of its array; `file` is `""` where there is one."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}: line {self.line}" if self.file else f"line {self.line}"


@contextmanager
def _open(path: Path | None) -> Iterator[IO[bytes]]:
    """The content of a file, or of standard input; a gzipped one is unpacked on the way.

    Raises:
        Misused: it cannot be read, or not to its end.
    """
    if path is None and sys.stdin is None:
        raise Misused("standard input is closed: name a file, or pipe the events in")
    try:
        with nullcontext(sys.stdin.buffer) if path is None else path.open("rb") as file:
            # A pipe has no place to go back to.
            packed = isinstance(file, BufferedReader) and file.peek(len(_GZIP)).startswith(_GZIP)
            yield gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[misc]
    except FAILURES as error:
        raise unreadable(path or Path("standard input"), error) from error


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
        records = records_on(record)
        if self.adapter is None:
            return records
        found = []
        for text in records:
            for said in self.adapter.events(text):
                if isinstance(said, Skip) and said != NOT_JSON:
                    self._skip(said, (file, noun, number))
                else:
                    # What is no JSON stays as it is: it is then rejected with its line, not passed over in silence.
                    found.append(text if isinstance(said, Skip) else msgspec.json.encode(said))
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
    """The records of a log as events, one each, remembering from which line (or which record) each came.

    Args:
        path: of a file, or of a folder: all in it and those below it; `-` is standard input.
        adapter: of the product; None: the records are events as they are.

    Attributes:
        lines_read: how many lines, blank ones too; of arrays and documents how many records.

    Raises:
        Misused: it is not there; while it is gone over: a file cannot be read.
    """

    def __init__(self, path: str, adapter: Adapter | None) -> None:
        self.lines_read = 0
        self._files: list[Path | None] = [None] if path == "-" else [*files_of(Path(path))]
        self._conversion = Conversion(adapter)
        self._origins = array("Q")
        self._firsts: list[int] = []

    def __iter__(self) -> Iterator[bytes]:
        for file in self._files:
            self._firsts.append(len(self._origins))
            name = self._name(len(self._firsts) - 1)
            with _open(file) as content:
                for batch in _batches(content):
                    self.lines_read += len(batch.values)
                    for number, record in enumerate(batch.values, batch.first):
                        for value in self._conversion.events(record, name, batch.noun, number):
                            self._origins.append(number)
                            yield value

    def placed(self) -> Iterator[tuple[Origin, bytes]]:
        """The same with where each came from, and nothing remembered: for files that no memory holds."""
        for index, file in enumerate(self._files):
            name = self._name(index)
            with _open(file) as content:
                for batch in _batches(content):
                    self.lines_read += len(batch.values)
                    for number, record in enumerate(batch.values, batch.first):
                        for value in self._conversion.events(record, name, batch.noun, number):
                            yield Origin(name, number), value

    def _name(self, index: int) -> str:
        return str(self._files[index]) if len(self._files) > 1 else ""

    def origin(self, number: int) -> Origin:
        """Where the event of this number (from 1) came from."""
        index = bisect_right(self._firsts, number - 1) - 1
        return Origin(self._name(index), self._origins[number - 1])

    @property
    def skipped(self) -> Counter[Skip]:
        """Lines and records that are no event, by reason and field."""
        return self._conversion.skipped

    def skips_in_words(self) -> list[str]:
        """What is no event; see `Conversion`."""
        return self._conversion.skips_in_words()


def _batches(content: IO[bytes]) -> Iterator[Batch]:
    unpacker = Unpacker()
    while piece := content.read(_PIECE_BYTES):
        if batch := unpacker.feed(piece):
            yield batch
    if batch := unpacker.finish():
        yield batch
