"""What a set of policies says and can hardly mean, by its files alone.

Every finding is certain: where a condition decides whether two policies meet, nothing is said. `lint_seen` looks at
events for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from stepwatch.schemas.policy import MatchSpec, Policy
from stepwatch.sources.about import options
from stepwatch.sources.about_products import ABOUT
from stepwatch.streams.loading import LoadedFile
from stepwatch.streams.matching import Patterns
from stepwatch.streams.sets import PolicySet
from stepwatch.streams.yamltext import Path, show_path

UNREACHABLE: Final = "unreachable"
SHADOWED: Final = "shadowed"
LOGIN_UNPROVED: Final = "login_without_amr"
NO_SESSION: Final = "no_session"
OWNERS_OVERLAP: Final = "owners_overlap"

_ALL_SENSITIVITIES: Final = frozenset({"low", "moderate", "high", "critical"})
_PATTERN_CHARS_MAX: Final = 500
"""Two longer patterns are not compared: the work is the product of their lengths."""


class Finding(NamedTuple):
    """One thing that is hardly meant.

    Attributes:
        file, line: where it stands; `field` is the path there.
        code: stable name of the kind.
        policy: id of the policy.
        message: what is wrong, and what to do.
    """

    file: str
    line: int
    field: str
    code: str
    policy: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class Placed:
    """A policy, and where it stands."""

    file: LoadedFile
    index: int
    policy: Policy

    def finding(self, path: Path, code: str, message: str) -> Finding:
        """A finding about a part of the policy, at a path below it."""
        whole = ("policies", self.index, *path)
        return Finding(self.file.name, self.file.line(whole), show_path(whole), code, self.policy.id, message)

    def place(self, path: Path = ()) -> str:
        """`id (file:line)`, for findings about others."""
        return f"{self.policy.id} ({self.file.name}:{self.file.line(('policies', self.index, *path))})"


def placed(policy_set: PolicySet) -> list[Placed]:
    """The policies of a set in the order in which they match."""
    return [Placed(file, index, policy) for file in policy_set.files for index, policy in file.policies]


def lint(policy_set: PolicySet) -> list[Finding]:
    """Everything that the files alone show, in the order of the policies."""
    policies = placed(policy_set)
    found: list[Finding] = []
    for number, one in enumerate(policies):
        shadows = list(_shadows(one, policies[:number]))
        found += shadows
        if not any(finding.code == UNREACHABLE for finding in shadows):
            found += _owners(one, policies[:number])
        found += _logins(one)
        found += _sessions(one, policy_set)
    return found


def _shadows(one: Placed, earlier: Sequence[Placed]) -> Iterator[Finding]:
    """Patterns that an earlier policy takes wholly; all of them: the policy is never reached."""
    patterns = one.policy.match.action or ["*"]
    takers = [next((other for other in earlier if _takes(other.policy, one.policy, p)), None) for p in patterns]
    if all(taker is not None for taker in takers):
        names = ", ".join(dict.fromkeys(taker.place() for taker in takers if taker is not None))
        yield one.finding(
            ("id",), UNREACHABLE, f"never reached: {names} matches all that it matches; move it up, or delete it"
        )
        return
    for number, (pattern, taker) in enumerate(zip(patterns, takers, strict=True)):
        if taker is not None:
            message = (
                f"{pattern!r} is never reached: {taker.place()} takes it; move this policy up, or delete the pattern"
            )
            yield one.finding(("match", "action", number), SHADOWED, message)


def _takes(other: Policy, policy: Policy, action: str) -> bool:
    """Whether the other policy, which comes first, matches every action of that pattern that this one matches."""
    theirs, ours = other.match, policy.match
    return (
        theirs.when in ("", ours.when)
        and _covers(theirs.action, [action])
        and _covers(theirs.resource_type, ours.resource_type)
        and _covers(theirs.tenant, ours.tenant)
        and (_sensitivities(theirs) is None or _within(_sensitivities(ours), _sensitivities(theirs)))
    )


def _covers(theirs: Sequence[str], ours: Sequence[str]) -> bool:
    """Whether each of our patterns is wholly within one of theirs; an empty list sets no condition.

    A star of ours is a character that only a star of theirs takes, so one match of the texts answers for all names.
    """
    if not theirs:
        return True
    patterns = Patterns(theirs)
    return all(patterns.matches(pattern) for pattern in ours or ["*"])


def _sensitivities(match: MatchSpec) -> frozenset[str] | None:
    """None where any will do, also where all four are listed."""
    said = frozenset(match.sensitivity)
    return None if not said or said == _ALL_SENSITIVITIES else said


def _within(ours: frozenset[str] | None, theirs: frozenset[str] | None) -> bool:
    return theirs is None or (ours is not None and ours <= theirs)


def _owners(one: Placed, earlier: Sequence[Placed]) -> Iterator[Finding]:
    """Earlier policies of another owner that take some of the same actions, as far as no condition decides."""
    ours = one.policy
    for other in earlier:
        theirs = other.policy
        if theirs.owner == ours.owner or theirs.match.when or ours.match.when:
            continue
        for number, pattern in enumerate(ours.match.action or ["*"]):
            meets = next((p for p in theirs.match.action or ["*"] if may_meet(p, pattern)), None)
            if meets is None or not _share(theirs.match, ours.match) or _takes(theirs, ours, pattern):
                continue
            path: Path = ("match", "action", number) if ours.match.action else ("id",)
            message = (
                f"{pattern!r} overlaps {meets!r} of {other.place()}, whose owner is {theirs.owner or 'nobody'} and not "
                f"{ours.owner or 'nobody'}: actions of both are the other's; narrow one of them"
            )
            yield one.finding(path, OWNERS_OVERLAP, message)
            break


def _share(theirs: MatchSpec, ours: MatchSpec) -> bool:
    """Whether some action is of both, apart from its name."""
    if theirs.sensitivity and ours.sensitivity and not {*theirs.sensitivity} & {*ours.sensitivity}:
        return False
    return all(
        any(may_meet(a, b) for a in one or ["*"] for b in two or ["*"])
        for one, two in ((theirs.resource_type, ours.resource_type), (theirs.tenant, ours.tenant))
    )


def may_meet(one: str, two: str) -> bool:
    """Whether some text matches both patterns; also where they are too long to be compared."""
    if max(len(one), len(two)) > _PATTERN_CHARS_MAX:
        return True
    # reached[j]: what of `one` was read and the first j characters of `two` can be the same text.
    reached = [True] + [False] * len(two)
    for j, sign in enumerate(two):
        reached[j + 1] = reached[j] and sign == "*"
    for letter in one:
        before, reached = reached, [reached[0] and letter == "*"] + [False] * len(two)
        for j, sign in enumerate(two):
            if letter == "*" or sign == "*":
                reached[j + 1] = before[j + 1] or reached[j]
            else:
                reached[j + 1] = before[j] and letter == sign
    return reached[-1]


def _logins(one: Placed) -> Iterator[Finding]:
    require = one.policy.require
    if "login" in require.accept and not (require.amr_any or require.acr_any):
        message = (
            "a login counts whatever it was made with, a password alone too, since neither `amr_any` nor `acr_any` is "
            "set: say which factors will do"
        )
        yield one.finding(("require", "accept"), LOGIN_UNPROVED, message)


def _sessions(one: Placed, policy_set: PolicySet) -> Iterator[Finding]:
    """`same_session` where every source that may prove is a product whose log has no session in common."""
    if not policy_set.requirements[one.policy.id].same_session or not policy_set.any_proves:
        return
    whys = []
    for source in policy_set.sources.values():
        if not source.proves:
            continue
        answer = _SESSION_OF.get(source.name)
        if answer is None or answer[0] != "never":
            return
        whys.append(f"{source.name}: {answer[1]}")
    if whys:
        said = ("require", "same_session")
        yield one.finding(said, NO_SESSION, f"`same_session` can never be met here; {'; '.join(whys)}")


_SESSION_OF: Final = {
    about.source: (answer.can, answer.why)
    for about in ABOUT.values()
    for answer in options(about)
    if answer.name == "same_session"
}
"""`source` of a product -> whether its log can meet `same_session`, and why not."""
