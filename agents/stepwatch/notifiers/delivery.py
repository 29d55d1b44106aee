"""What is carried to a receiver, and what it answered: the one interface between routing and receivers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Step(Enum):
    """What a delivery does to the incident that a receiver keeps under the alert's id."""

    TRIGGER = "trigger"
    UPDATE = "update"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Message:
    """An alert in words, not yet escaped or cut for any receiver.

    Attributes:
        title: who did what, one line.
        lines: two: what proof is missing and by how much; what to do.
        facts: name and value, in the order in which a person reads them.
        severity, kind, tenant, policy, owner: of the alert, for fields that receivers have for them.
        runbook, console: addresses; "" where there is none.
        command: what reproduces the verdict, typed as it is; "" where nothing does.
        first_time: event time of the first member, RFC 3339; "" where the alert has none.
    """

    title: str
    lines: tuple[str, str]
    facts: tuple[tuple[str, str], ...]
    severity: str
    kind: str
    tenant: str
    policy: str = ""
    owner: str = ""
    runbook: str = ""
    console: str = ""
    command: str = ""
    first_time: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one receiver.

    Attributes:
        key: the incident's key at the receiver: the alert's id, or a digest's own. The same after every crash.
        version: of the alert that the message speaks of.
        step: what to do to the incident.
        message: the words.
        reference: the receiver's own name for the incident, as its last answer said; "" where it said none.
    """

    key: str
    version: int
    step: Step
    message: Message
    reference: str = ""


class Outcome(Enum):
    """What became of a delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"
    """Not taken now; the same delivery may be tried again."""
    REFUSED = "refused"
    """This message will never be taken as it is; the channel may well take others."""
    DISABLED = "disabled"
    """The receiver asks for nothing more (410): nothing is sent to it until a person enables it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered.

    Attributes:
        outcome: what became of the delivery.
        words: why, for a person; never a secret.
        retry_after_s: what the receiver asked us to wait, seconds; None where it did not say.
        reference: the receiver's own name for the incident, to be handed back with its next delivery; "" for none.
        unsent: nothing can have come of it (no connection, not taken); else a receiver that did not answer may have it.
        is_misset: no waiting mends it, only a person does (a wrong key, a wrong address): another is told at once.
    """

    outcome: Outcome
    words: str
    retry_after_s: float | None = None
    reference: str = ""
    unsent: bool = False
    is_misset: bool = False


class Receiver(Protocol):
    """Where messages go: one channel of the routing file."""

    @property
    def name(self) -> str:
        """The channel's name in the routing file."""

    @property
    def resend_every_s(self) -> float | None:
        """How often the last delivery of an incident is to be repeated until it is resolved, seconds; None: never."""

    async def deliver(self, delivery: Delivery) -> Answer:
        """Carry one delivery; raises nothing that a receiver or the network can cause."""

    async def close(self) -> None:
        """Give back connections."""
