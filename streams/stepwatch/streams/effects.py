"""What the core asks the shell to do: data, done by the shell in one transaction (DESIGN section 1)."""

from __future__ import annotations

from typing import NamedTuple


class DeadLetter(NamedTuple):
    """A record that could not be read, as it came, with headers that say why."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Effects:
    """Everything that one batch causes. `audit`, `evidence` and `alerts` hold (key, JSON row) pairs.

    `alerts` and `state` may hold tombstones (value None). `counts` are increments of metrics by name; a name may
    carry one label after a dot (`verdicts.unverified`).
    """

    __slots__ = ("alerts", "audit", "counts", "dead_letters", "evidence", "state")

    def __init__(self) -> None:
        self.audit: list[tuple[bytes, bytes]] = []
        self.evidence: list[tuple[bytes, bytes]] = []
        self.alerts: list[tuple[bytes, bytes | None]] = []
        self.dead_letters: list[DeadLetter] = []
        self.state: list[tuple[bytes, bytes | None]] = []
        self.counts: dict[str, int] = {}

    def count(self, name: str, by: int = 1) -> None:
        """Add to a metric."""
        self.counts[name] = self.counts.get(name, 0) + by

    @property
    def only_position(self) -> bool:
        """Nothing but input positions moved, so the transaction may wait for more."""
        return not (self.audit or self.evidence or self.alerts or self.dead_letters) and all(
            key.startswith(b"\0position|") for key, _ in self.state
        )

    def __repr__(self) -> str:
        return (
            f"Effects(audit={len(self.audit)}, evidence={len(self.evidence)}, alerts={len(self.alerts)}, "
            f"dead_letters={len(self.dead_letters)}, state={len(self.state)}, counts={self.counts})"
        )
