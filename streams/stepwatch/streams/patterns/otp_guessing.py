"""Somebody tries codes."""

from __future__ import annotations

from stepwatch.schemas import events as ev
from stepwatch.schemas.times import MINUTE_US
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.patterns.view import Reach, View

WINDOW_US = 5 * MINUTE_US
FAILURES_MIN = 10


class OtpGuessing:
    """At least 10 failed step-ups in 5 minutes, the anchor included.

    Args:
        failures_min: another number than the contract's 10, for whoever asks what it would say.
    """

    name = "otp_guessing"
    severity = "high"

    def __init__(self, failures_min: int = FAILURES_MIN) -> None:
        self.prompts_min = failures_min

    def anchors(self, fact: Fact) -> bool:
        """`stepup.failed`."""
        return fact.type == ev.STEPUP_FAILED

    def reach(self, event: Fact | Action, view: View) -> Reach | None:
        """A failure counts for 5 minutes."""
        if isinstance(event, Fact) and self.anchors(event):
            return event.time_us, event.time_us + WINDOW_US
        return None

    def holds(self, anchor: Fact, view: View) -> str | None:
        """Count the failures of the window."""
        steps = view.steps(anchor.time_us - WINDOW_US, anchor.time_us)
        return self.severity if sum(map(self.anchors, steps)) >= self.prompts_min else None
