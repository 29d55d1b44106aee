"""The event of each outcome of a step-up by one-time code (contract section 3).

Said through the builders of `events.py`. No code and no secret is an argument of anything here, so none can get in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from stepwatch.sdk.context import Client
from stepwatch.sdk.events import Source
from stepwatch.sdk.ids import new_id
from stepwatch.sdk.parts import Change, Event, Failure
from stepwatch.sdk.saying import say_error

Report = Callable[[Event], object]
"""Whoever takes an event on its way: a reporter's `report`, `LocalAssurance.report`, a list's `append`."""

AMR: Final = "otp"
"""RFC 8176: a one-time password."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class About:
    """What a challenge and all that becomes of it have in common.

    Attributes:
        subject: who is asked to prove who they are.
        challenge: id of the challenge.
        credential: id of the credential that is asked for.
        session, root_session: where it happens, and the login it descends from; None where there is none.
        action: the action that the challenge is for, or None.
        transaction: opaque hash of the parameters that the person is shown, or None.
    """

    subject: str
    challenge: str
    credential: str
    session: str | None = None
    root_session: str | None = None
    action: str | None = None
    transaction: str | None = None


@dataclass(frozen=True, slots=True)
class OtpEvents:
    """Builds the events of one source. Times are microseconds since 1970; a wrong text raises `EventError`."""

    source: Source

    def challenged(self, about: About, at_us: int, reason: str, client: Client | None) -> Event:
        """The person was asked for a code, and why (`amount_over_limit`, `new_payee`, ...)."""
        return self.source.stepup_challenged(
            subject=about.subject,
            challenge=about.challenge,
            reason=reason,
            session=about.session,
            root_session=about.root_session,
            client=client,
            time=moment(at_us),
        )

    def verified(self, about: About, at_us: int, acr: str | None, client: Client | None) -> Event:
        """A code was accepted; `verification` is the new id of this proof. Its `otp_step` is added once it is known.

        Not a name made of credential and step: if a broken store let one code through twice, the two reports would
        pass for one proof, and the pattern `replayed_code` would not see it.
        """
        return self.source.stepup_verified(
            subject=about.subject,
            amr=[AMR],
            acr=acr,
            verification=new_id(),
            credential=about.credential,
            challenge=about.challenge,
            bound_action=about.action,
            transaction=about.transaction,
            session=about.session,
            root_session=about.root_session,
            client=client,
            time=moment(at_us),
        )

    def refused(
        self, about: About, at_us: int, outcome: Failure | Literal["expired_challenge"], client: Client | None
    ) -> Event:
        """A code was refused: `stepup.failed`, or `stepup.expired` where it came after the challenge's end."""
        if outcome == "expired_challenge":
            return self.source.stepup_expired(
                subject=about.subject,
                challenge=about.challenge,
                bound_action=about.action,
                transaction=about.transaction,
                session=about.session,
                root_session=about.root_session,
                client=client,
                time=moment(at_us),
            )
        return self.source.stepup_failed(
            subject=about.subject,
            failure=outcome,
            challenge=about.challenge,
            bound_action=about.action,
            transaction=about.transaction,
            session=about.session,
            root_session=about.root_session,
            client=client,
            time=moment(at_us),
        )

    def credential_changed(self, subject: str, at_us: int, credential: str, change: Change) -> Event:
        """A credential was created (confirmed, so that it can prove) or revoked."""
        return self.source.credential_changed(subject=subject, credential=credential, change=change, time=moment(at_us))


def moment(at_us: int) -> datetime:
    """A time of a builder.

    Args:
        at_us: microseconds since 1970, to the end of the year 9999.
    """
    return _EPOCH + timedelta(microseconds=at_us)


def wall_clock_us() -> int:
    """Microseconds since 1970, by this machine's clock."""
    return time.time_ns() // 1000


def hand_over(report: Report, event: Event) -> bool:
    """Give an event to a reporter, whose trouble is never the application's.

    Returns:
        False where the reporter raised: it is logged, with the event's type and id.
    """
    try:
        report(event)
    except Exception:
        say_error("%s %s of %s was not reported", event["type"], event["id"], event["source"])
        return False
    return True
