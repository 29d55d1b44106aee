"""What the core asks the shell to do: data, done by the shell in one transaction (DESIGN section 1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from stepwatch.streams._native import Rows

CONFLICT: Final = "conflict"
MISROUTED: Final = "misrouted"
BUG: Final = "bug"
"""Error of a dead letter: we failed on it, whatever it holds, so it was not judged."""
NAMED_ERRORS: Final = (CONFLICT, MISROUTED, BUG)
"""Errors that are called by a name; every other is called by the field that is wrong."""


class DeadLetter(NamedTuple):
    """A record that could not be read, as it came, with headers that say why."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Move(NamedTuple):
    """A record that lies in a wrong partition, as it is appended to the right one of its topic."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class Effects:
    """Everything that one batch causes. `audit`, `evidence` and `alerts` hold (key, JSON row) pairs.

    `plain` holds more rows of topic `audit`, of plain actions, as the native core has encoded them; `audit_rows` gives
    them all.

    `moves` go out before the transaction of all else: a copy after a crash changes nothing, a loss would.

    `alerts` and `state` may hold tombstones (value None). `counts` are increments of metrics by name; a name may
    carry one label after a dot (`verdicts.unverified`).
    """

    __slots__ = ("alerts", "audit", "counts", "dead_letters", "evidence", "moves", "plain", "state")

    def __init__(self) -> None:
        self.audit: list[tuple[bytes, bytes]] = []
        self.plain: list[Rows] = []
        self.evidence: list[tuple[bytes, bytes]] = []
        self.alerts: list[tuple[bytes, bytes | None]] = []
        self.dead_letters: list[DeadLetter] = []
        self.moves: list[Move] = []
        self.state: list[tuple[bytes, bytes | None]] = []
        self.counts: dict[str, int] = {}

    def count(self, name: str, by: int = 1) -> None:
        """Add to a metric."""
        self.counts[name] = self.counts.get(name, 0) + by

    def audit_rows(self) -> Iterator[tuple[bytes | None, bytes | None]]:
        """Every (key, JSON row) of topic `audit`."""
        yield from self.audit
        for rows in self.plain:
            yield from rows

    @property
    def only_position(self) -> bool:
        """Nothing but input positions moved, so the transaction may wait for more."""
        return not (self.audit or self.plain or self.evidence or self.alerts or self.dead_letters) and all(
            key.startswith(b"\0position|") for key, _ in self.state
        )

    def __repr__(self) -> str:
        return (
            f"Effects(audit={len(self.audit)}, plain={sum(map(len, self.plain))}, "
            f"evidence={len(self.evidence)}, alerts={len(self.alerts)}, "
            f"dead_letters={len(self.dead_letters)}, moves={len(self.moves)}, state={len(self.state)}, "
            f"counts={self.counts})"
        )
