"""`stepwatch policy test --coverage`: what the tests inside policy files never touch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from stepwatch.cli.screen import paint, shown
from stepwatch.streams.tuning.coverage import coverage

if TYPE_CHECKING:
    from stepwatch.streams.sets import PolicySets


def coverage_lines(sets: PolicySets) -> Iterator[str]:
    """Each thing that no test touches, as `file:line: field: policy: what`; then a count for each kind."""
    spots = coverage(sets)
    missed = [spot for spot in spots if not spot.touched]
    for _, group in groupby(missed, key=lambda spot: (spot.file, spot.line, spot.field, spot.kind)):
        first, *more = group
        # Filters and reasons of one policy end in their name: one line holds them all.
        names = "".join(f", {spot.what.rpartition(' ')[2]}" for spot in more)
        if first.kind in ("filter", "reason"):
            yield shown(f"{first}{names}")
        else:
            yield from (shown(spot) for spot in (first, *more))
    counts = []
    for kind in ("pattern", "condition", "filter", "reason"):
        all_of = [spot for spot in spots if spot.kind == kind]
        if all_of:
            counts.append(f"{sum(spot.touched for spot in all_of)} of {len(all_of)} {kind}s")
    yield paint("touched by a test: ", "bold") + ", ".join(counts)
