"""Somebody approved what they asked for themselves."""

from __future__ import annotations

from stepwatch.schemas import events as ev
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.patterns.view import Reach, View


class SelfApproval:
    """The approver, after aliases, is the subject."""

    name = "self_approval"
    severity = "high"
    prompts_min = 0

    def anchors(self, fact: Fact) -> bool:
        """`approval.granted`."""
        return fact.type == ev.APPROVAL_GRANTED

    def reach(self, event: Fact | Action, view: View) -> Reach | None:
        """Itself only."""
        return (event.time_us, event.time_us) if isinstance(event, Fact) and self.anchors(event) else None

    def holds(self, anchor: Fact, view: View) -> str | None:
        """Compare the two."""
        return self.severity if anchor.approver == view.ledger.subject else None
