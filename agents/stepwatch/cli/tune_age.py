"""What `stepwatch tune max-age` shows: how old proofs are, what each window would have said, what is recommended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from stepwatch.cli import screen
from stepwatch.cli.screen import GAP, counted, paint, shown, wrapped
from stepwatch.schemas.policy import show_duration
from stepwatch.streams.tuning.tune_max_age import histogram
from stepwatch.streams.wording import duration

if TYPE_CHECKING:
    from stepwatch.streams.tuning.tune_max_age import Candidate, MaxAge

BAR_CELLS = 40
NAMES_SHOWN = 3
"""Whose verdicts flip, of each window; `--json` names all."""


def age_lines(found: MaxAge) -> Iterator[str]:
    """The report for a person, line by line."""
    room = screen.width()
    owner = f" ({shown(found.owner)})" if found.owner else ""
    now, lookback = show_duration(found.now_us), show_duration(found.lookback_us)
    yield paint(f"{shown(found.policy)}{owner}: max_age {now}, lookback {lookback}", "bold")
    proved = len(found.ages_us)
    said = (
        f"{counted(found.actions, 'action')} of {counted(found.people, 'person', 'people')}: {proved:,} have a proof "
    )
    said += f"that passes every other filter, {found.actions - proved:,} have none of any age up to lookback"
    if found.left_out:
        said += f"; {found.left_out:,} more came too late to be judged"
    yield wrapped(said, room, "")
    if found.unproved:
        why = ", ".join(f"{count:,} {reason}" for reason, count in found.unproved.most_common())
        yield wrapped(f"of those without: {why}", room, "")
    yield ""
    yield paint("AGE OF THE PROOF AT THE ACTION", "bold")
    yield from bar_lines(*age_bins(found), marked=found.now_us, mark="max_age")
    yield ""
    yield paint("WINDOWS", "bold") + ": what each would verify; verdicts gained and lost against now, and whose"
    yield _table(found)
    yield ""
    yield wrapped(f"knee: {_knee(found)}", room, "")
    yield wrapped(f"recommended: {found.advice.why}", room, "")


def age_bins(found: MaxAge) -> tuple[list[int], list[int]]:
    """The ends of the bins, which are the windows tried, and how many ages lie in each."""
    edges_us = [candidate.window_us for candidate in found.candidates]
    return edges_us, histogram(found.ages_us, edges_us)


def bar_lines(edges_us: list[int], counts: list[int], marked: int | None = None, mark: str = "") -> Iterator[str]:
    """Bars to scale, one for each bin, with the bin that a window of now ends marked."""
    most = max(counts, default=0) or 1
    labels = bin_labels(edges_us)
    wide = max(map(len, labels))
    for edge_us, label, count in zip(edges_us, labels, counts, strict=True):
        cells = round(count / most * BAR_CELLS)
        bar = "█" * cells if cells or not count else "▏"
        here = f"{GAP}<- {mark}" if edge_us == marked else ""
        yield f"{GAP}{label.rjust(wide)}{GAP}{count:>7,}{GAP}{bar}{here}"


def bin_labels(edges_us: list[int]) -> list[str]:
    """`up to 1s`, `1s to 10s`, ..."""
    later = [f"{show_duration(low)} to {show_duration(high)}" for low, high in pairwise(edges_us)]
    return [f"up to {show_duration(edges_us[0])}", *later]


def _table(found: MaxAge) -> str:
    header = ("MAX_AGE", "VERIFIED", "95 %", "GAINED", "LOST", "PEOPLE", "ALERTS", "WHOSE")
    rows = [_row(candidate, found) for candidate in found.candidates]
    return screen.table(header, rows, right={0, 1, 3, 4, 5, 6}, whole={0, 1, 2, 3, 4, 5, 6})


def _row(candidate: Candidate, found: MaxAge) -> list[str]:
    share = candidate.verified
    low, high = share.interval
    flips = candidate.to_verified + candidate.to_unverified
    here = " (now)" if candidate.window_us == found.now_us else ""
    return [
        show_duration(candidate.window_us),
        f"{share.count / share.of:.1%}",
        f"{low * 100:.1f}-{high:.1%}",
        f"{candidate.to_verified.total():,}",
        f"{candidate.to_unverified.total():,}",
        f"{len(flips):,}",
        f"{candidate.alerts:,}",
        shown(names_of(flips)) + here if flips else here.strip(),
    ]


def names_of(people: Counter[str]) -> str:
    """`default/alice 12, default/bob 3, 4 more`."""
    first = sorted(people.items(), key=lambda item: (-item[1], item[0]))[:NAMES_SHOWN]
    said = ", ".join(f"{name} {count:,}" for name, count in first)
    more = len(people) - len(first)
    return f"{said}, {more:,} more" if more else said


def _knee(found: MaxAge) -> str:
    if found.knee_us is None:
        return "none: the share of verified actions grows evenly, or not at all, from window to window"
    said = f"{show_duration(found.knee_us)}, where a longer window begins to verify few more"
    if found.knees_us is None:
        return said
    low, high = map(show_duration, found.knees_us)
    moved = f"{low} each time" if low == high else f"{low} to {high} in 95 of 100 draws"
    return f"{said}; drawing these people anew it lies at {moved}"


def age_object(found: MaxAge) -> dict[str, Any]:
    """Everything, for machines; times in microseconds."""
    edges_us, counts = age_bins(found)
    return {
        "tuned": "max_age",
        "policy": found.policy,
        "owner": found.owner,
        "now_us": found.now_us,
        "lookback_us": found.lookback_us,
        "actions": found.actions,
        "people": found.people,
        "left_out": found.left_out,
        "without_proof": dict(found.unproved),
        "histogram": [{"to_us": edge, "count": count} for edge, count in zip(edges_us, counts, strict=True)],
        "ages_us": quantiles(found.ages_us),
        "candidates": [_candidate_object(candidate) for candidate in found.candidates],
        "knee_us": found.knee_us,
        "knees_us": found.knees_us,
        "recommended": {"window_us": found.advice.window_us, "why": found.advice.why},
    }


def _candidate_object(candidate: Candidate) -> dict[str, Any]:
    share = candidate.verified
    return {
        "window_us": candidate.window_us,
        "verified": share.count,
        "of": share.of,
        "effective": round(share.effective, 1),
        "interval": [round(end, 6) for end in share.interval],
        "to_verified": dict(candidate.to_verified.most_common()),
        "to_unverified": dict(candidate.to_unverified.most_common()),
        "alerts": candidate.alerts,
    }


def quantiles(values: list[int]) -> dict[str, int]:
    """Least, middle, and how far 90, 95 and 99 of 100 go; nothing of no values.

    Args:
        values: sorted.
    """
    if not values:
        return {}
    shares = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: values[min(int(share * len(values)), len(values) - 1)] for name, share in shares.items()}


def quantile_words(values: list[int]) -> str:
    """`half within 12 s, 95 of 100 within 2 min, the longest 5 min`."""
    found = quantiles(values)
    middle, most = duration(found["p50"]), duration(found["max"])
    return f"half within {middle}, 95 of 100 within {duration(found['p95'])}, the longest {most}"
