"""Does this action need a proof first? Asked by an application before it acts.

    need = require_step_up(
        "payments.payout.approve", max_age="5m", subject="alice", session="s-81", assurance=assurance,
        amr_any=("otp", "hwk"), reason="amount_over_limit", source=bank, report=reporter.report,
    )
    if need.required:
        return Response(status_code=401, headers=need.headers)
    reporter.report(
        bank.action_performed("payments.payout.approve", subject="alice", session="s-81",
                              decision=need.decision, verification=need.verification)
    )

The conditions are those of a policy's `require`, by the same names and with the same edges (contract section 5). Give
the same ones here as there, so that the application demands what the audit will ask for. A policy knows more
(`max_uses`, `same_device`, which sources may prove), so its verdict is the one that counts.

With a `source` and a `report` the decision that a proof is needed is reported as `stepup.required`. That none is needed
goes on record with the action itself, as its `decision` (contract section 3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, get_args

from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from stepwatch.sdk.assurance import Assurance, Kind, Proof
from stepwatch.sdk.events import Source
from stepwatch.sdk.otp_events import Report, hand_over, moment, wall_clock_us
from stepwatch.sdk.parts import Decision
from stepwatch.sdk.saying import say_error

Lacking = Literal["no_step_up", "wrong_session", "weak_factor", "stale", "wrong_binding", "unknown"]
CLOCK_SKEW_US: Final = 5 * SECOND_US
"""How far ahead of this machine's clock a proof may lie; `clock_skew` of a policy (contract section 4)."""
_STEP_UP_ONLY: Final[tuple[Kind, ...]] = ("step_up",)
_UNITS_US: Final = {"s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US}
_ACR: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""What fits into a quoted, blank-separated list of a header (RFC 6750 section 3)."""
_Filter = tuple[Lacking, Callable[[Proof], bool]]


@dataclass(frozen=True, slots=True)
class StepUpNeed:
    """Whether a proof is needed, and what to say in either case.

    Attributes:
        required: the person must prove who they are first.
        lacking: why: `no_step_up`; or the condition that the last proof left did not meet (`wrong_session`,
            `weak_factor`, `stale`, `wrong_binding`); or `unknown`: the assurance could not be asked. None where none
            is required.
        proof: the one that suffices, or None.
        age_us: its age, microseconds.
        reason: why the application asks at all, for the decision.
        www_authenticate: the challenge of RFC 9470, the value of a `WWW-Authenticate` header; "" where none is needed.
    """

    required: bool
    lacking: Lacking | None
    proof: Proof | None
    age_us: int | None
    reason: str | None
    www_authenticate: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer, which is a 401; empty where no proof is needed."""
        return {"WWW-Authenticate": self.www_authenticate} if self.required else {}

    @property
    def verification(self) -> str | None:
        """Id of the proof that the application relies on, for the action's event."""
        return self.proof.verification if self.proof else None

    @property
    def decision(self) -> Decision:
        """The application's decision, for the events `stepup.required` and `action.performed`."""
        reason = self.reason or ("auth_too_old" if self.lacking == "stale" else None)
        return Decision("required" if self.required else "previously_satisfied", reason)


def require_step_up(
    action: str,
    *,
    max_age: str | timedelta,
    subject: str,
    assurance: Assurance,
    tenant: str | None = None,
    session: str | None = None,
    root_session: str | None = None,
    same_session: bool = True,
    amr_any: Collection[str] = (),
    acr_values: Sequence[str] = (),
    accept: Collection[Kind] = _STEP_UP_ONLY,
    binding: Literal["none", "action", "transaction"] = "none",
    transaction: str | None = None,
    reason: str | None = None,
    source: Source | None = None,
    report: Report | None = None,
    now: Callable[[], int] = wall_clock_us,
) -> StepUpNeed:
    """Whether the subject must prove who they are before this action. Never raises for what `assurance` raises.

    Where the assurance cannot be asked a proof is demanded, and that is logged. A true `OtpResult` of a `verify` that
    was given this `action`, and this `transaction` where one is shown, may be acted on without asking again; without
    them a challenge of a smaller action would do.

    Args:
        action: what they want to do, as its event will name it.
        max_age: how old a proof may be at most, that age included: `90s`, `5m`, `24h`, or a timedelta; at least 1 s.
        subject: canonical id.
        assurance: knows what was proved.
        tenant: contract section 3; that of `source` where it is not given, and else `default`.
        session, root_session: where they are.
        same_session: whether the proof must be of this session, or of the login it descends from.
        amr_any: one of these ways of proving is needed (RFC 8176); empty: any.
        acr_values: one of these classes is needed, the preferred one first (RFC 9470); empty: any.
        accept: which kinds of proof count.
        binding: what the proof must have been for.
        transaction: hash of what the person is shown; needed for `binding="transaction"`.
        reason: why the application asks (`amount_over_limit`, ...), for the decision.
        source, report: who says `stepup.required`, and takes that event (`reporter.report`); both or neither, and with
            them a `reason`. One that raises is logged, and changes no answer.
        now: the clock, microseconds since 1970.

    Raises:
        ValueError: an argument that is none, or one with which no proof could ever suffice; the message names it.
    """
    max_age_us = _duration_us(max_age)
    _check_texts(action, subject, amr_any, acr_values, accept)
    _check_possible(same_session, session or root_session, binding, transaction)
    tenant = _tenant_of(source, report, reason, tenant)
    asked = _Asked(
        action, max_age_us, session, root_session, same_session, amr_any, acr_values, accept, binding, transaction
    )
    now_us = now()
    need = asked.need(_known(assurance, tenant, subject), now_us, reason)
    if need.required and source is not None and report is not None:
        asked.report(need, subject, source, report, now_us)
    return need


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a proof must meet; the arguments of `require_step_up` by the same names."""

    action: str
    max_age_us: int
    session: str | None
    root_session: str | None
    same_session: bool
    amr_any: Collection[str]
    acr_values: Sequence[str]
    accept: Collection[Kind]
    binding: str
    transaction: str | None

    def need(self, known: list[Proof] | None, now_us: int, reason: str | None) -> StepUpNeed:
        filters: list[_Filter] = [
            ("no_step_up", lambda p: p.kind in self.accept and p.time_us <= now_us + CLOCK_SKEW_US),
            ("wrong_session", lambda p: not self.same_session or _shares_session(p, self.session, self.root_session)),
            ("weak_factor", lambda p: _is_strong(p, self.amr_any, self.acr_values)),
            ("stale", lambda p: now_us - p.at_us <= self.max_age_us),
            ("wrong_binding", lambda p: _is_bound(p, self.binding, self.action, self.transaction)),
        ]
        left, lacking = _narrowed(known, filters)
        if lacking:
            return _demanded(lacking, self.acr_values, self.max_age_us, reason)
        proof = max(left, key=lambda p: (p.at_us, p.time_us, p.verification))
        return StepUpNeed(False, None, proof, now_us - proof.at_us, reason, "")

    def report(self, need: StepUpNeed, subject: str, source: Source, report: Report, now_us: int) -> None:
        event = source.stepup_required(
            subject=subject,
            reason=need.reason or "",
            decision=need.decision,
            bound_action=self.action,
            transaction=self.transaction,
            session=self.session,
            root_session=self.root_session,
            time=moment(now_us),
        )
        hand_over(report, event)


def _known(assurance: Assurance, tenant: str, subject: str) -> list[Proof] | None:
    try:
        return list(assurance.proofs(tenant, subject))
    except Exception:
        say_error("assurance of %s/%s is not known; a proof is demanded", tenant, subject)
        return None


def _narrowed(known: list[Proof] | None, filters: Sequence[_Filter]) -> tuple[list[Proof], Lacking | None]:
    """What passes every filter, or else the filter that struck the last."""
    if known is None:
        return [], "unknown"
    for name, passes in filters:
        known = [proof for proof in known if passes(proof)]
        if not known:
            return [], name
    return known, None


def _shares_session(proof: Proof, session: str | None, root_session: str | None) -> bool:
    root = root_session or session
    return bool((session and proof.session == session) or (root and proof.root == root))


def _is_strong(proof: Proof, amr_any: Collection[str], acr_values: Collection[str]) -> bool:
    return not (amr_any and not set(proof.amr) & set(amr_any)) and not (acr_values and proof.acr not in acr_values)


def _is_bound(proof: Proof, binding: str, action: str, transaction: str | None) -> bool:
    if binding == "none":
        return True
    return proof.bound_action == action if binding == "action" else proof.transaction == transaction


def _demanded(lacking: Lacking, acr_values: Sequence[str], max_age_us: int, reason: str | None) -> StepUpNeed:
    """With the challenge of RFC 9470 section 3."""
    said = "More recent authentication is required" if lacking == "stale" else "Another authentication is required"
    parts = ['error="insufficient_user_authentication"', f'error_description="{said}"']
    if acr_values:
        parts.append(f'acr_values="{" ".join(acr_values)}"')
    challenge = "Bearer " + ", ".join([*parts, f'max_age="{max_age_us // SECOND_US}"'])
    return StepUpNeed(True, lacking, None, None, reason, challenge)


def _duration_us(max_age: object) -> int:
    if isinstance(max_age, timedelta):
        duration_us = max_age // timedelta(microseconds=1)
    else:
        form = re.fullmatch(r"([0-9]{1,9})([smhd])", max_age) if isinstance(max_age, str) else None
        if form is None:
            raise ValueError(
                f"max_age: expected a whole number and one of s m h d (5m), or a timedelta, got {max_age!r}"
            )
        duration_us = int(form[1]) * _UNITS_US[form[2]]
    if duration_us < SECOND_US:
        raise ValueError(f"max_age: expected at least 1 s, got {max_age!r}")
    return duration_us


def _check_texts(action: object, subject: object, amr_any: object, acr_values: Sequence[str], accept: object) -> None:
    for name, value in (("action", action), ("subject", subject)):
        if not isinstance(value, str) or not value:
            raise ValueError(f"{name}: expected a text that is not empty, got {value!r}")
    for name, values in (("amr_any", amr_any), ("acr_values", acr_values), ("accept", accept)):
        # A text is a collection of its letters, none of which any proof has.
        if isinstance(values, str):
            raise ValueError(f"{name}: expected a list of texts, got the text {values!r}")
    if not isinstance(accept, Collection) or not accept or not all(kind in get_args(Kind) for kind in accept):
        raise ValueError(f"accept: expected one or more of {', '.join(get_args(Kind))}, got {accept!r}")
    for value in acr_values:
        if not _ACR.fullmatch(value):
            raise ValueError(f"acr_values: {value!r} does not fit into a header: no blank, quote or control character")


def _check_possible(same_session: bool, session: str | None, binding: str, transaction: str | None) -> None:
    if same_session and not session:
        raise ValueError("session: missing, and same_session can never be met without one")
    if binding not in ("none", "action", "transaction"):
        raise ValueError(f"binding: expected none, action or transaction, got {binding!r}")
    if binding == "transaction" and not transaction:
        raise ValueError('transaction: missing, and binding="transaction" can never be met without one')


def _tenant_of(source: Source | None, report: Report | None, reason: str | None, tenant: str | None) -> str:
    """Whose subject is asked about, once what is to be reported is known to be sayable."""
    if (source is None) != (report is None):
        raise ValueError("report: expected a source and a report, or neither")
    if source is None:
        return tenant or "default"
    if not isinstance(reason, str) or not reason:
        raise ValueError("reason: missing, and an event that a proof is needed must say why (amount_over_limit, ...)")
    if tenant not in (None, source.tenant):
        raise ValueError(f"tenant: {tenant!r} is not the source's, which is {source.tenant!r}")
    return source.tenant
