"""Each policy of a set asked by itself: what of its `match` an action meets, whatever earlier policies say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from stepwatch.streams.building import assemble
from stepwatch.streams.conditions import Condition, variables_of
from stepwatch.streams.matching import Matchable, Matcher, Patterns
from stepwatch.streams.sets import PolicySet
from stepwatch.streams.tuning.lint import Placed, placed
from stepwatch.streams.yamltext import Path


class Part(NamedTuple):
    """One pattern or value of `match`: where it stands below the policy, and as written."""

    path: Path
    text: str


class Alone:
    """One policy.

    Attributes:
        placed: the policy and its place.
        when, exempt_when: its compiled conditions; None where it has none.
        parts: the patterns and values of `match`.
    """

    def __init__(self, one: Placed, matcher: Matcher, when: Condition | None, exempt_when: Condition | None) -> None:
        self.placed = one
        self.when = when
        self.exempt_when = exempt_when
        self._matcher = matcher
        match = one.policy.match
        lists: dict[str, Sequence[str]] = {
            "action": match.action,
            "resource_type": match.resource_type,
            "sensitivity": match.sensitivity,
            "tenant": match.tenant,
        }
        self.parts = [
            Part(("match", name, number), text) for name, said in lists.items() for number, text in enumerate(said)
        ]
        self._patterns = {part.path: Patterns([part.text]) for part in self.parts}

    def meets_lists(self, action: Matchable) -> bool:
        """Whether the action matches all but the condition."""
        return self._matcher.match(action).requirement is not None

    def matches(self, action: Matchable) -> bool:
        """Whether the action matches, the condition too; an error of it counts as a match (contract section 4)."""
        return self.meets_lists(action) and (self.when is None or self.holds(self.when, action) is not False)

    def holds(self, condition: Condition, action: Matchable) -> bool | None:
        """What a condition says of an action; None: an error."""
        return condition.evaluate(variables_of(action))[0]

    def met_parts(self, action: Matchable) -> Iterator[Part]:
        """The patterns and values that an action which meets the lists meets them by."""
        values = {
            "action": action.action,
            "resource_type": action.resource_type,
            "sensitivity": action.sensitivity,
            "tenant": action.tenant,
        }
        return (part for part in self.parts if self._patterns[part.path].matches(values[str(part.path[1])]))


def each_alone(policy_set: PolicySet) -> list[Alone]:
    """The policies of a set in the order in which they match."""
    compiled = assemble(policy_set.files).policies
    return [
        Alone(one, Matcher([replace(policy, when=None, exempt_when=None)]), policy.when, policy.exempt_when)
        for one, policy in zip(placed(policy_set), compiled, strict=True)
    ]
