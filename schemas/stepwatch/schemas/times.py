"""RFC 3339 times as integer microseconds since 1970-01-01 UTC, and back (contract, preamble and section 3)."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1)
TIME_END_US = (date(2262, 1, 1).toordinal() - _EPOCH_DAY) * DAY_US
"""The first moment that no event may have: years 1970 to 2261 (contract section 3)."""

_FORM = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_CACHED_MAX = 4096
_seconds: dict[str, int] = {}
_shown: dict[int, str] = {}
_THOUSANDTHS = [f"{number:03d}" for number in range(1000)]
_MILLISECONDS_US = {f"{shown}Z": number * 1000 for number, shown in enumerate(_THOUSANDTHS)}


def parse_time(text: str) -> int | None:
    """A time of an event, or None where it is none.

    Any offset is read, digits past the sixth are cut, and `23:59:60` UTC is the next second.

    Args:
        text: RFC 3339 with a zone.

    Returns:
        Microseconds since 1970, from 0 to the end of the year 2261; None for everything else.
    """
    # Nearly all events of a stream share few seconds: look the second up, read only what follows its point.
    second, point, fraction = text.partition(".")
    if not point and text[-1:] == "Z":
        second, fraction = text[:-1], "000Z"
    second_us = _seconds.get(second)
    if second_us is not None:
        milliseconds_us = _MILLISECONDS_US.get(fraction)
        if milliseconds_us is not None:
            return second_us + milliseconds_us
        digits = fraction[:-1]
        if fraction[-1:] == "Z" and digits.isdecimal() and digits.isascii():
            return second_us + int(digits[:6].ljust(6, "0"))
    return _parse_slowly(text)


def _parse_slowly(text: str) -> int | None:
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    year, month, day, hour, minute, second = (int(form[i]) for i in range(1, 7))
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    offset_us = 0
    if form[8]:
        if int(form[9]) > 23 or int(form[10]) > 59:
            return None
        offset_us = (int(form[9]) * 60 + int(form[10])) * MINUTE_US * (-1 if form[8] == "-" else 1)
    minute_us = days * DAY_US + hour * HOUR_US + minute * MINUTE_US - offset_us
    if second == 60 and minute_us % DAY_US != DAY_US - MINUTE_US:
        return None
    time_us = minute_us + second * SECOND_US + int((form[7] or "0")[:6].ljust(6, "0"))
    if not 0 <= time_us < TIME_END_US:
        return None
    if not form[8] and second < 60 and text[10] == "T":
        if len(_seconds) >= _CACHED_MAX:
            _seconds.clear()
        _seconds[text[:19]] = minute_us + second * SECOND_US
    return time_us


def format_time(time_us: int) -> str:
    """A time as every row shows it: UTC, six fractional digits and `Z`.

    Args:
        time_us: microseconds since 1970; values outside the years 1 to 9999 are shown at that end.
    """
    # To format a number into six digits would cost as much as all the rest.
    milliseconds = time_us // 1000
    second = milliseconds // 1000
    shown = _shown.get(second) or _show_second(second)
    return f"{shown}{_THOUSANDTHS[milliseconds % 1000]}{_THOUSANDTHS[time_us % 1000]}Z"


def _show_second(second: int) -> str:
    try:
        shown = (_EPOCH + timedelta(seconds=second)).isoformat() + "."
    except OverflowError:
        shown = "9999-12-31T23:59:59." if second > 0 else "0001-01-01T00:00:00."
    if len(_shown) >= _CACHED_MAX:
        _shown.clear()
    _shown[second] = shown
    return shown
