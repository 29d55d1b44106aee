"""How values are shown: times in UTC with their age, numbers with units, names that strangers chose made harmless."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import jinja2
from markupsafe import Markup, escape

from stepwatch.notifiers.plain import plain
from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, format_time, parse_time
from stepwatch.streams.wording import FACTORS, REASONS, duration

TEXT_MAX: Final = 2000
"""Characters of one value on a page: a producer may send 256 KiB."""
MARKS: Final = {
    "critical": "▲▲", "high": "▲", "medium": "◆", "low": "▽",
    "open": "●", "acknowledged": "◐", "resolved": "○",
    "verified": "✓", "unverified": "✗", "blind": "?", "exempt": "–", "not_required": "·",
}  # fmt: skip
"""A sign for each word that is coloured: colour is never the only one."""


def us_of(text: str) -> int:
    """A time of a row of ClickHouse, or of RFC 3339, as microseconds; 0 where it is none."""
    return parse_time(text.replace(" ", "T").rstrip("Z") + "Z") or 0


def moment(time_us: int) -> str:
    """A time to the second, in UTC."""
    return format_time(time_us)[:19].replace("T", " ")


def when(time_us: int, now_us: int) -> Markup:
    """A time with its age beside it."""
    iso = format_time(time_us)
    rough = duration(_rough(abs(now_us - time_us)))
    age = f"{rough} ago" if time_us <= now_us else f"in {rough}"
    form = Markup('<time datetime="{}" title="{}">{}</time> <span class="age">{}</span>')
    return form.format(iso, iso, moment(time_us), age)


def _rough(us: int) -> int:
    """An age in its largest unit that says enough: 42 s, 17 min, 8 h 20 min, 21 h, 3 d."""
    for least_us, unit_us in ((2 * DAY_US, DAY_US), (10 * HOUR_US, HOUR_US), (MINUTE_US, MINUTE_US)):
        if us >= least_us:
            return us // unit_us * unit_us
    return us // SECOND_US * SECOND_US


def offset(at_us: int, zero_us: int) -> str:
    """How long before or after something is, e.g. `7 min 42 s before`."""
    by_us = abs(at_us - zero_us)
    if by_us < SECOND_US:
        return "at the same moment"
    return f"{duration(by_us)} {'before' if at_us < zero_us else 'after'}"


def shown(value: Any, most: int = TEXT_MAX) -> str:
    """A value as text in one line, with nothing in it that could turn or hide what stands beside it."""
    return plain(str(value), most)


def factor(amr: Sequence[str]) -> str:
    """How a proof was given, by its methods: the strongest that has a name."""
    return next((name for value, name in FACTORS.items() if value in amr), "") or " and ".join(amr) or "a proof"


def coded(text: str) -> Markup:
    """Words in which what stands between backticks is code; all of it escaped."""
    parts = shown(text).split("`")
    marked = [Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts)]
    return Markup("").join(marked)


def path(name: str, params: Mapping[str, Any] | None = None, **more: Any) -> str:
    """An address of ours; what is empty or None is left out."""
    said = {**(params or {}), **more}
    query = urlencode([(key, value) for key, value in said.items() if value not in (None, "")])
    return f"{name}?{query}" if query else name


def outer_link(text: str) -> str:
    """An address that may be a link, `""` where it may not: a policy's runbook is text that somebody wrote."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme in ("http", "https") and parts.netloc else ""


def badge(word: str) -> Markup:
    """A severity, state or verdict, with its sign."""
    known = word if word in MARKS else "other"
    form = Markup('<span class="badge {}"><span aria-hidden="true">{}</span> {}</span>')
    return form.format(known.replace("_", "-"), MARKS.get(word, "·"), shown(word, 40).replace("_", " "))


@cache
def environment() -> jinja2.Environment:
    """The templates, with everything that they call."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("stepwatch.console", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters.update(
        shown=shown,
        coded=coded,
        factor=factor,
        moment=moment,
        us=us_of,
        duration=duration,
        number=lambda value: f"{value:,}",
        badge=badge,
        outer_link=outer_link,
        words=lambda word: shown(word, 200).replace("_", " "),
        offset=offset,
    )
    env.globals.update(path=path, when=when, REASONS=REASONS)
    return env
