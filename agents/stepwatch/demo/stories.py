"""The named stories of the day: what happens in each, in which order, and as what it must end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from stepwatch.demo.bank import step_up, subject_of, transaction_of
from stepwatch.demo.said import IDP, Happening, Person, Resource, Voice, id_of
from stepwatch.schemas.times import MINUTE_US, SECOND_US

OUTAGE_AT = 0.64
"""Which part of the day is over when the identity provider falls silent."""


class Send(NamedTuple):
    """Send these, proofs before actions; what the identity provider says waits while it is silent."""

    happenings: tuple[Happening, ...]


class Wait(NamedTuple):
    """Go on once an alert is in that state."""

    kind: str
    subject: str
    state: str = "open"


class Pause(NamedTuple):
    """Go on after so many seconds of this machine's time."""

    seconds: float


class Hush(NamedTuple):
    """The identity provider falls silent: no heartbeat, no event."""


class Recover(NamedTuple):
    """It comes back: first what was held back, then heartbeats."""


Step = Send | Wait | Pause | Hush | Recover


class Verdict(NamedTuple):
    """How an action's verdict must end.

    Attributes:
        passed: (verdict, reason) of revisions, in their order; others may lie between, the last one must be last.
    """

    subject: str
    action_id: str
    passed: tuple[tuple[str, str], ...]


class AlertEnd(NamedTuple):
    """How an alert must end; subject: the source, where the alert is about one."""

    kind: str
    subject: str
    severity: str
    state: str = "open"
    resolved_by: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """One story.

    Attributes:
        name: what it is about, in a few words.
        people: who is in it.
        told: a sentence for the screen when it begins.
        at: which part of the day is over then, 0 to 1.
        steps: what is done, in order.
        verdicts, alerts: as what it must end.
        end: the same in words.
    """

    name: str
    people: tuple[Person, ...]
    told: str
    at: float
    steps: tuple[Step, ...]
    verdicts: tuple[Verdict, ...]
    alerts: tuple[AlertEnd, ...]
    end: str


NO_PROOF = ("unverified", "no_step_up")
PROVED = ("verified", "step_up")
SILENT = ("blind", "source_silent")


def stories(start_us: int, length_us: int) -> list[Story]:
    """All stories of a day, in the order in which they begin.

    Args:
        start_us: when the day begins, us.
        length_us: how long it is, us.
    """
    tellers: tuple[tuple[float, Callable[[int, float], Story]], ...] = (
        (0.02, _unverified_payout),
        (0.10, _stale_proof),
        (0.18, _other_session),
        (0.26, _denied_push),
        (0.34, _late_proof),
        (0.46, _fatigue),
        (0.54, _replayed_code),
        (OUTAGE_AT, _silent_source),
    )
    return [tell(start_us + int(at * length_us), at) for at, tell in tellers]


def _person(name: str, job: str, method: str, number: int) -> Person:
    return Person(name, subject_of(name), job, method, f"203.0.113.{number}", f"d-{subject_of(name)}")


def _payout(
    voice: Voice, person: Person, time_us: int, session: str, resource_id: str, *, release: bool = False
) -> Happening:
    action = "payments.payout.release" if release else "payments.payout.approve"
    return voice.action(
        person,
        time_us,
        session,
        action,
        Resource("payout", resource_id, "critical"),
        transaction=transaction_of(action, resource_id),
        decision={"result": "required", "reason": "money_movement"},
    )


def _proof(
    voice: Voice, person: Person, time_us: int, session: str, resource_id: str, *, release: bool = False
) -> Happening:
    action = "payments.payout.release" if release else "payments.payout.approve"
    return voice.verified(person, time_us, session, transaction=transaction_of(action, resource_id))


def _login(voice: Voice, person: Person, time_us: int, session: str) -> Happening:
    return voice.authentication("session.started", person, time_us, session, amr=["pwd", "otp"])


def _unverified_payout(time_us: int, at: float) -> Story:
    nora, voice = _person("Nora Lindqvist", "clerk", "otp", 11), Voice("nora-")
    payout = _payout(voice, nora, time_us, "s-nora", "po-2301")
    return Story(
        "an unverified payout",
        (nora,),
        "Nora Lindqvist approves a payout; she is logged in, and nobody asked her to step up.",
        at,
        (Send((_login(voice, nora, time_us - 20 * MINUTE_US, "s-nora"), payout)),),
        (Verdict(nora.subject, id_of(payout), (NO_PROOF,)),),
        (AlertEnd("unverified_action", nora.subject, "critical"),),
        "unverified, no step-up; alert open",
    )


def _stale_proof(time_us: int, at: float) -> Story:
    jonas, voice = _person("Jonas Weber", "clerk", "key", 12), Voice("jonas-")
    proof = _proof(voice, jonas, time_us - 11 * MINUTE_US - 40 * SECOND_US, "s-jonas", "po-2302", release=True)
    payout = _payout(voice, jonas, time_us, "s-jonas", "po-2302", release=True)
    return Story(
        "a stale proof",
        (jonas,),
        "Jonas Weber touches his key, has a coffee, and releases the payout 11 min 40 s later.",
        at,
        (Send((proof, payout)),),
        (Verdict(jonas.subject, id_of(payout), (("unverified", "stale"),)),),
        (AlertEnd("unverified_action", jonas.subject, "critical"),),
        "unverified, stale; alert open",
    )


def _other_session(time_us: int, at: float) -> Story:
    amira, voice = _person("Amira Haddad", "clerk", "key", 13), Voice("amira-")
    proof = _proof(voice, amira, time_us - 50 * SECOND_US, "s-phone", "po-2303")
    payout = _payout(voice, amira, time_us, "s-desk", "po-2303")
    return Story(
        "a proof of another session",
        (amira,),
        "Amira Haddad proves herself on her phone; the payout is approved in another session.",
        at,
        (Send((proof, payout)),),
        (Verdict(amira.subject, id_of(payout), (("unverified", "wrong_session"),)),),
        (AlertEnd("unverified_action", amira.subject, "critical"),),
        "unverified, wrong session; alert open",
    )


def _denied_push(time_us: int, at: float) -> Story:
    pavel, voice = _person("Pavel Novak", "adviser", "push", 14), Voice("pavel-")
    tie = {"challenge": voice.new_id("c"), "bound_action": "payments.payee.create"}
    asked = voice.authentication("stepup.challenged", pavel, time_us - 55 * SECOND_US, "s-pavel", **tie)
    denied = voice.authentication("stepup.denied", pavel, time_us - 40 * SECOND_US, "s-pavel", **tie)
    payee = voice.action(pavel, time_us, "s-pavel", "payments.payee.create", Resource("payee", "pe-88", "high"))
    return Story(
        "a push denied and acted on",
        (pavel,),
        "Pavel Novak says no to a push on his phone; the payee is created all the same.",
        at,
        (Send((asked, denied, payee)),),
        (Verdict(pavel.subject, id_of(payee), (("unverified", "denied"),)),),
        (
            AlertEnd("unverified_action", pavel.subject, "high"),
            AlertEnd("denied_then_acted", pavel.subject, "high"),
        ),
        "unverified, denied; two alerts open",
    )


def _late_proof(time_us: int, at: float) -> Story:
    sofia, voice = _person("Sofia Rossi", "clerk", "key", 15), Voice("sofia-")
    payout = _payout(voice, sofia, time_us, "s-sofia", "po-2305")
    proof = _proof(voice, sofia, time_us - 30 * SECOND_US, "s-sofia", "po-2305")
    return Story(
        "a proof that arrives late",
        (sofia,),
        "Sofia Rossi proves herself and approves a payout; the proof is stuck on its way.",
        at,
        (Send((payout,)), Wait("unverified_action", sofia.subject), Pause(1.0), Send((proof,))),
        (Verdict(sofia.subject, id_of(payout), (NO_PROOF, PROVED)),),
        (AlertEnd("unverified_action", sofia.subject, "critical", "resolved", "late_verification"),),
        "unverified, then verified; alert resolved itself",
    )


def _fatigue(time_us: int, at: float) -> Story:
    tomas, voice = _person("Tomas Vega", "adviser", "push", 16), Voice("tomas-")
    action = "payments.payee.create"
    flood = []
    for number in range(6):
        asked_us = time_us - (8 * 60 - 75 * number) * SECOND_US
        tie = {"challenge": voice.new_id("c"), "bound_action": action}
        flood.append(voice.authentication("stepup.challenged", tomas, asked_us, "s-tomas", **tie))
        flood.append(voice.authentication("stepup.expired", tomas, asked_us + 60 * SECOND_US, "s-tomas", **tie))
    answered = voice.verified(
        tomas, time_us - 20 * SECOND_US, "s-tomas", challenge=voice.new_id("c"), bound_action=action
    )
    payee = voice.action(tomas, time_us, "s-tomas", action, Resource("payee", "pe-91", "high"))
    return Story(
        "an MFA-fatigue attack",
        (tomas,),
        "Tomas Vega's phone asks six times in eight minutes; the seventh time he taps yes.",
        at,
        (
            Send(tuple(flood)),
            Wait("mfa_fatigue", tomas.subject),
            Send((answered, payee)),
        ),
        (Verdict(tomas.subject, id_of(payee), (PROVED,)),),
        (
            AlertEnd("mfa_fatigue", tomas.subject, "high"),
            AlertEnd("mfa_fatigue_success", tomas.subject, "critical"),
        ),
        "verified, and two alerts open all the same",
    )


def _replayed_code(time_us: int, at: float) -> Story:
    lena, voice = _person("Lena Fischer", "clerk", "otp", 17), Voice("lena-")
    first_us, second_us = time_us - 90 * SECOND_US, time_us - 78 * SECOND_US
    step = first_us // (30 * SECOND_US)
    transactions = [transaction_of("payments.payout.approve", payout) for payout in ("po-2307", "po-2308")]
    hers = voice.verified(lena, first_us, "s-lena", otp_step=step, transaction=transactions[0])
    again = voice.verified(lena, second_us, "s-lena-2", otp_step=step, transaction=transactions[1])
    payouts = [
        _payout(voice, lena, time_us - 70 * SECOND_US, "s-lena", "po-2307"),
        _payout(voice, lena, time_us - 60 * SECOND_US, "s-lena-2", "po-2308"),
    ]
    return Story(
        "a replayed code",
        (lena,),
        "Lena Fischer types a code; 12 s later the same code opens a second payout elsewhere.",
        at,
        (Send((hers, again, *payouts)),),
        tuple(Verdict(lena.subject, id_of(payout), (PROVED,)) for payout in payouts),
        (AlertEnd("replayed_code", lena.subject, "critical"),),
        "both verified; alert open",
    )


def _silent_source(time_us: int, at: float) -> Story:
    voice = Voice("outage-")
    marek, viktor = _person("Marek Nowak", "clerk", "key", 18), _person("Viktor Hansen", "clerk", "key", 20)
    ines = _person("Ines Costa", "administrator", "key", 19)
    grant_us = time_us + 12 * MINUTE_US
    tie = {"bound_action": "iam.role.grant"}
    said = [
        _proof(voice, marek, time_us + 8 * MINUTE_US, "s-marek", "po-2309"),
        *step_up(voice, ines, grant_us, "s-ines", "key", "privilege_change", tie),
    ]
    deeds = [
        _payout(voice, marek, time_us + 9 * MINUTE_US, "s-marek", "po-2309"),
        voice.action(ines, grant_us, "s-ines", "iam.role.grant", Resource("role", "payments-admin", "critical")),
        _payout(voice, viktor, time_us + 15 * MINUTE_US, "s-viktor", "po-2310"),
    ]
    blind = [Wait("blind", person.subject) for person in (marek, ines, viktor)]
    ends = (PROVED, PROVED, NO_PROOF)
    return Story(
        "a silent identity provider that comes back",
        (marek, ines, viktor),
        f"{IDP} falls silent. Marek Nowak, Ines Costa and Viktor Hansen go on working.",
        at,
        (
            Hush(),
            # A sign of life counts for 1 s more than grace: only what arrives after that is blind.
            Pause(1.7),
            Send((*said, *deeds)),
            Wait("source_silence", IDP),
            *blind,
            Pause(0.5),
            Recover(),
            Wait("source_silence", IDP, "resolved"),
            Wait("unverified_action", viktor.subject),
        ),
        tuple(
            Verdict(person.subject, id_of(deed), (SILENT, end))
            for person, deed, end in zip((marek, ines, viktor), deeds, ends, strict=True)
        ),
        (
            AlertEnd("source_silence", IDP, "high", "resolved", "source_recovered"),
            AlertEnd("blind", marek.subject, "critical", "resolved", "late_verification"),
            AlertEnd("blind", ines.subject, "critical", "resolved", "late_verification"),
            AlertEnd("blind", viktor.subject, "critical", "resolved", "source_recovered"),
            AlertEnd("unverified_action", viktor.subject, "critical"),
        ),
        "blind, then two verified and one not",
    )
