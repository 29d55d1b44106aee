"""Action -> the requirement that applies to it, an exemption, or nothing (contract section 4).

Matching fails towards demanding proof: what is missing or cannot be evaluated matches, and exempts nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from stepwatch.streams.conditions import Condition, variables_of

CANDIDATES_MAX: Final = 65_536
"""Remembered (tenant, action name) pairs, about 20 MB of usual names; all are dropped when there are more."""
CANDIDATE_CHARS_MAX: Final = 256
"""An action with a longer name is looked up afresh each time: an event may be 256 KiB of name."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One policy with its file's defaults filled in, as the judge needs it. Texts are `""` where absent.

    Attributes:
        version: the policy_version, 12 hex digits.
        severity: of the alerts.
        accept: of {"step_up", "login"}, not empty.
        binding: none, action or transaction.
        max_uses: 1 or more; None: no limit.
        lookback_us: at least max_age_us.
    """

    id: str
    version: str
    reason: str
    owner: str
    runbook: str
    severity: str
    amr_any: frozenset[str]
    acr_any: frozenset[str]
    accept: frozenset[str]
    max_age_us: int
    same_session: bool
    binding: str
    max_uses: int | None
    same_device: bool
    same_ip: bool
    grace_us: int
    dedup_us: int
    clock_skew_us: int
    lookback_us: int
    revise_within_us: int
    accept_late_us: int


class Matchable(Protocol):
    """What an action shows to matching: values after defaults, normalising and aliases, `''` if missing."""

    @property
    def tenant(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def session(self) -> str: ...
    @property
    def root_session(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def transaction(self) -> str: ...
    @property
    def resource_type(self) -> str: ...
    @property
    def resource_id(self) -> str: ...
    @property
    def sensitivity(self) -> str: ...
    @property
    def time_us(self) -> int: ...
    def maps(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """`client`, `token`, `decision` as sent, `{}` if missing; called only when a condition needs them."""


@dataclass(frozen=True, slots=True)
class Match:
    """What applies to an action.

    Attributes:
        requirement: None where no policy matches.
        exempt: its exemption holds.
        notes: one for each condition that ended in an error, for the record and the count.
    """

    requirement: Requirement | None
    exempt: bool = False
    notes: tuple[str, ...] = ()


NO_MATCH: Final = Match(None)


class Patterns:
    """Patterns of which one must match the whole string; `*` is any run of characters, the rest is literal.

    No regular expression: with a few stars a hostile name of 200 KB would take it hours.

    Attributes:
        exact: those without a star.
        beginnings: what stands before the first star of each of the others.
    """

    __slots__ = ("_globs", "beginnings", "exact")

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = set(patterns)
        self.exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
        self._globs = [pattern.split("*") for pattern in sorted(patterns) if "*" in pattern]
        self.beginnings = frozenset(parts[0] for parts in self._globs)

    def matches(self, text: str) -> bool:
        """Whether any pattern matches the whole text."""
        return text in self.exact or any(_runs_through(text, parts) for parts in self._globs)


def _runs_through(text: str, parts: Sequence[str]) -> bool:
    first, *middle, last = parts
    end = len(text) - len(last)
    if not text.startswith(first) or not text.endswith(last) or end < len(first):
        return False
    start = len(first)
    for part in middle:
        found = text.find(part, start, end)
        if found < 0:
            return False
        start = found + len(part)
    return True


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """One policy ready to match; None where it sets no condition."""

    requirement: Requirement
    action: Patterns | None
    resource_type: Patterns | None
    sensitivity: frozenset[str] | None
    tenant: Patterns | None
    when: Condition | None
    exempt_when: Condition | None
    plain: Match
    """What a match without any CEL condition is."""


class _ByAction:
    """Policies by how the names of their actions begin: an unknown name asks few of a thousand policies.

    A pattern that begins with a star is asked about every name.
    """

    __slots__ = ("_any_name", "_beginnings", "_exact", "_lengths")

    def __init__(self, policies: Sequence[CompiledPolicy]) -> None:
        self._any_name = {number for number, policy in enumerate(policies) if policy.action is None}
        self._exact: dict[str, set[int]] = {}
        self._beginnings: dict[str, set[int]] = {}
        for number, policy in enumerate(policies):
            for index, names in (
                (self._exact, policy.action.exact if policy.action else ()),
                (self._beginnings, policy.action.beginnings if policy.action else ()),
            ):
                for name in names:
                    index.setdefault(name, set()).add(number)
        self._lengths = sorted({len(beginning) for beginning in self._beginnings})

    def find(self, action: str) -> list[int]:
        """Numbers of the policies that may match an action name, in their order."""
        found = self._any_name | self._exact.get(action, set())
        for length in self._lengths:
            if length > len(action):
                break
            found |= self._beginnings.get(action[:length], set())
        return sorted(found)


class _Candidates(dict[tuple[str, str], tuple[CompiledPolicy, ...]]):
    """(tenant, action name) -> the policies that may match, in order; bounded, filled on demand."""

    __slots__ = ("_by_action", "_policies")

    def __init__(self, policies: Sequence[CompiledPolicy]) -> None:
        self._policies = tuple(policies)
        self._by_action = _ByAction(self._policies)

    def __missing__(self, key: tuple[str, str]) -> tuple[CompiledPolicy, ...]:
        tenant, action = key
        found = tuple(
            policy
            for policy in map(self._policies.__getitem__, self._by_action.find(action))
            if (policy.action is None or policy.action.matches(action))
            and (policy.tenant is None or policy.tenant.matches(tenant))
        )
        if len(action) <= CANDIDATE_CHARS_MAX:
            if len(self) >= CANDIDATES_MAX:
                self.clear()
            self[key] = found
        return found


class Matcher:
    """The policies of one set, in order; the first that matches applies."""

    __slots__ = ("_candidates",)

    def __init__(self, policies: Sequence[CompiledPolicy]) -> None:
        self._candidates = _Candidates(policies)

    def may_match(self, tenant: str, action: str) -> bool:
        """Whether any policy can match an action of that name; False ends the road of most actions."""
        return self._candidates[tenant, action] != ()

    def may_concern(self, tenant: str, action: str, resource_type: str, sensitivity: str) -> bool:
        """Whether some policy matches an action of that name, type and sensitivity, if its condition holds."""
        return any(_may_apply(policy, resource_type, sensitivity) for policy in self._candidates[tenant, action])

    def match(self, action: Matchable) -> Match:
        """The first policy that matches the action, and whether its exemption holds."""
        variables: dict[str, Any] | None = None
        for policy in self._candidates[action.tenant, action.action]:
            if not _may_apply(policy, action.resource_type, action.sensitivity):
                continue
            if policy.when is None and policy.exempt_when is None:
                return policy.plain
            if variables is None:
                variables = variables_of(action)
            matched = _apply(policy, variables)
            if matched is not None:
                return matched
        return NO_MATCH


def _may_apply(policy: CompiledPolicy, resource_type: str, sensitivity: str) -> bool:
    """All that a policy asks of a resource; a missing sensitivity matches every list."""
    if policy.resource_type is not None and not policy.resource_type.matches(resource_type):
        return False
    return policy.sensitivity is None or not sensitivity or sensitivity in policy.sensitivity


def _apply(policy: CompiledPolicy, variables: dict[str, Any]) -> Match | None:
    notes: list[str] = []
    if policy.when is not None:
        holds, why = policy.when.evaluate(variables)
        if holds is False:
            return None
        if holds is None:
            notes.append(f"policy {policy.requirement.id}: match.when: {why} (counts as a match)")
    exempt = False
    if policy.exempt_when is not None:
        holds, why = policy.exempt_when.evaluate(variables)
        exempt = holds is True
        if holds is None:
            notes.append(f"policy {policy.requirement.id}: exempt.when: {why} (counts as not exempt)")
    return Match(policy.requirement, exempt, tuple(notes))
