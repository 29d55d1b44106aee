"""The picture of a soak: one small panel for each figure over time, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tests.faults.soak_watch import Sample

_WIDE, _HIGH, _LEFT, _TOP = 430, 190, 70, 90
_PLOT_WIDE, _PLOT_HIGH = 330, 110
_COLOURS = ("#0b5cad", "#c2410c")
PANELS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("Memory", "MB", (("correlate", "correlate_rss_mb"), ("store", "store_rss_mb"))),
    ("Open descriptors", "count", (("correlate", "correlate_descriptors"), ("store", "store_descriptors"))),
    ("Threads", "count", (("correlate", "correlate_threads"), ("store", "store_threads"))),
    ("CPU", "% of a core", (("correlate", "correlate_cpu_percent"), ("store", "store_cpu_percent"))),
    ("Sent to `verified`", "ms", (("p50", "verified_p50_ms"), ("p99", "verified_p99_ms"))),
    ("End of grace to `unverified`", "ms", (("p50", "unverified_p50_ms"), ("p99", "unverified_p99_ms"))),
    ("Not committed yet", "records", (("correlate", "correlate_lag"), ("store", "store_lag"))),
    ("State log in the broker", "MB", (("size", "state_log_mb"),)),
)


def plot(samples: Sequence[Sample], title: str, full_s: float) -> str:
    """The picture.

    Args:
        samples: in order.
        title: of all.
        full_s: when the windows were full: a line there.
    """
    rows = -(-len(PANELS) // 2)
    wide, high = 2 * _WIDE + 20, _TOP + rows * _HIGH
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        'font-family="sans-serif" font-size="11">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{wide}" height="{high}" fill="white"/>',
        f'<text x="20" y="28" font-size="16" font-weight="bold">{escape(title)}</text>',
        '<text x="20" y="48" fill="#555">Dashed: from here on as much is forgotten as is learnt. '
        "Solid line: the first name of a panel; dotted: the second.</text>",
    ]
    for number, (name, unit, lines) in enumerate(PANELS):
        x, y = _LEFT + number % 2 * _WIDE, _TOP + number // 2 * _HIGH
        parts += _panel(samples, name, unit, lines, x, y, full_s)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    samples: Sequence[Sample], name: str, unit: str, lines: Sequence[tuple[str, str]], x: int, y: int, full_s: float
) -> list[str]:
    end_s = max(samples[-1].at_s, 1.0)
    values = [v for sample in samples for _, field in lines if (v := getattr(sample, field)) == v]
    top = _nice(max(values, default=1.0))
    parts = [
        f'<text x="{x}" y="{y - 8}" font-weight="bold">{escape(name)} [{escape(unit)}]</text>',
        f'<rect x="{x}" y="{y}" width="{_PLOT_WIDE}" height="{_PLOT_HIGH}" fill="none" stroke="#999"/>',
        f'<text x="{x + _PLOT_WIDE / 2}" y="{y + _PLOT_HIGH + 30}" text-anchor="middle">time [min]</text>',
    ]
    for share in (0, 0.5, 1):
        at_y, at_x = y + _PLOT_HIGH * (1 - share), x + _PLOT_WIDE * share
        parts.append(f'<text x="{x - 5}" y="{at_y + 4:.1f}" text-anchor="end">{top * share:,.4g}</text>')
        minutes = end_s * share / 60
        parts.append(f'<text x="{at_x:.1f}" y="{y + _PLOT_HIGH + 15}" text-anchor="middle">{minutes:.3g}</text>')
    full_x = x + _PLOT_WIDE * min(1.0, full_s / end_s)
    parts.append(
        f'<line x1="{full_x:.1f}" y1="{y}" x2="{full_x:.1f}" y2="{y + _PLOT_HIGH}" stroke="#555" '
        'stroke-dasharray="5 3"/>'
    )
    for number, (label, field) in enumerate(lines):
        points = " ".join(
            f"{x + _PLOT_WIDE * sample.at_s / end_s:.1f},{y + _PLOT_HIGH * (1 - value / top):.1f}"
            for sample in samples
            if (value := getattr(sample, field)) == value
        )
        dots = ' stroke-dasharray="2 2"' if number else ""
        colour = _COLOURS[number]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"{dots}/>')
        parts.append(
            f'<text x="{x + _PLOT_WIDE - 5 - 70 * (len(lines) - 1 - number)}" y="{y - 8}" fill="{colour}" '
            f'text-anchor="end">{escape(label)}</text>'
        )
    return parts


def _nice(value: float) -> float:
    """The next round number: an axis that ends at 1, 2 or 5 times a power of ten."""
    step = 1.0
    while step < value:
        step *= 10
    while step / 10 >= value and step > 1e-3:
        step /= 10
    return next(step * share for share in (0.1, 0.2, 0.5, 1.0) if step * share >= value)
