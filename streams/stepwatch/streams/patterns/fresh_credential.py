"""The proof came from a credential that is new."""

from __future__ import annotations

from stepwatch.schemas.times import DAY_US
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.ledger import between
from stepwatch.streams.patterns.view import View

NAME = "fresh_credential"
SEVERITY = "medium"


def holds(action: Action, chosen: Fact | None, view: View) -> bool:
    """The chosen credential was created with 0 <= a - c < 24 h."""
    if chosen is None or chosen.credential == "":
        return False
    return any(
        changed.change == "created" and changed.credential == chosen.credential and changed.arrival_us <= view.limit_us
        for changed in between(view.ledger.credentials, action.time_us - DAY_US + 1, action.time_us)
    )
