"""What the bank's systems say: events of contract section 3, with ids that count up."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from stepwatch.schemas import events as ev
from stepwatch.schemas.keys import subject_key
from stepwatch.schemas.times import SECOND_US, format_time

IDP = "/idp"
TENANT = "default"
ACTIONS = "actions"
AUTHENTICATIONS = "authentications"

SOURCES = {"payments": "/payments/api", "iam": "/iam/api", "kms": "/vault/api", "idp": "/idp/admin"}
"""First word of an action -> the application that reports it; /core/banking reports the rest."""


class Person(NamedTuple):
    """Somebody who works at the bank, or a service that does."""

    name: str
    subject: str
    job: str
    method: str
    """How they prove themselves: `key`, `otp` or `push`."""
    ip: str
    device: str


class Happening(NamedTuple):
    """One event on its way to Kafka.

    Attributes:
        when_us: when its application sends it, us; a copy is sent later than it happened.
        family: `actions` or `authentications`, the topic without its prefix.
    """

    when_us: int
    family: str
    subject: str
    value: bytes

    @property
    def key(self) -> bytes:
        """The record key."""
        return subject_key(TENANT, self.subject)


class Resource(NamedTuple):
    """What an action is done to."""

    type: str
    id: str
    sensitivity: str


PROOFS: dict[str, tuple[list[str], str]] = {
    "key": (["hwk", "user"], "phr"),
    "otp": (["pwd", "otp"], "urn:acme:2fa"),
    "push": (["swk", "user"], "urn:acme:2fa"),
}
"""Method -> the amr and acr of its proof."""


class Voice:
    """Says events one after the other; two voices differ in the prefix of their ids."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0

    def new_id(self, kind: str) -> str:
        """An id that no other event, proof or challenge has."""
        self._count += 1
        return f"{kind}-{self._prefix}{self._count:05d}"

    def authentication(self, kind: str, person: Person, time_us: int, session: str, **data: Any) -> Happening:
        """What the identity provider says of a person; `kind` without the `stepwatch.` in front."""
        said = {"session": session, "client": _client(person), **data}
        return self._say(AUTHENTICATIONS, ev.TYPE_PREFIX + kind, IDP, "e", person, time_us, said)

    def verified(self, person: Person, time_us: int, session: str, method: str | None = None, **data: Any) -> Happening:
        """A step-up that succeeded, by the person's own method or another."""
        method = method or person.method
        amr, acr = PROOFS[method]
        said: dict[str, Any] = {
            "amr": amr,
            "acr": acr,
            "verification": self.new_id("v"),
            "credential": f"{method}-{person.subject}",
        }
        if method == "otp":
            said["otp_step"] = time_us // (30 * SECOND_US)
        return self.authentication("stepup.verified", person, time_us, session, **{**said, **data})

    def action(
        self, person: Person, time_us: int, session: str, action: str, resource: Resource, **data: Any
    ) -> Happening:
        """What an application says that a person did."""
        source = SOURCES.get(action.split(".", 1)[0], "/core/banking")
        said = {
            "session": session,
            "action": action,
            "resource": resource._asdict(),
            "outcome": "success",
            "client": _client(person),
            **data,
        }
        return self._say(ACTIONS, ev.ACTION_PERFORMED, source, "a", person, time_us, said)

    def _say(
        self,
        family: str,
        type_: str,
        source: str,
        letter: str,
        person: Person,
        time_us: int,
        data: dict[str, Any],
    ) -> Happening:
        event = {
            "specversion": "1.0",
            "id": self.new_id(letter),
            "source": source,
            "type": type_,
            "time": format_time(time_us),
            "subject": person.subject,
            "data": data,
        }
        return Happening(time_us, family, person.subject, encoded(event))


def heartbeat(number: int, time_us: int) -> bytes:
    """The identity provider's sign of life: all that happened there until now has been delivered."""
    return encoded(
        {
            "specversion": "1.0",
            "id": f"beat-{number:05d}",
            "source": IDP,
            "type": ev.HEARTBEAT,
            "time": format_time(time_us),
            "data": {"complete_to": format_time(time_us)},
        }
    )


def id_of(happening: Happening) -> str:
    """The id of an event that we said."""
    return str(json.loads(happening.value)["id"])


def proof_of(happening: Happening) -> str:
    """The id of the proof that a `stepup.verified` of ours reports."""
    return str(json.loads(happening.value)["data"]["verification"])


def encoded(event: dict[str, Any]) -> bytes:
    """An event as a record's value."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def _client(person: Person) -> dict[str, str]:
    return {"ip": person.ip, "device": person.device, "country": "SE"}
