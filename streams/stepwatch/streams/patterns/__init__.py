"""Patterns: separate detections, each an alert of its own; none consumes another's events (contract section 6).

One file per pattern. Those whose anchor is an authentication event are looked up here; those whose anchor is an action
are asked where actions are judged.
"""

from __future__ import annotations

from collections.abc import Iterable

from stepwatch.schemas import events as ev
from stepwatch.schemas.times import HOUR_US
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.ledger import Ledger
from stepwatch.streams.patterns import denied_then_acted, fresh_credential
from stepwatch.streams.patterns.mfa_fatigue import MfaFatigue
from stepwatch.streams.patterns.mfa_fatigue_success import MfaFatigueSuccess
from stepwatch.streams.patterns.otp_guessing import OtpGuessing
from stepwatch.streams.patterns.replayed_code import ReplayedCode
from stepwatch.streams.patterns.self_approval import SelfApproval
from stepwatch.streams.patterns.view import EvidencePattern

BUCKET_US = HOUR_US
"""Alerts of patterns are bucketed by the hour, but for `policy_gap`."""

EVIDENCE_PATTERNS: tuple[EvidencePattern, ...] = (
    MfaFatigue(),
    MfaFatigueSuccess(),
    OtpGuessing(),
    ReplayedCode(),
    SelfApproval(),
)

ANCHORED = frozenset({*(pattern.name for pattern in EVIDENCE_PATTERNS), denied_then_acted.NAME, fresh_credential.NAME})
"""Patterns whose anchors are remembered while they hold; a `policy_gap` holds for ever."""

_PROMPTS_MIN = min(pattern.prompts_min for pattern in EVIDENCE_PATTERNS if pattern.prompts_min)


def none_can_hold(ledger: Ledger, news: Iterable[Fact | Action]) -> bool:
    """Whether no event of a subject's news can concern an evidence pattern: so for nearly all, and quick to tell.

    All patterns but two look at prompts, and need some; these two look at codes and at approvals alone.
    """
    if ledger.prompts >= _PROMPTS_MIN:
        return False
    for event in news:
        if isinstance(event, Fact) and (event.otp_step or event.type == ev.APPROVAL_GRANTED):
            return False
    return True
