"""What the other commands of `stepwatch tune` show: a table of what each number would have said, and the advice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from stepwatch.cli import screen
from stepwatch.cli.screen import GAP, counted, paint, shown, wrapped
from stepwatch.cli.tune_age import quantile_words
from stepwatch.schemas.policy import show_duration

if TYPE_CHECKING:
    from stepwatch.streams.tuning.chances import Interval
    from stepwatch.streams.tuning.tune_clock_skew import ClockSkew
    from stepwatch.streams.tuning.tune_dedup import Dedup
    from stepwatch.streams.tuning.tune_grace import Grace
    from stepwatch.streams.tuning.tune_lookback import Lookback
    from stepwatch.streams.tuning.tune_patterns import Thresholds


def as_plain(value: Any) -> Any:
    """What a tuner found as JSON has it: fields by name, intervals as two numbers, times in microseconds."""
    if is_dataclass(value):
        return {field.name: as_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value


def grace_lines(found: Grace) -> Iterator[str]:
    """The report of `tune grace`."""
    now, revise = show_duration(found.now_us), show_duration(found.revise_within_us)
    yield _head(found.policy, found.owner, f"grace {now}, revise_within {revise}")
    yield _counts(found.actions, found.people)
    for source, delays_us in found.delays_us.items():
        said = f"{shown(source)}: {counted(len(delays_us), 'covering proof')} came after the action: "
        yield GAP + said + quantile_words(delays_us)
    yield ""
    rows = [
        [
            _marked(one.grace_us, found.now_us),
            f"{one.pages:,}",
            f"{one.withdrawn:,}",
            _percents(one.share) if one.pages else "",
            f"{one.actions:,}",
            f"{one.actions_withdrawn:,}",
        ]
        for one in found.candidates
    ]
    yield _table(("GRACE", "PAGES", "WITHDRAWN", "95 %", "ACTIONS", "WITHDRAWN"), rows, {1, 2, 4, 5})
    yield from _recommended(found.advice.why)


def dedup_lines(found: Dedup) -> Iterator[str]:
    """The report of `tune dedup`."""
    yield _head(found.policy, found.owner, f"dedup {show_duration(found.now_us)}")
    yield _counts(found.actions, found.people) + " raise an alert"
    yield ""
    rows = [[_marked(one.dedup_us, found.now_us), f"{one.alerts:,}", f"{one.largest:,}"] for one in found.candidates]
    yield _table(("DEDUP", "ALERTS", "ACTIONS IN THE LARGEST"), rows, {1, 2})
    yield from _recommended(found.advice.why)


def lookback_lines(found: Lookback) -> Iterator[str]:
    """The report of `tune lookback`."""
    now, least = show_duration(found.now_us), show_duration(found.least_us)
    yield paint(f"lookback {now}; the longest max_age is {least}", "bold")
    yield counted(found.actions, "action")
    yield ""
    rows = [
        [
            _marked(one.lookback_us, found.now_us),
            _changes(one.verdicts) or "none",
            _changes(one.reasons) or "none",
            f"{one.nearest:,}",
            f"{one.facts:,}",
        ]
        for one in found.candidates
    ]
    yield _table(("LOOKBACK", "VERDICTS", "REASONS", "NEAREST MISSES", "FACTS AT ONCE"), rows, {3, 4})
    yield from _recommended(found.advice.why)


def skew_lines(found: ClockSkew) -> Iterator[str]:
    """The report of `tune clock-skew`."""
    yield paint(f"clock_skew {show_duration(found.now_us)}", "bold")
    said = f"{counted(found.proofs, 'proof')} that an action names as what it relied on; "
    yield f"{said}{found.contradict:,} dated after the action"
    yield ""
    yield paint("PAIRS OF WHICH THE FIRST MUST COME FIRST", "bold")
    rows = [
        [
            shown(one.cause),
            shown(one.effect),
            f"{one.pairs:,}",
            f"{one.contradict:,}",
            _percents(one.share),
            quantile_words(one.late_us) if one.late_us else "",
        ]
        for one in found.sources
    ]
    yield _table(("CAUSE", "EFFECT", "PAIRS", "CONTRADICT", "95 %", "BY"), rows, {2, 3})
    yield ""
    rows = [
        [_marked(one.skew_us, found.now_us), f"{one.covered:,}", _changes(one.verdicts) or "none"]
        for one in found.candidates
    ]
    yield _table(("CLOCK_SKEW", "COVERED", "VERDICTS"), rows, {1})
    yield from _recommended(found.advice.why)


def pattern_lines(found: Sequence[Thresholds]) -> Iterator[str]:
    """The report of `tune patterns`."""
    for one in found:
        yield paint(f"{one.pattern}: at least {one.now}, as the contract has it", "bold")
        yield f"{counted(one.events, 'event')} to look back from"
        rows = [
            [
                f"{try_.count} (now)" if try_.count == one.now else f"{try_.count}",
                f"{try_.anchors:,}",
                f"{try_.alerts:,}",
                f"{try_.people:,}",
            ]
            for try_ in one.candidates
        ]
        yield _table(("AT LEAST", "HOLDS AT", "ALERTS", "PEOPLE"), rows, {1, 2, 3})
        yield ""


def _head(policy: str, owner: str, numbers: str) -> str:
    whose = f" ({shown(owner)})" if owner else ""
    return paint(f"{shown(policy)}{whose}: {numbers}", "bold")


def _counts(actions: int, people: int) -> str:
    return f"{counted(actions, 'action')} of {counted(people, 'person', 'people')}"


def _marked(value_us: int, now_us: int) -> str:
    return show_duration(value_us) + (" (now)" if value_us == now_us else "")


def _percents(share: Interval) -> str:
    return f"{share.low:.1%} to {share.high:.1%}"


def _changes(changes: Counter[str]) -> str:
    return ", ".join(f"{count:,} {change}" for change, count in changes.most_common())


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], right: set[int]) -> str:
    return screen.table(header, rows, right=right, whole={0, *right})


def _recommended(why: str) -> Iterator[str]:
    yield ""
    yield wrapped(f"recommended: {why}", screen.width(), "")
