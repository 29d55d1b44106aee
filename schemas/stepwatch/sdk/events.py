"""Builders for every event type of contract section 3: what an application says, as CloudEvents.

    bank = Source("/payments/api", tenant="acme")
    reporter.report(bank.action_performed("payments.payout.approve", subject="alice", session="s-81"))

A builder returns a plain dict and keeps nothing. What the contract requires, and what an event would be useless
without, is a required argument. Any wrong argument is an `EventError` that names the field, by the same models as the
worker's. What the request's context knows (`middleware.py`) and the call does not say is filled in, for events about
whoever acts in this request: actions and step-ups; of a `session.started` the client only; of the rest nothing, since
who revokes a session or approves is somebody else than the one whom it concerns. What an end user may have chosen (a
resource, a client, claims) is no wrong argument as long as it is a text: it is made to fit (`fitting.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Unpack

from stepwatch.sdk.building import build_event, context_of, list_of, moment_of
from stepwatch.sdk.checking import EventError, check_event
from stepwatch.sdk.context import Context, members_of
from stepwatch.sdk.fitting import fit_claims, fit_members
from stepwatch.sdk.ids import new_id
from stepwatch.sdk.parts import (
    Change,
    Common,
    Decision,
    Envelope,
    Event,
    Failure,
    Outcome,
    Resource,
    StepUp,
    check_word,
)

RESERVED: Final = "stepwatch"
"""The source of the workers' own pulses (contract section 2)."""


@dataclass(frozen=True, slots=True)
class Source:
    """One feed of events: the application, or a part of it, that says what happened.

    Attributes:
        name: CloudEvents `source`, as the policy file lists it (`/payments/api`); a URI reference.
        tenant: contract section 3.

    Raises:
        EventError: one of them is wrong.
    """

    name: str
    tenant: str = "default"

    def __post_init__(self) -> None:
        if self.name == RESERVED:
            raise EventError("source", f"{RESERVED!r} is reserved for the workers' own pulses: take another name")
        # With a subject and a session of no matter: what is wrong with the source is found when the program starts.
        self._build("stepup.required", "anybody", {}, {}, None)

    def action_performed(
        self,
        action: str,
        *,
        subject: str,
        outcome: Outcome = "success",
        resource: Resource | None = None,
        on_behalf_of: str | None = None,
        transaction: str | None = None,
        token: Mapping[str, Any] | None = None,
        decision: Decision | None = None,
        verification: str | None = None,
        challenge: str | None = None,
        **common: Unpack[Common],
    ) -> Event:
        """Something the subject did to a resource: one action, one event.

        Args:
            action: `noun.verb` in dotted lower case (`payments.payout.approve`).
            subject: who really acts, by the canonical id.
            outcome: what became of it.
            resource: what it was done to.
            on_behalf_of: whom the subject acted for, if somebody else.
            transaction: hash of the canonical parameters that the person was shown, action name included.
            token: claims of the access token presented, never the token.
            decision: the application's own.
            verification: id of the proof that the application relied on.
            challenge: id of the challenge that it relied on.
            common: see `parts.Common`; `time` is when the application let it happen.

        Raises:
            EventError: an argument is wrong.
        """
        check_word("data.outcome", outcome)
        known = context_of(subject)
        data = {
            "action": action,
            "resource": fit_members(members_of(resource)) if resource else None,
            "outcome": outcome,
            "on_behalf_of": on_behalf_of,
            "transaction": transaction,
            "token": fit_claims(known.token if token is None else token),
            "decision": members_of(decision) if decision else None,
            "verification": verification,
            "challenge": challenge,
        }
        return self._build("action.performed", subject, data, common, known)

    def stepup_required(
        self, *, subject: str, reason: str, decision: Decision | None = None, **stepup: Unpack[StepUp]
    ) -> Event:
        """The application decided that the subject must prove who they are.

        Args:
            subject: who is asked.
            reason: why (`amount_over_limit`, `new_payee`, ...); `unknown` counts as a defect.
            decision: the application's own, and by which policy.
            stepup: see `parts.StepUp`.

        Raises:
            EventError: an argument is wrong.
        """
        said = members_of(decision) if decision else None
        return self._step("stepup.required", subject, {"reason": reason, "decision": said}, stepup)

    def stepup_challenged(
        self, *, subject: str, challenge: str, reason: str | None = None, **common: Unpack[Common]
    ) -> Event:
        """The subject was asked to prove who they are: a code was demanded, a phone rang.

        Args:
            subject: who is asked.
            challenge: id of this request to prove identity again.
            reason: why the step-up was triggered.
            common: see `parts.Common`; what it is bound to is said by the verification.

        Raises:
            EventError: an argument is wrong.
        """
        return self._step("stepup.challenged", subject, {"challenge": challenge, "reason": reason}, common)

    def stepup_verified(
        self,
        *,
        subject: str,
        amr: Sequence[str],
        acr: str | None = None,
        auth_time: float | None = None,
        verification: str | None = None,
        credential: str | None = None,
        otp_step: int | None = None,
        **stepup: Unpack[StepUp],
    ) -> Event:
        """The subject proved who they are.

        Args:
            subject: who proved it.
            amr: how, in the words of RFC 8176 (`otp`, `hwk`, ...), at least one.
            acr: the class of it (OpenID Connect).
            auth_time: when it was proved, seconds since 1970, where that is earlier than `time`.
            verification: id of the proof, so that two reports of one proof are one.
            credential: id of the credential that proved.
            otp_step: TOTP time step, never the code.
            stepup: see `parts.StepUp`.

        Raises:
            EventError: an argument is wrong.
        """
        if not amr:
            raise EventError("data.amr", "missing; a verification that says not how it was proved meets no policy")
        data = {
            "amr": list_of(amr),
            "acr": acr,
            "auth_time": auth_time,
            "verification": verification,
            "credential": credential,
            "otp_step": otp_step,
        }
        return self._step("stepup.verified", subject, data, stepup)

    def stepup_failed(self, *, subject: str, failure: Failure, **stepup: Unpack[StepUp]) -> Event:
        """A proof was tried and was none.

        Args:
            subject: who was asked.
            failure: why it was none.
            stepup: see `parts.StepUp`.

        Raises:
            EventError: an argument is wrong.
        """
        check_word("data.failure", failure)
        return self._step("stepup.failed", subject, {"failure": failure}, stepup)

    def stepup_denied(self, *, subject: str, **stepup: Unpack[StepUp]) -> Event:
        """The person said no ("this was not me"). Raises EventError."""
        return self._step("stepup.denied", subject, {}, stepup)

    def stepup_expired(self, *, subject: str, **stepup: Unpack[StepUp]) -> Event:
        """Nobody answered the challenge in time. Raises EventError."""
        return self._step("stepup.expired", subject, {}, stepup)

    def stepup_cancelled(self, *, subject: str, **stepup: Unpack[StepUp]) -> Event:
        """The challenge was given up before it was answered. Raises EventError."""
        return self._step("stepup.cancelled", subject, {}, stepup)

    def stepup_bypassed(self, *, subject: str, **stepup: Unpack[StepUp]) -> Event:
        """Somebody let the action pass without a proof (a help desk, a break-glass code). Raises EventError."""
        return self._step("stepup.bypassed", subject, {}, stepup)

    def session_started(
        self,
        *,
        subject: str,
        session: str,
        amr: Sequence[str] = (),
        acr: str | None = None,
        auth_time: float | None = None,
        verification: str | None = None,
        credential: str | None = None,
        challenge: str | None = None,
        **envelope: Unpack[Envelope],
    ) -> Event:
        """A login; with a non-empty `amr` it is a verification of kind `login`.

        Args:
            subject: who signed in.
            session: as the application names it too.
            amr, acr, auth_time, verification, credential: as of `stepup_verified`.
            challenge: id of the challenge that it answered.
            envelope: see `parts.Envelope`.

        Raises:
            EventError: an argument is wrong.
        """
        data = {
            "session": session,
            "amr": list_of(amr) or None,
            "acr": acr,
            "auth_time": auth_time,
            "verification": verification,
            "credential": credential,
            "challenge": challenge,
        }
        return self._build("session.started", subject, data, envelope, Context(client=context_of(subject).client))

    def session_revoked(self, *, subject: str, session: str | None, **envelope: Unpack[Envelope]) -> Event:
        """A session ended: what it proved covers nothing from then on.

        Args:
            subject: whose session.
            session: which; None with no `root_session` either: all of them.
            envelope: see `parts.Envelope`.

        Raises:
            EventError: an argument is wrong.
        """
        return self._build("session.revoked", subject, {"session": session}, envelope, None)

    def credential_changed(self, *, subject: str, credential: str, change: Change, **common: Unpack[Common]) -> Event:
        """A credential of the subject was created, revoked or updated.

        Args:
            subject: whose credential.
            credential: its id.
            change: what was done to it.
            common: see `parts.Common`.

        Raises:
            EventError: an argument is wrong.
        """
        check_word("data.change", change)
        data = {"credential": credential, "change": change}
        return self._build("credential.changed", subject, data, common, None)

    def approval_granted(
        self, *, subject: str, approver: str, approver_verification: str | None = None, **stepup: Unpack[StepUp]
    ) -> Event:
        """Somebody approved what the subject wants to do.

        Args:
            subject: who wants to do it.
            approver: who approved.
            approver_verification: id of the approver's proof.
            stepup: see `parts.StepUp`.

        Raises:
            EventError: an argument is wrong.
        """
        data = {"approver": approver, "approver_verification": approver_verification}
        return self._build("approval.granted", subject, data, stepup, None)

    def approval_revoked(self, *, subject: str, approver: str | None = None, **stepup: Unpack[StepUp]) -> Event:
        """An approval was taken back. Raises EventError."""
        return self._build("approval.revoked", subject, {"approver": approver}, stepup, None)

    def heartbeat(
        self, *, complete_to: datetime | None = None, id: str | None = None, time: datetime | None = None
    ) -> Event:
        """This feed is alive. Reporters send them by themselves (`heartbeat=`).

        Args:
            complete_to: up to which event time the feed has delivered everything; `time` where it is not given.
            id, time: as of every event.

        Raises:
            EventError: an argument is wrong.
        """
        at = moment_of("time", time)
        to = at if complete_to is None else moment_of("data.complete_to", complete_to)
        event = {
            "specversion": "1.0",
            "id": id or new_id(),
            "source": self.name,
            "type": "stepwatch.heartbeat",
            "time": at,
            "data": {"complete_to": to},
        }
        check_event(event)
        return event

    def _step(self, kind: str, subject: str, data: dict[str, Any], said: Mapping[str, Any]) -> Event:
        return self._build(kind, subject, data, said, context_of(subject))

    def _build(
        self, kind: str, subject: str, data: dict[str, Any], said: Mapping[str, Any], known: Context | None
    ) -> Event:
        return build_event(self.name, kind, subject, {"tenant": self.tenant, **data}, said, known)
