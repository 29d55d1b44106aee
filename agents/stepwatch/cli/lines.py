"""Lines of a file of events, plain or gzipped, as they are or said in our words by an adapter."""

from __future__ import annotations

import gzip
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from stepwatch.cli.errors import Misused
from stepwatch.sources.base import NOT_JSON, Adapter, Skip

AS_THEY_ARE = "stepwatch"
_LINES_NAMED = 20
"""Of one reason why something is no event."""
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


class Converted:
    """The lines of a file as events, one each, remembering from which line each came.

    Attributes:
        skipped: lines and records that are no event, by reason and field.
        lines_read: how many lines, blank ones too.
    """

    def __init__(self, lines: IO[bytes], adapter: Adapter | None) -> None:
        self.skipped: Counter[Skip] = Counter()
        self._skipped_lines: dict[Skip, list[int]] = {}
        self.lines_read = 0
        self._lines = lines
        self._adapter = adapter
        self._origins = array("Q")

    def __iter__(self) -> Iterator[bytes]:
        if self._adapter is None:
            for line in self._lines:
                self.lines_read += 1
                yield line
            return
        for number, line in enumerate(self._lines, start=1):
            self.lines_read = number
            for said in self._adapter.events(line):
                if isinstance(said, Skip) and said != NOT_JSON:
                    self.skipped[said] += 1
                    first = self._skipped_lines.setdefault(said, [])
                    if len(first) < _LINES_NAMED and number not in first:
                        first.append(number)
                    continue
                self._origins.append(number)
                # What is no JSON stays as it is: it is then rejected with its line, not passed over in silence.
                yield line if isinstance(said, Skip) else msgspec.json.encode(said)

    def origin(self, number: int) -> int:
        """The line of the file from which the event of this number (from 1) came."""
        return self._origins[number - 1] if self._adapter is not None else number

    def skips_in_words(self) -> list[str]:
        """What is no event: how much, then a line for each reason with the first lines that it holds for."""
        if not self.skipped:
            return []
        count = self.skipped.total()
        said = [f"{count:,} {'record is' if count == 1 else 'records are'} no event of ours:"]
        for skip, times in self.skipped.most_common():
            numbers = self._skipped_lines[skip]
            more = ", …" if times > len(numbers) else ""
            lines = f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}{more}"
            said.append(f"{times:>7,}  {skip.reason} ({skip.field}): {lines}")
        return said
