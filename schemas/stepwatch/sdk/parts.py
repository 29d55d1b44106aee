"""The words and small objects that builders take: a misspelt one is an error of the type checker and of the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, get_args

from stepwatch.sdk.checking import EventError
from stepwatch.sdk.context import Client

Event = dict[str, Any]
"""A CloudEvents 1.0 object of contract section 3."""
Outcome = Literal["success", "failure", "denied", "unknown"]
Sensitivity = Literal["low", "moderate", "high", "critical"]
Change = Literal["created", "revoked", "updated"]
Failure = Literal[
    "wrong_code", "replayed_code", "expired_code", "locked_out", "no_response", "signature_invalid", "error"
]
DecisionResult = Literal["required", "previously_satisfied", "not_required", "exempt"]

_WORDS: Final[dict[str, tuple[Any, ...]]] = {
    "data.outcome": get_args(Outcome),
    "data.resource.sensitivity": get_args(Sensitivity),
    "data.change": get_args(Change),
    "data.failure": get_args(Failure),
    "data.decision.result": get_args(DecisionResult),
}


def check_word(field: str, value: str | None) -> None:
    """Refuse a word that the contract does not list: the worker would take it as missing, and say nothing.

    Raises:
        EventError: with the words that are allowed.
    """
    if value is not None and value not in _WORDS[field]:
        raise EventError(field, f"expected one of {', '.join(_WORDS[field])}, got {value!r}")


@dataclass(frozen=True, slots=True)
class Resource:
    """What an action was done to. Without a sensitivity every policy with one matches (contract section 4)."""

    type: str | None = None
    id: str | None = None
    sensitivity: Sensitivity | None = None

    def __post_init__(self) -> None:
        check_word("data.resource.sensitivity", self.sensitivity)


@dataclass(frozen=True, slots=True)
class Decision:
    """The application's own decision whether a step-up was needed, and by which policy of its own."""

    result: DecisionResult
    reason: str | None = None
    policy: str | None = None

    def __post_init__(self) -> None:
        check_word("data.decision.result", self.result)


class Envelope(TypedDict, total=False):
    """What every builder takes.

    Keys:
        id: the event's; the same for every retry. A new UUIDv7 where it is not given.
        time: when it happened, with a zone; now where it is not given.
        root_session: the login that the session descends from.
        client: whoever initiated it.
        extra: further members of `data`, kept on record and read by nobody.
    """

    id: str | None
    time: datetime | None
    root_session: str | None
    client: Client | None
    extra: Mapping[str, object] | None


class Common(Envelope, total=False):
    """The same, and `session`: as the identity provider names it too."""

    session: str | None


class StepUp(Common, total=False):
    """What step-ups take besides.

    Keys:
        challenge: id of the request to prove identity again.
        bound_action: the action that the challenge is for.
        transaction: hash of what the person was shown (contract section 3).
    """

    challenge: str | None
    bound_action: str | None
    transaction: str | None


class ActionSaid(Common, total=False):
    """What an action takes besides its name, its subject and its outcome: see `Source.action_performed`."""

    resource: Resource | None
    on_behalf_of: str | None
    transaction: str | None
    token: Mapping[str, Any] | None
    decision: Decision | None
    verification: str | None
    challenge: str | None
