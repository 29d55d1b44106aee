"""The policies of a set line by line for one action: which condition holds, asked of the engine's matcher alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from stepwatch.streams.building import assemble
from stepwatch.streams.matching import CompiledPolicy, Match, Matchable, Matcher
from stepwatch.streams.sets import PolicySet
from stepwatch.streams.tuning.lint import Placed, placed

_CONDITIONS: Final = ("action", "resource_type", "sensitivity", "tenant", "when")
_NOTHING: Final[dict[str, Any]] = dict.fromkeys((*_CONDITIONS, "exempt_when"))


@dataclass(frozen=True, slots=True)
class ConditionLine:
    """One condition of a policy.

    Attributes:
        field: as in the file, `match.action`.
        said: what the file says.
        value: what the action has there; `""` of a condition in CEL.
        holds: whether the engine takes it as met.
        note: why it could not be evaluated; `""` where it could.
        line: of the file.
    """

    field: str
    said: str
    value: str
    holds: bool
    note: str
    line: int


@dataclass(frozen=True, slots=True)
class PolicyLines:
    """One policy asked about one action.

    Attributes:
        matches: all of its `match` holds.
        applies: it is the first of its set that matches.
        exempt: it applies, and its exemption holds.
        conditions: those that it sets; none: it matches every action.
    """

    policy: str
    file: str
    line: int
    matches: bool
    applies: bool
    exempt: bool
    conditions: list[ConditionLine]


def policy_lines(policy_set: PolicySet, action: Matchable) -> list[PolicyLines]:
    """Every policy of a set, in the order in which they match.

    Args:
        policy_set: in force at the action's time.
        action: as matching sees it.
    """
    applies = policy_set.match(action)
    found = []
    for one, policy in zip(placed(policy_set), assemble(policy_set.files).policies, strict=True):
        is_it = applies.requirement is not None and applies.requirement.id == policy.requirement.id
        found.append(
            PolicyLines(
                policy=policy.requirement.id,
                file=one.file.name,
                line=one.file.line(("policies", one.index)),
                matches=Matcher([policy]).match(action).requirement is not None,
                applies=is_it,
                exempt=is_it and applies.exempt,
                conditions=list(_conditions(one, policy, action)),
            )
        )
    return found


def _conditions(one: Placed, policy: CompiledPolicy, action: Matchable) -> Iterator[ConditionLine]:
    match = one.policy.match
    for name in _CONDITIONS:
        said = getattr(match, name)
        if said:
            alone = _alone(policy, name, action)
            shown = said if isinstance(said, str) else ", ".join(said)
            value = "" if name == "when" else str(getattr(action, name))
            holds = alone.requirement is not None
            yield _line(one, f"match.{name}", shown, value, holds, alone.notes)
    if one.policy.exempt.when:
        alone = _alone(policy, "exempt_when", action)
        yield _line(one, "exempt.when", one.policy.exempt.when, "", alone.exempt, alone.notes)


def _alone(policy: CompiledPolicy, name: str, action: Matchable) -> Match:
    """The policy with this condition and no other."""
    return Matcher([replace(policy, **{**_NOTHING, name: getattr(policy, name)})]).match(action)


def _line(one: Placed, field: str, said: str, value: str, holds: bool, notes: tuple[str, ...]) -> ConditionLine:
    line = one.file.line(("policies", one.index, *field.split(".")))
    return ConditionLine(field, said, value, holds, "; ".join(notes), line)
