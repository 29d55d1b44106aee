"""The plot of `stepwatch tune max-age`: ages and the share verified over the window, with `max_age` drawn on both.

SVG by itself or in a page: no script, no font and no picture from elsewhere. Every text is escaped: names are a
producer's.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from stepwatch.cli.errors import Misused
from stepwatch.cli.tune_age import age_bins, bin_labels
from stepwatch.schemas.policy import show_duration

if TYPE_CHECKING:
    from stepwatch.streams.tuning.tune_max_age import MaxAge

_WIDTH, _LEFT, _RIGHT = 860, 70, 20
_TALL = 220
_TOPS = (64, 372)
"""Where the two plots begin, from above."""
_HEIGHT = 650
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1c2733}.title{font-size:17px;font-weight:600}.head{font-weight:600}"
    ".grid{stroke:#c9d1d9;stroke-width:1}.now{stroke:#c62828;stroke-width:2;stroke-dasharray:6 4}"
    ".knee{stroke:#2e7d32;stroke-width:2;stroke-dasharray:2 4}.band{fill:#33658a;opacity:.2}"
    ".curve{fill:none;stroke:#33658a;stroke-width:2}.bar{fill:#33658a}.now-text{fill:#c62828}.knee-text{fill:#2e7d32}"
    ".now-text,.knee-text{paint-order:stroke;stroke:#fff;stroke-width:4px}"
)


def write_plot(found: MaxAge, words: str, path: Path) -> None:
    """Write the plot, as the file's name ends.

    Args:
        found: what was found.
        words: what was read, as a subtitle.
        path: `.svg` or `.html`.

    Raises:
        Misused: it ends otherwise, or cannot be written.
    """
    check_plot(path)
    drawn = _svg(found, words)
    if path.suffix == ".html":
        drawn = _page(found, drawn)
    try:
        path.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise Misused(f"--plot {path}: cannot be written: {error.strerror or error}") from error


def check_plot(path: Path) -> None:
    """Refuse a name before the work begins.

    Raises:
        Misused: it ends neither in `.svg` nor in `.html`.
    """
    if path.suffix not in (".svg", ".html"):
        raise Misused(f"--plot {path}: expected a name that ends in .svg or .html")


def _page(found: MaxAge, drawn: str) -> str:
    title = escape(f"max_age of {found.policy}")
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width">\n'
        "<style>body{margin:1rem auto;max-width:860px;font:15px system-ui,sans-serif}"
        "svg{width:100%;height:auto}</style>\n"
        f"<h1>{title}</h1>\n<p>Recommended: {escape(found.advice.why)}.</p>\n{drawn}</html>\n"
    )


def _svg(found: MaxAge, words: str) -> str:
    edges_us, counts = age_bins(found)
    title = f"How old is the proof when {found.policy} is judged?"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}"><style>{_STYLE}</style>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        _text(_LEFT, 24, title, "start", "title"),
        _text(_LEFT, 44, f"{found.actions:,} actions of {found.people:,} people; {words}", "start"),
        *_bars(edges_us, counts),
        *_marks(found, edges_us, _TOPS[0], 14),
        *_curve(found, edges_us),
        *_marks(found, edges_us, _TOPS[1], _TALL - 24),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _step(edges_us: list[int]) -> float:
    return (_WIDTH - _LEFT - _RIGHT) / len(edges_us)


def _bars(edges_us: list[int], counts: list[int]) -> Iterator[str]:
    top, step = _TOPS[0], _step(edges_us)
    most = max(counts, default=0) or 1
    yield from _axis(top, [(0.0, "0"), (0.5, f"{most / 2:,.0f}"), (1.0, f"{most:,}")], "actions")
    for index, (label, count) in enumerate(zip(bin_labels(edges_us), counts, strict=True)):
        high = _TALL * count / most
        x, y = _LEFT + index * step, top + _TALL - high
        yield f"<g><title>{escape(f'{label}: {count:,} actions')}</title>"
        yield f'<rect class="bar" x="{x + 1:.1f}" y="{y:.1f}" width="{step - 2:.1f}" height="{high:.1f}"/></g>'
    yield from _ends(edges_us, top, "age of the proof at the action, up to")


def _curve(found: MaxAge, edges_us: list[int]) -> Iterator[str]:
    top = _TOPS[1]
    yield from _axis(top, [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")], "verified")
    shares = [candidate.verified for candidate in found.candidates]
    xs = [_end(index, edges_us) for index in range(len(edges_us))]

    def points(heights: list[float]) -> list[str]:
        return [f"{x:.1f},{top + _TALL * (1 - height):.1f}" for x, height in zip(xs, heights, strict=True)]

    low, high = ([share.interval[end] for share in shares] for end in (0, 1))
    yield f'<polygon class="band" points="{" ".join([*points(low), *reversed(points(high))])}"/>'
    yield f'<polyline class="curve" points="{" ".join(points([share.count / share.of for share in shares]))}"/>'
    yield from _ends(edges_us, top, "max_age (the band: 95 % interval, people as the unit)")


def _marks(found: MaxAge, edges_us: list[int], top: int, down: int) -> Iterator[str]:
    """Where `max_age` and the knee are; their words at different heights, so that neither hides the other."""
    marks = [("now", f"max_age {show_duration(found.now_us)}", found.now_us, down)]
    if found.knee_us is not None:
        marks.append(("knee", f"knee {show_duration(found.knee_us)}", found.knee_us, down + 16))
    for name, label, window_us, below in marks:
        x = _end(edges_us.index(window_us), edges_us)
        yield f'<path class="{name}" d="M{x:.1f} {top}V{top + _TALL}"/>'
        to_left = x > _WIDTH - 140 or (name == "knee" and window_us < found.now_us)
        yield _text(x - 6 if to_left else x + 6, top + below, label, "end" if to_left else "start", f"{name}-text")


def _end(index: int, edges_us: list[int]) -> float:
    return _LEFT + (index + 1) * _step(edges_us)


def _axis(top: int, ticks: list[tuple[float, str]], unit: str) -> Iterator[str]:
    for share, label in ticks:
        y = top + _TALL * (1 - share)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        yield _text(_LEFT - 8, y + 4, label, "end")
    yield f'<text transform="rotate(-90)" x="{-(top + _TALL / 2):.1f}" y="18" text-anchor="middle">{unit}</text>'


def _ends(edges_us: list[int], top: int, unit: str) -> Iterator[str]:
    for index, edge_us in enumerate(edges_us):
        yield _text(_end(index, edges_us), top + _TALL + 18, show_duration(edge_us), "middle")
    yield _text(_LEFT + (_WIDTH - _LEFT - _RIGHT) / 2, top + _TALL + 40, unit, "middle")


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
