"""What a source can and cannot know, and which options of a policy can therefore be met on it.

Of each source it is written down which members its events may have (`About.yields`); a test holds that to the
adapter, both ways. What policies can ask for follows from it (`options`), and is not written down again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from stepwatch.schemas import events as t

MEMBERS: Final = (
    *("session", "root_session", "client.ip", "client.device", "amr", "acr", "auth_time", "challenge", "failure"),
    *("credential", "verification", "bound_action", "transaction", "otp_step", "approver", "on_behalf_of"),
)
"""Members of `data` (contract section 3) on which a policy or a pattern can stand."""

Can = Literal["yes", "partly", "never"]


class Delay(NamedTuple):
    """How late a source's rows are there to be read.

    Attributes:
        usual: a duration (`5m`) within which most rows come; "" where the vendor gives no figure.
        words: what the vendor says.
        url: where it says so.
    """

    usual: str
    words: str
    url: str


class Answer(NamedTuple):
    """Whether something can be had of a source.

    Attributes:
        name: a fact, an option of a policy or a pattern.
        can: `partly`: on some rows.
        why: a sentence; "" where there is nothing to add.
    """

    name: str
    can: Can
    why: str


@dataclass(frozen=True, slots=True)
class About:
    """One source.

    Attributes:
        name: the word after `--from`.
        title: the product.
        source: `source` of its events, as policies list it.
        reads: the shapes of its log that are read.
        subject: what names a person.
        good_for: what the source is good for.
        delay: how late it is.
        yields: type of event to the members that it may have, of `MEMBERS`.
        limits: fact, option or pattern to the sentence that says on which rows only, or why not.
        watch: sentences that whoever writes policies for it should know.
    """

    name: str
    title: str
    source: str
    reads: str
    subject: str
    good_for: str
    delay: Delay
    yields: Mapping[str, frozenset[str]]
    limits: Mapping[str, str]
    watch: tuple[str, ...] = ()

    @property
    def policy_file(self) -> str:
        """The ready policy file, from the top of the checkout."""
        return f"deploy/policies/sources/{self.name}.yaml"

    def has(self, kind: str, *members: str) -> bool:
        """Whether events of a type may have all of these members."""
        return kind in self.yields and self.yields[kind].issuperset(members)


def facts(about: About) -> list[Answer]:
    """What the source knows, in the words of contract section 3."""
    return [
        _answer(about, name, any(about.has(kind, member) for kind in about.yields if kind in kinds))
        for name, member, kinds in _FACTS
    ]


def options(about: About) -> list[Answer]:
    """Which options of a policy's `require` can be met by the source's own proofs on its own actions."""
    proofs = _proofs(about)

    def both(member: str) -> bool:
        return about.has(t.ACTION_PERFORMED, member) and any(about.has(kind, member) for kind in proofs)

    def proved(member: str) -> bool:
        return any(about.has(kind, member) for kind in proofs)

    can = {
        "accept: [step_up]": t.STEPUP_VERIFIED in proofs,
        "accept: [login]": t.SESSION_STARTED in proofs,
        "max_age": bool(proofs),
        "max_uses": bool(proofs),
        "amr_any": proved("amr"),
        "acr_any": proved("acr"),
        "same_session": both("session") or both("root_session"),
        "same_device": both("client.device"),
        "same_ip": both("client.ip"),
        "binding: action": proved("bound_action"),
        "binding: transaction": both("transaction"),
    }
    return [_answer(about, name, yes) for name, yes in can.items()]


def patterns(about: About) -> list[Answer]:
    """Which patterns of contract section 6 the source's own events can raise."""
    prompts = (t.STEPUP_CHALLENGED, t.STEPUP_FAILED, t.STEPUP_DENIED, t.STEPUP_EXPIRED, t.STEPUP_CANCELLED)
    prompted = any(kind in about.yields for kind in prompts)
    proved = t.STEPUP_VERIFIED in about.yields
    acts = t.ACTION_PERFORMED in about.yields
    can = {
        "mfa_fatigue": prompted,
        "mfa_fatigue_success": prompted and proved,
        "otp_guessing": t.STEPUP_FAILED in about.yields,
        "replayed_code": about.has(t.STEPUP_VERIFIED, "credential", "otp_step"),
        "denied_then_acted": acts and t.STEPUP_DENIED in about.yields,
        "self_approval": t.APPROVAL_GRANTED in about.yields,
        "fresh_credential": t.CREDENTIAL_CHANGED in about.yields
        and any(about.has(kind, "credential") for kind in _proofs(about)),
        "policy_gap": acts,
    }
    return [_answer(about, name, yes) for name, yes in can.items()]


def _proofs(about: About) -> list[str]:
    """The types of its events that can be verifications: a login only with `amr`."""
    step_up = [t.STEPUP_VERIFIED] if t.STEPUP_VERIFIED in about.yields else []
    return [*step_up, *([t.SESSION_STARTED] if about.has(t.SESSION_STARTED, "amr") else [])]


def _answer(about: About, name: str, yes: bool) -> Answer:
    why = about.limits.get(name, "")
    return Answer(
        name, ("partly" if why else "yes") if yes else "never", why or ("" if yes else _WHY_NOT.get(name, ""))
    )


_EVIDENCE: Final = (t.STEPUP_VERIFIED, t.SESSION_STARTED)
_STEPS: Final = (t.STEPUP_CHALLENGED, t.STEPUP_VERIFIED, t.STEPUP_FAILED, t.STEPUP_DENIED, t.STEPUP_BYPASSED)
_FACTS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("session of an action", "session", (t.ACTION_PERFORMED,)),
    ("session of a proof", "session", _EVIDENCE),
    ("root session", "root_session", (t.ACTION_PERFORMED, *_EVIDENCE)),
    ("factor (amr)", "amr", _EVIDENCE),
    ("level (acr)", "acr", _EVIDENCE),
    ("time of the proof (auth_time)", "auth_time", _EVIDENCE),
    ("credential that proved", "credential", _EVIDENCE),
    ("challenge", "challenge", _STEPS),
    ("address", "client.ip", (t.ACTION_PERFORMED,)),
    ("device", "client.device", (t.ACTION_PERFORMED, *_EVIDENCE)),
    ("credentials added, removed", "credential", (t.CREDENTIAL_CHANGED,)),
    ("approvals", "approver", (t.APPROVAL_GRANTED,)),
    ("for whom it was done", "on_behalf_of", (t.ACTION_PERFORMED,)),
)

_WHY_NOT: Final = {
    "accept: [step_up]": "no row tells of a step-up that was passed",
    "accept: [login]": "no login says by which factor",
    "amr_any": "no proof says its factor",
    "acr_any": "no row names a level of assurance",
    "same_session": "actions and proofs have no session in common: write `same_session: false`",
    "same_device": "no device is named on both sides",
    "same_ip": "no address is named on both sides",
    "binding: action": "a log does not say what a proof was asked for: only an application can",
    "binding: transaction": "a log does not say what a person was shown: only an application can",
    "time of the proof (auth_time)": "the time of its row is taken",
    "replayed_code": "no log names the time step of a code",
    "mfa_fatigue": "no row tells of a prompt or of its refusal",
    "mfa_fatigue_success": "no row tells of a prompt that was passed in the end",
    "otp_guessing": "no row tells of a second factor that failed",
    "denied_then_acted": "no row tells that a person said no",
    "self_approval": "no row tells of an approval",
    "fresh_credential": "no proof names a credential that a row says was added",
}
