"""The pestered person gave in."""

from __future__ import annotations

from stepwatch.schemas import events as ev
from stepwatch.streams.facts import Action, Fact
from stepwatch.streams.ledger import between
from stepwatch.streams.patterns.mfa_fatigue import CHALLENGES_MIN, MfaFatigue
from stepwatch.streams.patterns.view import FATIGUE_WINDOW_US, Reach, View, limit_of, may_anchor

_FATIGUE = MfaFatigue()


class MfaFatigueSuccess:
    """A verification not more than 10 minutes after MFA fatigue; critical if a policed action follows."""

    name = "mfa_fatigue_success"
    severity = "high"
    prompts_min = CHALLENGES_MIN

    def anchors(self, fact: Fact) -> bool:
        """`stepup.verified`."""
        return fact.type == ev.STEPUP_VERIFIED

    def reach(self, event: Fact | Action, view: View) -> Reach | None:
        """Whatever concerns fatigue concerns 10 minutes more; an action, what its `max_age` still covers."""
        if isinstance(event, Action):
            max_age_us = event.judged_by(view.sets)[1].max_age_us
            return event.time_us - max_age_us, event.time_us
        reach = _FATIGUE.reach(event, view)
        if reach is not None:
            return reach[0], reach[1] + FATIGUE_WINDOW_US
        return (event.time_us, event.time_us) if self.anchors(event) else None

    def holds(self, anchor: Fact, view: View) -> str | None:
        """Look for fatigue shortly before, then for what the proof was used for."""
        if not any(self._fatigue(prompt, view) for prompt in self._prompts(anchor, view)):
            return None
        return "critical" if self._acted(anchor, view) else self.severity

    def _prompts(self, anchor: Fact, view: View) -> list[Fact]:
        steps = view.steps(anchor.time_us - FATIGUE_WINDOW_US - 1, anchor.time_us - 1)
        return [step for step in steps if _FATIGUE.anchors(step) and may_anchor(step, view.sets)]

    def _fatigue(self, prompt: Fact, view: View) -> bool:
        return _FATIGUE.holds(prompt, view.until(limit_of(prompt))) is not None

    def _acted(self, anchor: Fact, view: View) -> bool:
        for action in between(view.ledger.actions, anchor.time_us, 2**62):
            if action.counts and not action.too_late and action.arrival_us <= view.limit_us:
                _, requirement = action.judged_by(view.sets)
                if action.time_us - anchor.time_us <= requirement.max_age_us:
                    return True
        return False
