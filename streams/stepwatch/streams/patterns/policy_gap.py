"""A high-risk action that no policy speaks of."""

from __future__ import annotations

from stepwatch.schemas.times import DAY_US
from stepwatch.streams.decode import Event
from stepwatch.streams.rows import outcome_of, sensitivity_of

NAME = "policy_gap"
SEVERITY = "low"
BUCKET_US = DAY_US


def holds(event: Event) -> bool:
    """No policy matches it, and it is on a high or critical resource or was decided `required`."""
    decision = event.data.decision
    risky = sensitivity_of(event) in ("high", "critical") or (
        decision is not None and decision.result == "required"
    )
    return risky and outcome_of(event) in ("success", "unknown")
