"""Entra ID sign-in logs: what one attempt to sign in becomes. `entra_steps.py` reads its steps.

| the row says | becomes |
|---|---|
| success, the first factor proved now | `session.started`, `amr` of every step proved now |
| success, the first factor from before, another proved now | `stepup.verified` with its `amr` |
| success, everything from before | `session.started` without `amr` |
| a factor was let pass (remembered device, trusted place, pass of an administrator) | `stepup.bypassed` besides |
| a second factor failed | `stepup.failed`, or `.denied` where the person said no, whatever came after |
| an error code that asks for a proof | `stepup.required`, or `.challenged` once a prompt is out |
| interrupted after it had succeeded ("keep me signed in?") | as success, if more than the password was proved |
| any other error | no event: a failed login proves nothing; a block by policy asks for nothing |
| not interactive: the person was asked for nothing | no event, unless the error code asks for a proof |
"""

from __future__ import annotations

from typing import Any, Final

from stepwatch.schemas import events as t
from stepwatch.schemas.times import SECOND_US
from stepwatch.sources import base
from stepwatch.sources.base import Event, Skip, text
from stepwatch.sources.entra_row import Row
from stepwatch.sources.entra_steps import Kind, Step, how_it_failed, read_steps

Found = list[Event | Skip]

_BLOCKED: Final = Skip("blocked by a policy, nobody was asked for a proof", "outcome")
_INTERRUPTED: Final = Skip("an interrupted sign-in, which goes on in a row of its own", "outcome")
_UNASKED: Final = Skip("a token issued without asking the person, no login", "type")

ASKS: Final[dict[int, str]] = {
    # AADSTS code: `reason`. Microsoft Entra authentication and authorization error codes.
    50072: "not_enrolled",  # UserStrongAuthEnrollmentRequiredInterrupt
    50074: "",  # UserStrongAuthClientAuthNRequiredInterrupt
    50076: "",  # UserStrongAuthClientAuthNRequired
    50078: "auth_too_old",  # UserStrongAuthExpired
    50079: "not_enrolled",  # UserStrongAuthEnrollmentRequired
    70043: "auth_too_old",  # sign-in frequency, refresh token
    70044: "auth_too_old",  # sign-in frequency, session
    502031: "not_enrolled",  # the authenticator app has to be registered
}
_ELSEWHERE: Final = 50158
"""ExternalSecurityChallengeNotSatisfied: the person was sent to a challenge at another provider."""
_STRONG_AUTH_FAILED: Final = {500121: "", 50087: "error", 50088: "error"}
_AFTER_SUCCESS: Final = frozenset(
    {
        50140,  # KmsiInterrupt: stay signed in?
        50199,  # CmsiInterrupt: are you trying to sign in to this app?
        399218,  # the person has to confirm
        *(50125, 50203),  # registration of security information
        *(50097, 50127, 50129),  # the device has to show or register itself
        *(65001, 90094, 90095),  # consent is missing
        16000,  # which of several accounts?
    }
)
_BLOCKS: Final = frozenset(
    # Conditional access, security policies, proof-up not allowed here, no assignment to the application.
    {*range(53000, 53012), *range(530021, 530036), 50105, 50131, 50132}
)
_LATE_MAX_US: Final = 600 * SECOND_US
"""How long after the sign-in began a step of it may lie; a later one is another clock's."""


def sign_in(row: Row) -> Found:
    """The events of a sign-in row whose time is known."""
    who = row.person()
    if isinstance(who, Skip):
        return [who]
    code = row.code()
    if code is None:
        return [base.NO_OUTCOME]
    passed = code == 0 or code in _AFTER_SUCCESS
    if row.silent():
        return [_UNASKED if passed else _failure(row, who, code, [])]
    steps = read_steps(row, passed)
    found = _refusals(row, who, steps)
    if passed:
        found += _success(row, who, code, steps)
    return found or [_failure(row, who, code, steps)]


def _shared(row: Row, **data: Any) -> dict[str, Any]:
    return {"session": row.session(), "client": row.client(), "challenge": row.challenge(), **data}


def _refusals(row: Row, who: str, steps: list[Step]) -> Found:
    """Second factors that were not passed; a password that was wrong is no step-up."""
    found: Found = []
    for number, step in enumerate(steps, 1):
        if step.kind is Kind.FAILED and not step.first:
            kind, failure = how_it_failed(step.said)
            name = f"{kind.rpartition('.')[2]}-{number}"
            found.append(row.event(kind, name, who, _shared(row, failure=failure), _when(row, step.time_us)))
    return found


def _success(row: Row, who: str, code: int, steps: list[Step]) -> Found:
    found: Found = []
    proved = [step for step in steps if step.kind is Kind.PROVED]
    if code == 0 or any(step.amr != ("pwd",) for step in proved):
        earlier = any(step.kind is Kind.EARLIER for step in steps)
        step_up = bool(proved) and earlier and not any(step.first for step in proved)
        found.append(_proof(row, who, proved, t.STEPUP_VERIFIED if step_up else t.SESSION_STARTED))
    if any(step.kind is Kind.BYPASSED for step in steps):
        found.append(row.event(t.STEPUP_BYPASSED, "bypassed", who, _shared(row)))
    return found or [_INTERRUPTED]


def _proof(row: Row, who: str, proved: list[Step], kind: str) -> Event:
    """The proof itself; a login without one where nothing was proved.

    A row of Azure Monitor may come again with more of its steps filled in, so the factors are part of the
    id. Two rows that tell of one proof name it alike.
    """
    words = list(dict.fromkeys(word for step in proved for word in step.amr))
    if kind == t.SESSION_STARTED and len({step.amr for step in proved if step.amr}) > 1 and "mfa" not in words:
        words.append("mfa")
    times = [step.time_us for step in proved if step.time_us is not None]
    time_us = _when(row, max(times, default=None))
    data = _shared(row, amr=words)
    if times and min(times) // SECOND_US < time_us // SECOND_US:
        data["auth_time"] = min(times) // SECOND_US
    if times and data["challenge"]:
        data["verification"] = f"{data['challenge']}@{base.time_text(max(times))}"
    step = "-".join(["verified" if kind == t.STEPUP_VERIFIED else "login", *words])
    return row.event(kind, step, who, data, time_us)


def _when(row: Row, step_us: int | None) -> int:
    """The record's time is when the sign-in began; what a step of it did, it did no earlier than that step."""
    if step_us is not None and row.time_us < step_us <= row.time_us + _LATE_MAX_US:
        return step_us
    return row.time_us


def _failure(row: Row, who: str, code: int, steps: list[Step]) -> Event | Skip:
    prompted = any(step.kind is Kind.PROMPTED and not step.first for step in steps)
    if code == _ELSEWHERE or (prompted and (code in ASKS or code in _STRONG_AUTH_FAILED)):
        return row.event(t.STEPUP_CHALLENGED, f"challenged-{code}", who, _shared(row))
    if code in ASKS:
        return _required(row, who, code)
    if code in _STRONG_AUTH_FAILED:
        failure = _STRONG_AUTH_FAILED[code]
        return row.event(t.STEPUP_FAILED, f"failed-{code}", who, _shared(row, failure=failure))
    return _BLOCKED if code in _BLOCKS else base.FAILED_LOGIN


def _required(row: Row, who: str, code: int) -> Event:
    risky = text(row.get("riskLevelDuringSignIn")).lower() in ("medium", "high")
    reason = ASKS[code] or ("risky_sign_in" if risky else "")
    decision = {"result": "required", "reason": reason, "policy": _policy(row)}
    return row.event(t.STEPUP_REQUIRED, f"required-{code}", who, _shared(row, reason=reason, decision=decision))


def _policy(row: Row) -> str:
    """The one conditional access policy that was not met."""
    policies = row.listed("appliedConditionalAccessPolicies") or row.listed("conditionalAccessPolicies")
    unmet = [one for one in policies if text(one.get("result")).lower() == "failure"]
    return base.only([text(one.get("displayName")) for one in unmet])
