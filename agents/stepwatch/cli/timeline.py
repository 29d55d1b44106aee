"""A short history drawn in the terminal: one line an event, its mark to scale, the window of the policy behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from stepwatch.cli.screen import GAP, fit, paint
from stepwatch.schemas.times import format_time
from stepwatch.streams.wording import duration

TRACK_MIN: Final = 24
TRACK_MAX: Final = 72
_USUAL: Final = 48
_TEXT: Final = 30
"""Columns for the words, where the terminal has them; at least `_WORD`."""
_WORD: Final = 12
_CLOCK: Final = len("10:05:32")
_BEFORE: Final = "<"
_AFTER: Final = ">"


class Mark(NamedTuple):
    """One event: a letter for it, what it says, and its colour (`""`: none)."""

    time_us: int
    letter: str
    words: str
    colour: str = ""


class Window(NamedTuple):
    """What is drawn behind the marks: event times, both ends in."""

    from_us: int
    until_us: int


def drawn(marks: Sequence[Mark], window: Window, zero_us: int, room: int | None) -> Iterator[str]:
    """The lines of a timeline.

    The window takes about half of the track. What lies a window's length or more outside stands at the edge as `<` or
    `>`.

    Args:
        marks: in the order of their times.
        window: longer than nothing.
        zero_us: the moment from which times are told.
        room: columns of the terminal; None: of any width.
    """
    length_us = max(window.until_us - window.from_us, 1)
    times = [mark.time_us for mark in marks if abs(mark.time_us - zero_us) <= 2 * length_us]
    first_us = min([window.from_us, *times])
    last_us = max([window.until_us, *times])
    # A little air, so that an event just outside does not stand on the border.
    first_us, last_us = first_us - length_us // 16, last_us + length_us // 16
    offsets = [_offset(mark.time_us - zero_us) for mark in marks]
    size = max(map(len, offsets), default=0)
    beside = _CLOCK + size + 3 * len(GAP)
    columns = _USUAL if room is None else max(TRACK_MIN, min(TRACK_MAX, room - _TEXT - beside))

    def column(time_us: int) -> int:
        return round((time_us - first_us) / (last_us - first_us) * (columns - 1))

    empty = [" "] * columns
    left, right = column(window.from_us), column(window.until_us)
    empty[left : right + 1] = "├" + "─" * max(right - left - 1, 0) + "┤"
    yield f"one column is {duration((last_us - first_us) // (columns - 1))}; ├─┤ is where a proof may lie"
    for mark, offset in zip(marks, offsets, strict=True):
        track = list(empty)
        at = column(mark.time_us)
        if 0 <= at < columns:
            track[at] = paint(mark.letter, mark.colour)
        else:
            track[0 if at < 0 else -1] = _BEFORE if at < 0 else _AFTER
        words = mark.words if room is None else fit(mark.words, max(room - beside - columns, _WORD)).rstrip()
        clock = format_time(mark.time_us)[11:19]
        yield f"{clock}{GAP}{offset.rjust(size)}{GAP}{''.join(track)}{GAP}{words}"


def _offset(us: int) -> str:
    return "0 s" if us == 0 else f"{'+' if us > 0 else ''}{duration(us)}"
