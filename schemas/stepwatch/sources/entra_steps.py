"""The steps of an Entra ID sign-in: what of it was proved just now, refused, asked for, or let pass."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from stepwatch.schemas import events as t
from stepwatch.sources import amr
from stepwatch.sources.base import at, text
from stepwatch.sources.entra_row import Row, read_time

STEPS_MAX: Final = 64
"""Steps of one sign-in that are looked at; the product shows a handful."""


class Kind(Enum):
    """What became of a step; ASKED is wanted but not under way, UNSAID may be anything."""

    PROVED = "proved"
    FAILED = "failed"
    ASKED = "asked"
    PROMPTED = "prompted"
    EARLIER = "earlier"
    BYPASSED = "bypassed"
    UNSAID = "unsaid"


class Step(NamedTuple):
    """One step.

    Attributes:
        kind: what became of it.
        amr: RFC 8176 values of what was used; empty where the row does not say.
        time_us: when, microseconds since 1970 UTC; None where it is not said.
        first: it is the first factor, not the step-up.
        said: what the product says of its end, lower case.
    """

    kind: Kind
    amr: tuple[str, ...]
    time_us: int | None
    first: bool
    said: str


_EARLIER_METHODS: Final = frozenset(
    {"previously satisfied", "satisfied by token", "claim in access token", "primary refresh token"}
)
_EARLIER_WORDS: Final = (
    # A claim, a device or another provider: when it was proved there, nobody says.
    *("requirement satisfied by", "satisfied by claim", "claim in token", "claim in the token", "claimintoken"),
    "previously satisfied",
)
_BYPASS_WORDS: Final = ("skipped", "not required")
_ASKED_WORDS: Final = ("required in", "prompted", "has expired due to")
_PROMPTED_WORDS: Final = ("in progress", "in-progress")
_PASSWORD_WORDS: Final = ("correct password", "or password", "invalid password", "wrong password")
_REFUSED_WORDS: Final = ("mfa denied", "fraud")
_BYPASS_METHOD: Final = "temporary access pass"
"""A code that an administrator hands out in place of the person's own factors."""
_SUCCEEDED: Final = {"true": Kind.PROVED, "succeeded": Kind.PROVED, "false": Kind.FAILED, "failed": Kind.FAILED}
_FAILURES: Final = (
    # Words of a step's end, type, failure; the first that holds.
    (("is blocked", "userisblocked", "blocked due"), t.STEPUP_FAILED, "locked_out"),
    (("declined", "fraud", "phoneappdenied"), t.STEPUP_DENIED, ""),
    (("too many times", "locked"), t.STEPUP_FAILED, "locked_out"),
    (("already used", "used once"), t.STEPUP_FAILED, "replayed_code"),
    (("code has expired", "code expired", "expired code"), t.STEPUP_FAILED, "expired_code"),
    (("incorrect code", "incorrect pin", "wrong code", "verification code"), t.STEPUP_FAILED, "wrong_code"),
    (("not respond", "n't respond", "no phone input", "nophoneinput"), t.STEPUP_FAILED, "no_response"),
    (("timed out", "timeout", "voicemail"), t.STEPUP_FAILED, "no_response"),
    (("unable to", "unreachable", "misconfiguration", "service error"), t.STEPUP_FAILED, "error"),
    (("invalid format", "duplicate authentication"), t.STEPUP_FAILED, "error"),
)


def how_it_failed(said: str) -> tuple[str, str]:
    """Type and `failure` of a step-up that was not passed; denied only where the person said no."""
    if "never entered the verification code" in said:
        return t.STEPUP_FAILED, "no_response"
    if "correct number" in said:
        return t.STEPUP_FAILED, "wrong_code"
    for words, kind, failure in _FAILURES:
        if any(word in said for word in words):
            return kind, failure
    return t.STEPUP_FAILED, ""


def read_steps(row: Row, passed: bool) -> list[Step]:
    """The steps that a sign-in row tells of, in its order.

    Args:
        row: the sign-in.
        passed: it ended well, or was interrupted after it had.

    Returns:
        `authenticationDetails`; and where none of those is a second factor, the one that `mfaDetail` and
        `status.additionalDetails` tell of.
    """
    steps = [_step(one) for one in row.listed("authenticationDetails")[:STEPS_MAX]]
    said = text(at(row.part("status"), "additionalDetails"))
    if said and all(step.first for step in steps):
        method = text(at(row.part("mfaDetail"), "authMethod"))
        if (kind := _told(method, said.lower()) or _overall(said, passed)) is not None:
            steps.append(Step(kind, _words(method, said), None, first=False, said=said.lower()))
    return steps


def _overall(said: str, passed: bool) -> Kind | None:
    # The method beside it does not say that it was used now, and not when the MFA was satisfied before.
    if passed:
        return Kind.PROVED if _words(said) else None
    return Kind.FAILED if any(word in said.lower() for word in _REFUSED_WORDS) else None


def _step(one: dict[str, Any]) -> Step:
    succeeded = one.get("succeeded")
    kind, words, first, said = _meaning(
        text(one.get("authenticationMethod")),
        text(one.get("authenticationStepResultDetail")),
        text(one.get("authenticationStepRequirement")),
        str(succeeded).lower() if isinstance(succeeded, bool) else text(succeeded).lower(),
    )
    return Step(kind, words, read_time(one.get("authenticationStepDateTime")), first, said)


# The same few words stand in nearly all rows.
@lru_cache(maxsize=1024)
def _meaning(method: str, detail: str, requirement: str, succeeded: str) -> tuple[Kind, tuple[str, ...], bool, str]:
    said = detail.lower()
    ended = _SUCCEEDED.get(succeeded, Kind.UNSAID)
    kind = _told(method, said) or ended
    if kind is Kind.BYPASSED and ended is Kind.FAILED:
        kind = ended
    words = _words(method, detail)
    if kind is Kind.PROVED and not words and not method.strip():
        # What was proved, nothing says.
        kind = Kind.UNSAID
    named_first = requirement.lower().startswith("primary") or said.startswith("first factor")
    return kind, words, named_first or words == ("pwd",) or any(word in said for word in _PASSWORD_WORDS), said


def _told(method: str, said: str) -> Kind | None:
    """What the words alone tell, whatever `succeeded` says; None where they tell nothing of it."""
    name = method.lower().strip()
    if name in _EARLIER_METHODS or any(word in said for word in _EARLIER_WORDS):
        return Kind.EARLIER
    if name == _BYPASS_METHOD or any(word in said for word in _BYPASS_WORDS):
        return Kind.BYPASSED
    if any(word in said for word in _PROMPTED_WORDS):
        return Kind.PROMPTED
    return Kind.ASKED if any(word in said for word in _ASKED_WORDS) else None


def _words(*said: str) -> tuple[str, ...]:
    found = [word for name in said if name and (word := amr.lookup("entra", name)) is not None]
    return tuple(dict.fromkeys(value for word in found for value in word.amr))
