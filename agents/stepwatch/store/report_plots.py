"""Plots of a report as SVG inside the page: no script, no font, no picture from elsewhere.

Each kind of bar has a pattern of its own beside its colour, so a print in grey or an eye without red tells them apart.
Every label is escaped: names are a producer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple

from markupsafe import Markup, escape

PATTERNS: Final = Markup("""<svg width="0" height="0" aria-hidden="true" class="defs"><defs>
<pattern id="unverified" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="6" height="6" fill="#c62828"/><rect width="2" height="6" fill="#fff"/></pattern>
<pattern id="blind" width="5" height="5" patternUnits="userSpaceOnUse">
<rect width="5" height="5" fill="#f9d9a0"/><circle cx="2.5" cy="2.5" r="1.3" fill="#8a5a00"/></pattern>
</defs></svg>""")
"""Once on each page, before the first plot."""
FILLS: Final = {"verified": "#2e7d32", "unverified": "url(#unverified)", "blind": "url(#blind)", "plain": "#33658a"}
DAYS_MOST: Final = 62
"""More days than these are drawn as weeks."""

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 260, 52, 14, 44
_ROW, _LABEL, _BARS_WIDTH, _VALUE = 28, 150, 440, 110
_LABEL_MOST = 20


class Bar(NamedTuple):
    """A horizontal bar: what it is of, how long, and the text at its end."""

    label: str
    value: float
    text: str


def by_week(days: Sequence[tuple[str, dict[str, int]]]) -> list[tuple[str, dict[str, int]]]:
    """Days as (ISO date, counts) -> weeks, each named by its Monday."""
    from datetime import date, timedelta

    def monday(one: tuple[str, dict[str, int]]) -> str:
        day = date.fromisoformat(one[0])
        return (day - timedelta(days=day.weekday())).isoformat()

    weeks = []
    for week, members in groupby(days, key=monday):
        counts: dict[str, int] = {}
        for _, more in members:
            for kind, count in more.items():
                counts[kind] = counts.get(kind, 0) + count
        weeks.append((week, counts))
    return weeks


def stacked(days: Sequence[tuple[str, dict[str, int]]], kinds: Sequence[str], title: str, unit: str) -> Markup:
    """Bars over time, one for each day, the kinds stacked; empty where there is no day.

    Args:
        days: ISO dates, in order, with counts by kind.
        kinds: from the bottom up; keys of `FILLS`.
        title: what a screen reader says.
        unit: of the y axis.
    """
    if not days:
        return Markup("")
    top = _nice(max(sum(counts.get(kind, 0) for kind in kinds) for _, counts in days))
    room, tall = _WIDTH - _LEFT - 8, _HEIGHT - _TOP - _BOTTOM
    step = room / len(days)
    parts = [_axis(top, tall, unit)]
    every = -(-len(days) // 10)
    for index, (day, counts) in enumerate(days):
        x, y = _LEFT + index * step, float(_TOP + tall)
        said = ", ".join(f"{counts.get(kind, 0):,} {kind}" for kind in kinds)
        parts.append(Markup("<g><title>{}</title>").format(f"{day}: {said}"))
        width = min(step * 0.8, 60)
        for kind in kinds:
            high = tall * counts.get(kind, 0) / top
            y -= high
            parts.append(_rect(x + (step - width) / 2, y, width, high, FILLS[kind]))
        parts.append(Markup("</g>"))
        if index % every == 0:
            parts.append(_text(x + step / 2, _HEIGHT - _BOTTOM + 18, day[5:] if len(days) > 1 else day, "middle"))
    parts.append(_text(_LEFT + room / 2, _HEIGHT - 6, f"{days[0][0]} to {days[-1][0]}, UTC", "middle"))
    return _svg(_WIDTH, _HEIGHT, title, parts)


def bars(rows: Sequence[Bar], title: str, fill: str = "plain") -> Markup:
    """Horizontal bars, each with its number; empty where there is no row."""
    if not rows:
        return Markup("")
    most = max(row.value for row in rows) or 1
    room = _BARS_WIDTH - _LABEL - _VALUE
    parts = []
    for index, row in enumerate(rows):
        y = index * _ROW + 4
        label = row.label if len(row.label) <= _LABEL_MOST else row.label[: _LABEL_MOST - 1] + "…"
        parts.append(Markup("<g><title>{}</title>").format(f"{row.label}: {row.text}"))
        parts.append(_text(_LABEL - 8, y + 15, label, "end"))
        width = max(room * row.value / most, 1 if row.value else 0)
        parts.append(_rect(_LABEL, y, width, _ROW - 8, FILLS[fill]))
        parts.append(_text(_LABEL + width + 6, y + 15, row.text, "start"))
        parts.append(Markup("</g>"))
    return _svg(_BARS_WIDTH, len(rows) * _ROW + 4, title, parts)


def _axis(top: int, tall: int, unit: str) -> Markup:
    lines = []
    for share in (0, 0.5, 1):
        y = _TOP + tall * (1 - share)
        lines.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(_LEFT, y, _WIDTH - 8))
        lines.append(_text(_LEFT - 6, y + 4, f"{top * share:,.0f}", "end"))
    turned = Markup('<text class="unit" transform="rotate(-90)" x="{}" y="12" text-anchor="middle">{}</text>')
    lines.append(turned.format(-(_TOP + tall / 2), unit))
    return Markup("").join(lines)


def _nice(most: int) -> int:
    """The least even number of the kind 2, 4, 10, 20, 40, 100 that is not below."""
    scale = 2
    while scale < most:
        for factor in (2, 5):
            if scale * factor >= most:
                return scale * factor
        scale *= 10
    return scale


def _rect(x: float, y: float, width: float, height: float, fill: str) -> Markup:
    form = Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>')
    return form.format(x, y, width, height, fill)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _svg(width: int, height: int, title: str, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(width, height, escape(title))
    return head + Markup("").join(parts) + Markup("</svg>")
