"""The last published row against the new decision: the next revision, now, later or never (contract section 5)."""

from __future__ import annotations

from stepwatch.schemas.compiled import encode_json
from stepwatch.streams.facts import Action, Published
from stepwatch.streams.judge import UNVERIFIED, VERIFIED, Decision
from stepwatch.streams.wording import nearest_sentence


def published_form(decision: Decision) -> Published:
    """What a row says of a decision; two rows in a row never say the same."""
    chosen, nearest = decision.chosen, decision.nearest
    shown = ""
    if nearest is not None:
        shown = encode_json({**nearest.shown(), "sentence": nearest_sentence(nearest)}).decode()
    return Published(decision.verdict, decision.reason, chosen.shown_id if chosen is not None else "", shown)


def publish_from(action: Action, decision: Decision) -> int:
    """The log time of the authentications partition from which a decision may be published before the close.

    Returns:
        0 for what is published at once; the end of the grace for `unverified`, `blind` and for a `verified` that no
        longer holds. At the end of its grace an action was blind, whether that was published or not, where the sign
        of life that makes `unverified` fair came later: then it waits until `grace` past that sign.
    """
    if decision.verdict == VERIFIED:
        return 0
    if decision.verdict == UNVERIFIED and decision.fair_us > action.grace_end_us:
        return decision.fair_us + action.grace_end_us - action.arrival_us
    return action.grace_end_us
