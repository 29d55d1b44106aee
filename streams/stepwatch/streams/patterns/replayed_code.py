"""One code was accepted twice."""

from __future__ import annotations

from stepwatch.schemas import events as ev
from stepwatch.schemas.times import DAY_US
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.patterns.view import Reach, View


class ReplayedCode:
    """An earlier verification within 24 hours with the same credential and TOTP step, by another proof."""

    name = "replayed_code"
    severity = "critical"
    prompts_min = 0

    def anchors(self, fact: Fact) -> bool:
        """`stepup.verified`."""
        return fact.type == ev.STEPUP_VERIFIED

    def reach(self, event: Fact | Action, view: View) -> Reach | None:
        """A code that was accepted must not be for a day."""
        if isinstance(event, Fact) and self.anchors(event) and event.credential and event.otp_step:
            return event.time_us, event.time_us + DAY_US
        return None

    def holds(self, anchor: Fact, view: View) -> str | None:
        """Look for the same code, earlier by (time, source, id)."""
        if not (anchor.credential and anchor.otp_step):
            return None
        replayed = any(
            self.anchors(step)
            and step.order < anchor.order
            and step.credential == anchor.credential
            and step.otp_step == anchor.otp_step
            and step.proof != anchor.proof
            for step in view.steps(anchor.time_us - DAY_US, anchor.time_us)
        )
        return self.severity if replayed else None
