"""How sure a number is: an interval for a share, the knee of a curve, and how far the knee moves with other people.

Actions of one person resemble each other, so people are what is drawn, never single actions. Everything here gives the
same answer each time: who is drawn how often is decided by a hash of the name.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

Z: Final = 1.959964
"""Of the normal distribution: 95 % lie within."""
DRAWS: Final = 128
"""How often people are drawn anew; 64 for each hash."""
GROUPS_MAX: Final = 500
"""More people than these are drawn in groups: the answer stays, the work is bounded."""
BEND_MIN: Final = 0.1
"""A curve that leaves the straight line by less of its height has no knee worth the name."""
_TIMES: Final = tuple(
    next(times for times, limit in enumerate((94, 188, 235, 251, 255, 256)) if byte < limit) for byte in range(256)
)
"""Byte -> how often one is drawn: Poisson with mean 1, in 256ths."""


class Interval(NamedTuple):
    """Both ends of a 95 % interval of a share, 0 to 1."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, with its interval.

    Attributes:
        effective: as how many independent ones they count: at most `of`, fewer where people differ much.
    """

    count: int
    of: int
    effective: float
    interval: Interval


def wilson(share: float, of: float) -> Interval:
    """The Wilson score interval of a share.

    Args:
        share: 0 to 1.
        of: how many independent ones it is a share of; 0: nothing is known, so 0 to 1.
    """
    if of <= 0:
        return Interval(0.0, 1.0)
    square = Z * Z / of
    middle = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(share * (1 - share) / of + square / (4 * of))
    return Interval(max(middle - half, 0.0), min(middle + half, 1.0))


def share_of(people: Mapping[str, tuple[int, int]]) -> Share:
    """A share of actions, its interval widened where people differ from each other (design effect).

    Args:
        people: who -> (how many of theirs, of how many of theirs).
    """
    count = sum(ours for ours, _ in people.values())
    total = sum(of for _, of in people.values())
    if total == 0:
        return Share(0, 0, 0.0, wilson(0.0, 0))
    share = count / total
    if count in (0, total):
        # Nobody differs from anybody, which says nothing of the next person: each counts once.
        effective = float(len(people))
    else:
        spread = sum((ours - share * of) ** 2 for ours, of in people.values())
        between = spread * len(people) / max(len(people) - 1, 1) / total**2
        effective = total / max(between / (share * (1 - share) / total), 1.0)
    return Share(count, total, effective, wilson(share, effective))


def knee(points: Sequence[tuple[int, float]]) -> int | None:
    """Where a rising curve bends most: the point farthest above the straight line from its first to its last.

    Args:
        points: (window, height), windows above 0 and growing, on a logarithmic axis.

    Returns:
        The window; None where the curve hardly bends (`BEND_MIN`) or does not rise. By "Kneedle", Satopaa 2011.
    """
    if len(points) < 3 or points[-1][1] <= points[0][1]:
        return None
    (first, low), (last, high) = points[0], points[-1]
    wide = math.log(last / first)
    bends = [(height - low) / (high - low) - math.log(window / first) / wide for window, height in points]
    most = max(bends)
    return points[bends.index(most)][0] if most >= BEND_MIN else None


def knees_drawn(windows: Sequence[int], people: Mapping[str, Sequence[int]]) -> list[int]:
    """The knees of `DRAWS` curves, each of as many people drawn anew with replacement; sorted.

    Args:
        windows: of the points, growing.
        people: who -> how many of theirs at each window.
    """
    groups: dict[str, list[int]] = {}
    for name, counts in people.items():
        group = name if len(people) <= GROUPS_MAX else str(int.from_bytes(_digest(name)[:2]) % GROUPS_MAX)
        held = groups.setdefault(group, [0] * len(windows))
        for index, count in enumerate(counts):
            held[index] += count
    heights = [[0] * len(windows) for _ in range(DRAWS)]
    for name, counts in groups.items():
        for draw, byte in enumerate(_digest(name)):
            times = _TIMES[byte]
            if times:
                height = heights[draw]
                for index, count in enumerate(counts):
                    height[index] += times * count
    found = (knee(list(zip(windows, height, strict=True))) for height in heights)
    return sorted(window for window in found if window is not None)


def _digest(name: str) -> bytes:
    blocks = (hashlib.blake2b(name.encode(), person=str(block).encode()).digest() for block in range(DRAWS // 64))
    return b"".join(blocks)


def middle_of(values: Sequence[int]) -> tuple[int, int]:
    """The ends of the middle 95 % of sorted values, at least one."""
    cut = int(len(values) * 0.025)
    return values[cut], values[-1 - cut]
