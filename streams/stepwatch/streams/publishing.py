"""The last published row against the new decision: the next revision, now, later or never (contract section 5)."""

from __future__ import annotations

import msgspec

from stepwatch.streams.facts import Action, Published
from stepwatch.streams.judge import BLIND, UNVERIFIED, VERIFIED, Decision
from stepwatch.streams.wording import nearest_sentence


def published_form(decision: Decision) -> Published:
    """What a row says of a decision; two rows in a row never say the same."""
    chosen, nearest = decision.chosen, decision.nearest
    shown = ""
    if nearest is not None:
        shown = msgspec.json.encode(
            {
                "verification": nearest.fact.shown_id,
                "failed": list(nearest.failed),
                "by_us": nearest.by_us,
                "sentence": nearest_sentence(nearest),
            }
        ).decode()
    return Published(decision.verdict, decision.reason, chosen.shown_id if chosen is not None else "", shown)


def publish_from(action: Action, decision: Decision, fair_us: int | None) -> int:
    """The log time of the authentications partition from which a decision may be published before the close.

    Args:
        action: with what was published of it last.
        decision: the new one.
        fair_us: the arrival from which `unverified` is fair, or None.

    Returns:
        0 for what is published at once; the end of the grace for `unverified`, `blind` and for a `verified` that no
        longer holds; for a blind one that became unverified, `grace` past the sign of life.
    """
    if decision.verdict == VERIFIED:
        return 0
    last = action.published
    if decision.verdict == UNVERIFIED and last is not None and last.verdict == BLIND and fair_us is not None:
        return max(action.grace_end_us, fair_us + action.grace_end_us - action.arrival_us)
    return action.grace_end_us
