"""Somebody is pestered with prompts until one is answered by mistake."""

from __future__ import annotations

from stepwatch.streams.facts import Action, Fact, Key
from stepwatch.streams.ledger import PROMPTS
from stepwatch.streams.patterns.view import FATIGUE_WINDOW_US, Reach, View

CHALLENGES_MIN = 5


def prompted_until(fact: Fact, view: View) -> int:
    """The time of the last prompt with the challenge that a verification answered; its own time where none came."""
    times = [step.time_us for step in view.ledger.steps if step.challenge == fact.challenge and step.type in PROMPTS]
    return max(times, default=fact.time_us)


class MfaFatigue:
    """At least 5 distinct challenges in 10 minutes, not counting one that was verified by then.

    Args:
        challenges_min: another number than the contract's 5, for whoever asks what it would say.
    """

    name = "mfa_fatigue"
    severity = "high"

    def __init__(self, challenges_min: int = CHALLENGES_MIN) -> None:
        self.prompts_min = challenges_min

    def anchors(self, fact: Fact) -> bool:
        """Challenged, failed, denied, expired or cancelled."""
        return fact.type in PROMPTS

    def reach(self, event: Fact | Action, view: View) -> Reach | None:
        """A prompt counts for 10 minutes; a verification takes its challenge out of every later count."""
        if isinstance(event, Action):
            return None
        if event.type in PROMPTS:
            return event.time_us, event.time_us + FATIGUE_WINDOW_US
        if event.kind and event.challenge:
            return event.time_us, prompted_until(event, view) + FATIGUE_WINDOW_US
        return None

    def holds(self, anchor: Fact, view: View) -> str | None:
        """Count the challenges of the window that nobody had answered by the anchor's time."""
        prompts = [
            step for step in view.steps(anchor.time_us - FATIGUE_WINDOW_US, anchor.time_us) if step.type in PROMPTS
        ]
        if len(prompts) < self.prompts_min:
            return None
        asked: set[str | Key] = {step.challenge or step.key for step in prompts}
        answered = {v.challenge for v in view.verifications(0, anchor.time_us) if v.challenge}
        return self.severity if len(asked - answered) >= self.prompts_min else None
