"""What the tests inside policy files touch: patterns, conditions, filters and reasons, and what they never do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stepwatch.streams.decode import ACTION, Event, decode
from stepwatch.streams.filters import FILTERS, terms_of
from stepwatch.streams.intake import ActionView
from stepwatch.streams.policytests import lines_of
from stepwatch.streams.replay import replay
from stepwatch.streams.sets import PolicySet, PolicySets
from stepwatch.streams.tuning.matching_alone import Alone, each_alone
from stepwatch.streams.yamltext import Path, show_path

_STEP_REASONS = ("after_the_fact", "denied", "failed", "bypassed", "abandoned", "no_step_up")


class Spot(NamedTuple):
    """One thing that tests can touch.

    Attributes:
        file, line, field: where it is asked for.
        policy: id of the policy.
        kind: pattern, condition, filter or reason; of the reasons those that are no filter's.
        what: in words.
        touched: by at least one test of the set.
    """

    file: str
    line: int
    field: str
    policy: str
    kind: str
    what: str
    touched: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.policy}: {self.what}"


class _Seen:
    """What the tests of a set touched, by policy id."""

    def __init__(self) -> None:
        self.parts: set[tuple[str, Path]] = set()
        self.conditions: set[tuple[str, str, bool]] = set()
        self.failed: set[tuple[str, str]] = set()
        self.reasons: set[tuple[str, str]] = set()


def coverage(sets: PolicySets) -> list[Spot]:
    """Everything that tests can touch, in the order of the files, and whether a test of the same set does."""
    return [spot for policy_set in sets.sets for spot in _of_set(policy_set)]


def _of_set(policy_set: PolicySet) -> Iterator[Spot]:
    policies, seen, alone = each_alone(policy_set), _Seen(), PolicySets([policy_set])
    for one in policies:
        for test in one.placed.policy.tests:
            lines = lines_of(test, one.placed.policy, policy_set)
            for line in lines:
                event = decode(line, None)
                if isinstance(event, Event) and event.family == ACTION:
                    subject = policy_set.canonical(event.tenant, event.subject)
                    _look(ActionView(event, subject), policies, seen)
            for row in replay(lines, alone):
                if row["kind"] == "verdict":
                    _judge(row, seen)
    for one in policies:
        yield from _spots(one, policy_set, seen)


def _look(action: ActionView, policies: list[Alone], seen: _Seen) -> None:
    """The first policy that matches applies; those before it were asked too."""
    for one in policies:
        if not one.meets_lists(action):
            continue
        name = one.placed.policy.id
        if one.when is not None:
            held = one.holds(one.when, action) is not False
            seen.conditions.add((name, "match", held))
            if not held:
                continue
        seen.parts.update((name, part.path) for part in one.met_parts(action))
        if one.exempt_when is not None:
            seen.conditions.add((name, "exempt", one.holds(one.exempt_when, action) is True))
        return


def _judge(row: dict[str, object], seen: _Seen) -> None:
    policy, reason, nearest = str(row["policy"]), str(row["reason"]), row["nearest_miss"]
    seen.reasons.add((policy, reason))
    seen.failed.add((policy, reason))
    if isinstance(nearest, dict):
        seen.failed.update((policy, name) for name in nearest["failed"])


def _spots(one: Alone, policy_set: PolicySet, seen: _Seen) -> Iterator[Spot]:
    name = one.placed.policy.id

    def spot(path: Path, kind: str, what: str, touched: bool) -> Spot:
        whole = ("policies", one.placed.index, *path)
        return Spot(one.placed.file.name, one.placed.file.line(whole), show_path(whole), name, kind, what, touched)

    for part in one.parts:
        yield spot(part.path, "pattern", f"no action meets {part.text!r}", (name, part.path) in seen.parts)
    for where, condition in (("match", one.when), ("exempt", one.exempt_when)):
        for held in (True, False) if condition is not None else ():
            what = f"the condition {'holds' if held else 'fails'} for no action"
            yield spot((where, "when"), "condition", what, (name, where, held) in seen.conditions)
    requirement = policy_set.requirements[name]
    filters = [FILTERS[number][0] for number in terms_of(policy_set, requirement).numbers]
    for rule in filters:
        yield spot(("require",), "filter", f"no proof fails the filter {rule}", (name, rule) in seen.failed)
    reasons = [*sorted(requirement.accept, reverse=True), *_STEP_REASONS, "too_late"]
    if one.exempt_when is not None:
        reasons.append("exemption")
    if policy_set.silent_after_max_us:
        reasons.append("source_silent")
    for reason in reasons:
        yield spot(("tests",), "reason", f"no test ends with the reason {reason}", (name, reason) in seen.reasons)
