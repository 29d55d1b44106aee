"""A picture as SVG: server-made, no script, no style attribute; shapes and numbers say what colours say too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup, escape

from stepwatch.console.timeline import LANES, Mark, Picture
from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, format_time
from stepwatch.streams.wording import duration

_STEPS: Final = (
    *(count * SECOND_US for count in (1, 2, 5, 10, 15, 30)),
    *(count * MINUTE_US for count in (1, 2, 5, 10, 15, 30)),
    *(count * HOUR_US for count in (1, 2, 3, 6, 12)),
    *(count * DAY_US for count in (1, 2, 7, 14, 30, 90, 365)),
)
_CLOSE: Final = 20
"""Pixels: marks of one lane that are nearer than this are drawn as one, with how many they are."""
_LANE_NAMES: Final = {"logins": "logins", "challenges": "challenges", "proofs": "proofs", "actions": "actions"}
_URGENCY: Final = {"bad": 3, "odd": 2, "good": 1, "calm": 0}


class Paper(NamedTuple):
    """The size of a picture, px.

    Attributes:
        left: where the axis begins; the lanes' names stand before it, or above the lanes where it is narrow.
        ticks: at most so many.
    """

    width: int
    left: int
    lane: int
    ticks: int

    @property
    def narrow(self) -> bool:
        """Whether the names of lanes stand above them."""
        return self.left < 60


WIDE: Final = Paper(1100, 104, 50, 9)
NARROW: Final = Paper(358, 10, 58, 4)
_TOP, _TOP_BARE, _BOTTOM, _RIGHT = 42, 12, 40, 14


def draw(picture: Picture, paper: Paper, title: str) -> Markup:
    """The picture on paper of a size; `title` is what a screen reader says."""
    canvas = _Canvas(picture, paper)
    height = canvas.floor + _BOTTOM
    parts = [*canvas.window(), *canvas.lanes(), *canvas.axis(), *canvas.gap(), *canvas.zero(), *canvas.marks()]
    head = Markup('<svg class="timeline {}" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        "narrow" if paper.narrow else "wide", paper.width, height, escape(title)
    )
    return head + Markup("").join(parts) + Markup("</svg>")


class _Canvas:
    def __init__(self, picture: Picture, paper: Paper) -> None:
        self._picture = picture
        self._paper = paper
        self._room = paper.width - paper.left - _RIGHT
        self._top = _TOP if picture.window is not None or picture.zero_us is not None else _TOP_BARE
        self.floor = self._top + len(LANES) * paper.lane

    def _x(self, at_us: int) -> float:
        picture = self._picture
        share = (at_us - picture.begin_us) / max(picture.end_us - picture.begin_us, 1)
        return self._paper.left + self._room * min(max(share, 0.0), 1.0)

    def _y(self, lane: str) -> float:
        room = self._paper.lane
        return self._top + LANES.index(lane) * room + room * (0.66 if self._paper.narrow else 0.56)

    def lanes(self) -> Iterator[Markup]:
        right = self._paper.width - _RIGHT
        for index, lane in enumerate(LANES):
            y = self._y(lane)
            yield Markup('<path class="lane" d="M{} {:.1f}H{}"/>').format(self._paper.left, y, right)
            if self._paper.narrow:
                yield _text(
                    self._paper.left, self._top + index * self._paper.lane + 13, _LANE_NAMES[lane], "start", "name"
                )
            else:
                yield _text(self._paper.left - 12, y + 4, _LANE_NAMES[lane], "end", "name")

    def window(self) -> Iterator[Markup]:
        window = self._picture.window
        if window is None:
            return
        x, end = self._x(window.begin_us), self._x(window.end_us)
        form = '<rect class="window" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>'
        yield Markup(form).format(x, self._top - 6, max(end - x, 1), self.floor - self._top + 6)
        middle, half = (x + end) / 2, len(window.label) * 3.3
        middle = min(max(middle, self._paper.left + half), self._paper.width - _RIGHT - half)
        yield _text(middle, self._top - 26, window.label, "middle", "windowname")
        yield Markup('<path class="bracket" d="M{:.1f} {}V{}H{:.1f}V{}"/>').format(
            x, self._top - 8, self._top - 18, end, self._top - 8
        )

    def gap(self) -> Iterator[Markup]:
        gap = self._picture.gap
        if gap is None:
            return
        x, end, y = self._x(gap.begin_us), self._x(gap.end_us), self._y("proofs")
        yield Markup('<path class="gap" d="M{:.1f} {:.1f}H{:.1f}M{:.1f} {:.1f}v8M{:.1f} {:.1f}v8"/>').format(
            x, y, end, x, y - 4, end, y - 4
        )
        half = len(gap.label) * 3.3
        middle = min(max((x + end) / 2, self._paper.left + half), self._paper.width - _RIGHT - half)
        yield _text(middle, y - 7, gap.label, "middle", "gapname")

    def axis(self) -> Iterator[Markup]:
        picture = self._picture
        yield Markup('<path class="axis" d="M{} {}H{}"/>').format(
            self._paper.left, self.floor, self._paper.width - _RIGHT
        )
        for at_us, label in _ticks(picture, self._paper.ticks):
            x = self._x(at_us)
            yield Markup('<path class="tick" d="M{:.1f} {}v5"/>').format(x, self.floor)
            anchor = (
                "start" if x < self._paper.left + 18 else "end" if x > self._paper.width - _RIGHT - 24 else "middle"
            )
            yield _text(x, self.floor + 18, label, anchor, "ticklabel")
        yield _text(self._paper.left, self.floor + 34, _clock(picture.begin_us), "start", "ticklabel")
        yield _text(self._paper.width - _RIGHT, self.floor + 34, _clock(picture.end_us) + " UTC", "end", "ticklabel")

    def zero(self) -> Iterator[Markup]:
        if self._picture.zero_us is not None:
            x = self._x(self._picture.zero_us)
            yield Markup('<path class="zero" d="M{:.1f} {}V{}"/>').format(x, self._top - 8, self.floor + 5)

    def marks(self) -> Iterator[Markup]:
        numbered = list(enumerate(self._picture.marks, 1))
        for lane in LANES:
            for mark in self._picture.earlier:
                if mark.lane == lane:
                    yield self._arrow(mark)
            for cluster in self._clusters([one for one in numbered if one[1].lane == lane]):
                yield self._cluster(cluster)

    def _clusters(self, marks: Sequence[tuple[int, Mark]]) -> list[list[tuple[int, Mark]]]:
        clusters: list[list[tuple[int, Mark]]] = []
        for number, mark in marks:
            if clusters and self._x(mark.at_us) - self._x(clusters[-1][0][1].at_us) < _CLOSE:
                clusters[-1].append((number, mark))
            else:
                clusters.append([(number, mark)])
        return clusters

    def _cluster(self, cluster: list[tuple[int, Mark]]) -> Markup:
        # The one that the picture is about, or else the worst of them, stands for all.
        _, mark = max(cluster, key=lambda one: (one[1].focus, _URGENCY[one[1].tone], one[1].at_us))
        numbers = [number for number, _ in cluster]
        label = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}…{numbers[-1]}"
        said = "\n".join(f"{number}: {one.what} {one.result}, {_clock(one.at_us)}" for number, one in cluster[:12])
        x, y = self._x(mark.at_us), self._y(mark.lane)
        anchor = "start" if x < self._paper.left + 10 and len(numbers) > 1 else "middle"
        inside = _shape(mark, x, y) + _text(x, y - 13, label, anchor, "number")
        return Markup('<g class="mark {}{}"><title>{}</title>{}</g>').format(
            mark.tone, " focus" if mark.focus else "", said, inside
        )

    def _arrow(self, mark: Mark) -> Markup:
        x, y = self._paper.left, self._y(mark.lane)
        zero_us = self._picture.zero_us
        before_us = (self._picture.begin_us if zero_us is None else zero_us) - mark.at_us
        label = f"{mark.what} {duration(before_us // SECOND_US * SECOND_US)} before"
        arrow = Markup('<path class="arrow" d="M{} {:.1f}l9 -5v10z"/>').format(x, y)
        return Markup("<g><title>{}</title>{}{}</g>").format(
            f"{mark.what} {mark.result}, {_clock(mark.at_us)}", arrow, _text(x + 14, y - 6, label, "start", "earlier")
        )


def _shape(mark: Mark, x: float, y: float) -> Markup:
    """The sign of an event: what it is by its outline, what came of it by what stands inside."""
    outlines = {
        "login": "M{x} {t}L{r} {b}H{l}Z",
        "gone": "M{x} {b}L{r} {t}H{l}Z",
        "challenge": "M{x} {t}L{r} {y}L{x} {b}L{l} {y}Z",
        "broken": "M{x} {t}L{r} {y}L{x} {b}L{l} {y}Z",
        "action": "M{l} {t}H{r}V{b}H{l}Z",
        "key": "M{l} {y}a4.5 4.5 0 1 1 9 0a4.5 4.5 0 1 1 -9 0M{x} {y}H{r}v4",
    }
    size = 9
    places = {"x": x, "y": y, "l": x - size, "r": x + size, "t": y - size, "b": y + size}
    if mark.shape in outlines:
        d = outlines[mark.shape].format(**{name: f"{value:.1f}" for name, value in places.items()})
        outline = Markup('<path class="outline" d="{}"/>').format(d)
    else:
        outline = Markup('<circle class="outline" cx="{:.1f}" cy="{:.1f}" r="9"/>').format(x, y)
    inner = {"good": "M{:.1f} {:.1f}l3 3.5l5 -7", "bad": "M{:.1f} {:.1f}l7 7m0 -7l-7 7"}.get(mark.tone, "")
    if mark.shape in ("proof", "action", "broken") and inner:
        begin = (x - 4, y + 0.5) if mark.tone == "good" else (x - 3.5, y - 3.5)
        return outline + Markup('<path class="inside" d="{}"/>').format(inner.format(*begin))
    if mark.tone == "odd" and mark.shape == "action":
        return outline + _text(x, y + 4.5, "?", "middle", "insidetext")
    return outline


def _ticks(picture: Picture, most: int) -> Iterator[tuple[int, str]]:
    wide_us = picture.end_us - picture.begin_us
    step_us = next((step for step in _STEPS if wide_us / step <= most), _STEPS[-1])
    zero_us = picture.zero_us or 0
    at_us = zero_us - (zero_us - picture.begin_us) // step_us * step_us
    while at_us <= picture.end_us:
        if picture.zero_us is None:
            yield at_us, _clock(at_us)[11:] if step_us % MINUTE_US else _clock(at_us)[11:16] or "0"
        elif at_us == zero_us:
            yield at_us, "0"
        else:
            yield at_us, ("−" if at_us < zero_us else "+") + duration(abs(at_us - zero_us))
        at_us += step_us


def _clock(at_us: int) -> str:
    return format_time(at_us)[:19].replace("T", " ")


def _text(x: float, y: float, text: str, anchor: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(kind, x, y, anchor, text)
