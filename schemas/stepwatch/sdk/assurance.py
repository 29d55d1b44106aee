"""Who has proved what lately: asked by `require_step_up` before an action (contract section 9).

`LocalAssurance` answers from the events that this process itself reported. What the identity provider or another
process reported it does not know: neither a proof, so it asks once more, nor a revocation, so it lets a voided proof
pass until it is `max_age` old. The audit knows both, and says `unverified` there.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from stepwatch.schemas.times import SECOND_US, parse_time
from stepwatch.sdk.otp_events import Report
from stepwatch.sdk.parts import Event

Kind = Literal["step_up", "login"]
VOIDS_MAX: Final = 16
"""How many revocations of a subject are remembered one by one."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One verification of a subject, not voided (contract sections 1 and 3).

    Attributes:
        verification: its id.
        kind: `step_up` or `login`.
        at_us: when it was proved (`v.at`), microseconds since 1970.
        time_us: when that was said, microseconds since 1970.
        amr, acr: how.
        session, root_session: where; "" where there is none.
        bound_action, transaction: what it was for; "" where it was for nothing in particular.
        credential: what proved it.
    """

    verification: str
    kind: Kind
    at_us: int
    time_us: int
    amr: tuple[str, ...] = ()
    acr: str = ""
    session: str = ""
    root_session: str = ""
    bound_action: str = ""
    transaction: str = ""
    credential: str = ""

    @property
    def root(self) -> str:
        """The login that the proof descends from, or its own session."""
        return self.root_session or self.session


class Assurance(Protocol):
    """Whoever knows what was proved."""

    def proofs(self, tenant: str, subject: str) -> Sequence[Proof]:
        """The verifications of a subject that still live, in any order.

        May raise whatever it likes where it cannot know; `require_step_up` then demands a proof.
        """


class LocalAssurance:
    """The proofs among the events that pass through it. Safe for threads; each process knows its own.

        assurance = LocalAssurance()
        otp = OtpVerifier(report=assurance.then(reporter.report), ...)

    Sessions and credentials that are revoked take their proofs with them. Memory is bounded: when a bound is reached
    the subject of whom nothing was heard for longest is forgotten first, and is asked again.

    Args:
        subjects_max: how many subjects are remembered, at least 1.
        proofs_max: how many proofs of a subject, the newest, at least 1.

    Attributes:
        forgotten: how many subjects were forgotten for want of room.
    """

    def __init__(self, *, subjects_max: int = 100_000, proofs_max: int = 16) -> None:
        for name, value in (("subjects_max", subjects_max), ("proofs_max", proofs_max)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        self.forgotten = 0
        self._subjects_max = subjects_max
        self._proofs_max = proofs_max
        # Reentrant: a signal handler may report in the middle of a report.
        self._lock = threading.RLock()
        self._kept: OrderedDict[tuple[str, str], _Person] = OrderedDict()

    def proofs(self, tenant: str, subject: str) -> Sequence[Proof]:
        """As `Assurance.proofs`; never raises."""
        with self._lock:
            person = self._kept.get((tenant, subject))
            return tuple(person.proofs) if person else ()

    def then(self, report: Report) -> Report:
        """A door for events that takes note of each and hands it on to `report`."""

        def both(event: Event) -> object:
            self.report(event)
            return report(event)

        return both

    def report(self, event: Mapping[str, Any]) -> None:
        """Take note of an event of this application, once it was checked by its builder.

        Other types than `stepup.verified`, `session.started`, `session.revoked` and `credential.changed` say nothing
        of proofs, and are passed over.
        """
        kind, data = event.get("type"), event.get("data") or {}
        time_us = parse_time(str(event.get("time")))
        if time_us is None:
            return
        key = (data.get("tenant") or "default", str(event.get("subject")))
        with self._lock:
            if kind == "stepwatch.stepup.verified":
                self._person(key).add(_proof(event, data, time_us, "step_up"), self._proofs_max)
            elif kind == "stepwatch.session.started" and data.get("amr"):
                self._person(key).add(_proof(event, data, time_us, "login"), self._proofs_max)
            elif kind == "stepwatch.session.revoked":
                session = data.get("session") or data.get("root_session") or ""
                self._person(key).void(_Void(time_us, session=session))
            elif kind == "stepwatch.credential.changed" and data.get("change") == "revoked":
                self._person(key).void(_Void(time_us, credential=data.get("credential") or ""))

    def _person(self, key: tuple[str, str]) -> _Person:
        person = self._kept.setdefault(key, _Person())
        self._kept.move_to_end(key)
        if len(self._kept) > self._subjects_max:
            self._kept.popitem(last=False)
            self.forgotten += 1
        return person


@dataclass(frozen=True, slots=True)
class _Void:
    """A revocation: of a credential; of a session or, where that is "", of all."""

    time_us: int
    session: str = ""
    credential: str = ""

    def hits(self, proof: Proof) -> bool:
        """Whether it voids this proof (contract section 5, filter 3)."""
        if proof.at_us >= self.time_us:
            return False
        if self.credential:
            return proof.credential == self.credential
        return not self.session or self.session in (proof.session, proof.root)


@dataclass(slots=True)
class _Person:
    """What is known of one subject. Revocations stay, since a login may tell of a proof that is older than they."""

    proofs: list[Proof] = field(default_factory=list)
    voids: list[_Void] = field(default_factory=list)

    def add(self, proof: Proof, proofs_max: int) -> None:
        if not any(void.hits(proof) for void in self.voids):
            self.proofs = sorted([*self.proofs, proof], key=lambda proof: proof.at_us)[-proofs_max:]

    def void(self, void: _Void) -> None:
        self.proofs = [proof for proof in self.proofs if not void.hits(proof)]
        self.voids = sorted([*self.voids, void], key=lambda void: void.time_us)
        if len(self.voids) > VOIDS_MAX:
            # What one of the oldest would have voided is voided by a revocation of everything at the later's time.
            self.voids[:2] = [_Void(self.voids[1].time_us)]
            self.proofs = [proof for proof in self.proofs if not self.voids[0].hits(proof)]


def _proof(event: Mapping[str, Any], data: Mapping[str, Any], time_us: int, kind: Kind) -> Proof:
    auth_time = data.get("auth_time")
    at_us = time_us
    if auth_time is not None and int(auth_time) < time_us // SECOND_US:
        at_us = int(auth_time) * SECOND_US
    return Proof(
        verification=data.get("verification") or str(event.get("id")),
        kind=kind,
        at_us=at_us,
        time_us=time_us,
        amr=tuple(data.get("amr") or ()),
        acr=data.get("acr") or "",
        session=data.get("session") or "",
        root_session=data.get("root_session") or "",
        bound_action=data.get("bound_action") or "",
        transaction=data.get("transaction") or "",
        credential=data.get("credential") or "",
    )
