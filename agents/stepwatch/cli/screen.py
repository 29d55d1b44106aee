"""The terminal: data to standard output, messages to standard error, colour and width only where somebody looks."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import TextIO

from rich.cells import cell_len, chop_cells, set_cell_size

from stepwatch.notifiers.plain import plain

VALUE_CHARACTERS_MAX = 2000
"""A longer value is cut: a screen is no place for it, `--json` shows it whole."""
GAP = "  "
_NONE: Set[int] = frozenset()
_COLUMN_MIN = 12
_ROOM_MIN = 20
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}


def prepare() -> None:
    """Let no character end a command: what a stream cannot show, it shows as its number."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def say(message: str) -> None:
    """A message for a person, on standard error, every line made safe."""
    for line in message.splitlines() or [""]:
        print(shown(line), file=sys.stderr, flush=True)


def shown(value: object) -> str:
    """A value as one safe line: an attacker's subject must not move the cursor of whoever reads."""
    return plain(str(value), VALUE_CHARACTERS_MAX)


def width(stream: TextIO | None = None) -> int | None:
    """Columns of the terminal behind a stream (default: standard output); None where there is none: cut nothing."""
    stream = sys.stdout if stream is None else stream
    return shutil.get_terminal_size((80, 24)).columns if stream.isatty() else None


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Text in a colour, where the stream (default: standard output) is a terminal and nobody set NO_COLOR."""
    stream = sys.stdout if stream is None else stream
    wanted = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if wanted and colour else text


def fit(text: str, columns: int) -> str:
    """Text in exactly so many columns, cut with `…` where it is longer."""
    have = len(text) if text.isascii() else cell_len(text)
    if have == columns:
        return text
    if have < columns:
        return text + " " * (columns - have)
    return set_cell_size(text, columns - 1) + "…"


def columns_of(rows: Iterable[Sequence[str]], most: Sequence[int]) -> list[int]:
    """The widest value of each column, but at most so many columns."""
    widest = [0] * len(most)
    for row in rows:
        for index, value in enumerate(row):
            have = len(value) if value.isascii() else cell_len(value)
            if have > widest[index]:
                widest[index] = have
    return [min(have, bound) for have, bound in zip(widest, most, strict=True)]


def wrapped(text: str, room: int | None, indent: str) -> str:
    """Text in lines of at most `room` columns, each begun with `indent`; one line where room is None."""
    if room is None or len(indent) + (len(text) if text.isascii() else cell_len(text)) <= room:
        return indent + text
    return "\n".join(indent + line for line in _lines(text, max(room - len(indent), _ROOM_MIN)))


def _lines(text: str, room: int) -> Iterator[str]:
    """Text broken between words, or inside a word that alone is too wide; in columns, not characters."""
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= room:
            line = joined
            continue
        if line:
            yield line
        *whole, line = chop_cells(word, room)
        yield from whole
    yield line


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: Set[int] = _NONE, whole: Set[int] = _NONE
) -> str:
    """Rows in aligned columns; where the terminal is too narrow for them, one value a line.

    Args:
        header: names of the columns.
        rows: safe values (`shown`).
        right: numbers of the columns that are numbers.
        whole: numbers of the columns that are never cut: half a number or a time is another one.
    """
    room = width()
    sizes = columns_of([header, *rows], [VALUE_CHARACTERS_MAX] * len(header))
    if room is not None and not _narrowed(sizes, room - len(GAP) * (len(sizes) - 1), whole):
        return _one_value_a_line(header, rows, room)

    def line(values: Sequence[str]) -> str:
        cells = [
            fit(value.rjust(size) if index in right else value, size)
            for index, (value, size) in enumerate(zip(values, sizes, strict=True))
        ]
        return GAP.join(cells).rstrip()

    return "\n".join([paint(line(header), "bold"), *map(line, rows)])


def _narrowed(sizes: list[int], room: int, whole: Set[int]) -> bool:
    """Make the widest columns narrower until all fit; False where they cannot."""
    while sum(sizes) > room:
        free = [index for index, size in enumerate(sizes) if index not in whole and size > _COLUMN_MIN]
        if not free:
            return False
        sizes[max(free, key=sizes.__getitem__)] -= 1
    return True


def _one_value_a_line(header: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> str:
    size = max(map(len, header))
    lines = []
    for number, row in enumerate(rows, start=1):
        lines.append(paint(f"row {number}", "bold"))
        for name, value in zip(header, row, strict=True):
            first, *rest = wrapped(value, max(room - size - len(GAP), 20), "").split("\n")
            lines.append(f"{name.rjust(size)}{GAP}{first}".rstrip())
            lines += [" " * (size + len(GAP)) + more for more in rest]
    return "\n".join(lines)


def counted(count: int, singular: str, plural: str = "") -> str:
    """`1 line`, `3 lines`, `1,000 lines`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
