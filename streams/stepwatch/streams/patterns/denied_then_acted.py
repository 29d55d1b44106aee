"""The person said no, and the action happened all the same."""

from __future__ import annotations

from stepwatch.streams.facts import Action
from stepwatch.streams.ledger import between
from stepwatch.streams.patterns.view import View

NAME = "denied_then_acted"
SEVERITY = "high"


def holds(action: Action, view: View) -> bool:
    """A `stepup.denied` of the subject, any session, in [a - max_age, a]."""
    max_age_us = action.judged_by(view.sets)[1].max_age_us
    return any(
        denied.arrival_us <= view.limit_us
        for denied in between(view.ledger.denials, action.time_us - max_age_us, action.time_us)
    )
