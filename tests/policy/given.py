"""What the tests of policies start from: an action as matching sees it, and sets of one short file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stepwatch.streams.loading import PolicyRefused
from stepwatch.streams.sets import PolicySet, build_set

T0_US = 1_795_510_800_000_000
"""2026-11-24T09:00:00Z"""


@dataclass(frozen=True)
class Action:
    """One action after defaults, normalising and aliases."""

    action: str = "payments.payout.approve"
    tenant: str = "acme"
    subject: str = "alice"
    source: str = "/app"
    session: str = "s1"
    root_session: str = ""
    outcome: str = "success"
    transaction: str = ""
    resource_type: str = "payout"
    resource_id: str = "po_1"
    sensitivity: str = "high"
    time_us: int = T0_US
    client: dict[str, Any] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    decision: dict[str, Any] = field(default_factory=dict)

    def maps(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        return self.client, self.token, self.decision


def a_set(*texts: str, effective_from_us: int | None = None) -> PolicySet:
    """A set of files p0.yaml, p1.yaml, ... with these texts; `version: 1` is put in front."""
    return build_set([(f"p{i}.yaml", f"version: 1\n{text}") for i, text in enumerate(texts)], effective_from_us)


def a_policy(policy: str) -> PolicySet:
    """A set of one policy, written in flow style."""
    return a_set(f"policies:\n  - {policy}\n")


def refusal(*texts: str) -> PolicyRefused:
    """How a set of these files is refused; the test fails where it is not."""
    try:
        made = a_set(*texts)
    except PolicyRefused as refused:
        return refused
    raise AssertionError(f"not refused: {made}")
