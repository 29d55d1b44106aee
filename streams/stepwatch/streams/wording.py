"""Decision -> the sentence a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US

if TYPE_CHECKING:
    from stepwatch.streams.facts import Fact
    from stepwatch.streams.judge import Nearest

FACTORS = {
    "hwk": "security key tap",
    "swk": "software key",
    "otp": "one-time code",
    "sms": "code by text message",
    "tel": "phone call",
    "fpt": "fingerprint",
    "face": "face",
    "pin": "PIN",
    "sc": "smart card",
    "pop": "key possession",
    "mfa": "multi-factor login",
    "pwd": "password",
}
"""RFC 8176 values in the words of the person who did it, the strongest first."""

REASONS = {
    "no_step_up": "no proof of identity was seen",
    "untrusted_source": "the only proof came from a source that may not prove it",
    "wrong_session": "the only proof belongs to another session",
    "voided": "the session or the credential of the proof was revoked before the action",
    "weak_factor": "the only proof was by a factor that this policy does not accept",
    "stale": "the last proof was too old",
    "wrong_binding": "the proof was given for something else",
    "context_mismatch": "the proof came from another device or address",
    "over_used": "the proof was used up by earlier actions",
    "after_the_fact": "the proof came only after the action",
    "denied": "the person said no to the last challenge",
    "failed": "the last challenge failed",
    "bypassed": "the last challenge was bypassed",
    "abandoned": "the last challenge was never answered",
    "too_late": "the action was reported too late to be judged",
    "overload": "the subject has too many live facts to be judged",
    "source_silent": "a source of proofs was silent, so nothing can be said",
}


def duration(us: int) -> str:
    """A span of time in its two largest units, e.g. `42 s`, `7 min 30 s`, `3 h 5 min`."""
    if us < 0:
        return "-" + duration(-us)
    if us < SECOND_US:
        return f"{us / 1000:g} ms"
    if us < MINUTE_US:
        return f"{round(us / SECOND_US, 1):g} s"
    for unit_us, name, small_us, small in (
        (DAY_US, "d", HOUR_US, "h"),
        (HOUR_US, "h", MINUTE_US, "min"),
        (MINUTE_US, "min", SECOND_US, "s"),
    ):
        if us >= unit_us:
            rest = us % unit_us // small_us
            return f"{us // unit_us} {name}" + (f" {rest} {small}" if rest else "")
    raise AssertionError("every span has a unit")


def factor(fact: Fact) -> str:
    """How a verification was given, e.g. `security key tap`, `login by password`."""
    known = next((name for value, name in FACTORS.items() if value in fact.amr), "")
    name = known or " and ".join(fact.amr) or "proof"
    if fact.kind == "login" and "login" not in name:
        return f"login by {name}"
    return name


def nearest_sentence(nearest: Nearest) -> str:
    """The nearest miss as a sentence: `security key tap 42 s too old`, `one-time code in session s-77`."""
    return f"{factor(nearest.fact)} " + ", ".join([_shortfall(name, nearest) for name in nearest.failed])


_SHORTFALLS = {
    "voided": "revoked before the action",
    "weak_factor": "not an accepted factor",
    "wrong_binding": "given for something else",
    "context_mismatch": "from another device or address",
    "over_used": "already used up",
}


def _shortfall(name: str, nearest: Nearest) -> str:
    """What one filter has against the nearest miss."""
    fact = nearest.fact
    if name == "untrusted_source":
        return f"from {fact.source}, which may not prove it"
    if name == "wrong_session":
        return f"in session {fact.session}" if fact.session else "without a session"
    if name == "stale":
        return f"{duration(nearest.by_us or 0)} too old"
    if name == "after_the_fact":
        return f"{duration(nearest.by_us or 0)} too late"
    return _SHORTFALLS[name]


def reason_sentence(reason: str, nearest: Nearest | None) -> str:
    """Why an action is not verified, with how near a proof came."""
    sentence = REASONS.get(reason, reason)
    return f"{sentence}; nearest: {nearest_sentence(nearest)}" if nearest is not None else sentence


PATTERNS = {
    "mfa_fatigue": ("flooded with prompts", "at least 5 challenges in 10 minutes that nobody answered"),
    "mfa_fatigue_success": (
        "gave in to a flood of prompts",
        "a proof was given within 10 minutes of at least 5 unanswered challenges",
    ),
    "otp_guessing": ("codes are being guessed", "at least 10 failed step-ups in 5 minutes"),
    "replayed_code": (
        "one code was accepted twice",
        "the same credential and time step proved two things within 24 hours",
    ),
    "denied_then_acted": (
        "said no, and the action happened",
        "a challenge was denied shortly before the action",
    ),
    "self_approval": ("approved their own request", "the approver and the subject are the same person"),
    "fresh_credential": (
        "acted with a new credential",
        "the credential of the proof was created less than 24 hours before",
    ),
    "policy_gap": (
        "no policy speaks of it",
        "a high-risk action, or one that the application wanted proved, that no policy matches",
    ),
    "source_silence": ("source is silent", "without it `unverified` cannot be told from unseen"),
}
"""Pattern -> (what it says in a title, what it means)."""


def deed(subject: str, action: str, resource_type: str, resource_id: str, on_behalf_of: str) -> str:
    """Who did what to what, e.g. `alice: payments.payout.approve on payout po_991`."""
    target = " ".join(part for part in (resource_type, resource_id) if part)
    who = f"{subject} for {on_behalf_of}" if on_behalf_of else subject
    return f"{who}: {action}" + (f" on {target}" if target else "")
