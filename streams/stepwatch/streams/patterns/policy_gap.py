"""A high-risk action that no policy speaks of."""

from __future__ import annotations

from stepwatch.schemas.times import DAY_US
from stepwatch.streams.decode import Event

NAME = "policy_gap"
SEVERITY = "low"
BUCKET_US = DAY_US


def holds(event: Event, sensitivity: str, outcome: str) -> bool:
    """It is on a high or critical resource or was decided `required`; no policy matches it, says who asks.

    Args:
        event: the action.
        sensitivity, outcome: its own, normalised.
    """
    decision = event.data.decision
    risky = sensitivity in ("high", "critical") or (decision is not None and decision.result == "required")
    return risky and outcome in ("success", "unknown")
