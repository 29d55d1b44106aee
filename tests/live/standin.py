"""A correlator without rules, the shell's test double: an audit row for each record, a count for each key.

Its state depends on every record and on their order, so a record that was lost, doubled or reordered shows.
Run as a program it is the correlate role with this correlator, set by the environment as the real one is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from stepwatch.agents.app import run_role
from stepwatch.agents.correlate import build_correlate, prepare
from stepwatch.agents.settings import Settings
from stepwatch.schemas.topics import Topics
from stepwatch.streams.effects import DeadLetter, Effects

POSITION = b"\0position|"
REFUSED = b"not json"
UNSEEN = b"nothing follows"
"""A record that moves the position and nothing else."""
_MASK = (1 << 61) - 1
_encode = msgspec.json.encode
_decode = msgspec.json.decode


def step(value: list[int], offset: int) -> list[int]:
    """The state of a key after one more record: how many, and a hash in which order matters."""
    return [value[0] + 1, (value[1] * 31 + offset) & _MASK]


class StandIn:
    """See `stepwatch.agents.task.CorrelatorLike`.

    Each action waits `grace_us` of the authentications' log time, as if a verdict were to be published then.
    """

    def __init__(
        self, partition: int, topics: Topics, restored: Iterable[tuple[bytes, bytes]], grace_us: int = 0
    ) -> None:
        self.partition = partition
        self.topics = topics
        self.grace_us = grace_us
        self.positions: dict[str, int] = {}
        self.log_times: dict[str, int] = {}
        self.counts: dict[bytes, list[int]] = {}
        self.due: list[int] = []
        self.sets: list[Any] = []
        for key, value in restored:
            self._restore(key, value)

    def _restore(self, key: bytes, value: bytes) -> None:
        if key.startswith(POSITION):
            topic = key.removeprefix(POSITION).decode()
            self.positions[topic], self.log_times[topic] = _decode(value)
        elif key == b"due":
            self.due = _decode(value)
        else:
            self.counts[key] = _decode(value)

    @property
    def waiting_count(self) -> int:
        return len(self.due)

    @property
    def open_count(self) -> int:
        return len(self.due)

    def due_us(self) -> int | None:
        return min(self.due, default=None)

    def tidy_due_us(self) -> int | None:
        return None

    def use(self, sets: Any) -> None:
        self.sets.append(sets)

    @property
    def accounts(self) -> dict[str, dict[str, int]]:
        return {}

    def condemn(self, topic: str, record: Any, why: str, now_us: int) -> Effects:
        raise NotImplementedError("it fails on no event")

    def take(
        self, topic: str, records: Sequence[Any], now_us: int, condemned: Mapping[int, str] | None = None
    ) -> Effects:
        effects = Effects()
        changed: dict[bytes, list[int]] = {}
        position = self.positions.get(topic, 0)
        number = self.topics.inputs.index(topic)
        audit = effects.audit
        counts = self.counts
        for record in records:
            if record.offset < position or record.value == UNSEEN:
                continue
            if record.value == REFUSED:
                where = [("topic", topic.encode()), ("offset", str(record.offset).encode())]
                effects.dead_letters.append(DeadLetter(record.key, record.value, where))
                continue
            key = b"%d|%s" % (number, record.key or b"")
            counts[key] = changed[key] = step(counts.get(key, [0, 0]), record.offset)
            audit.append((key, b'["%s",%d,%d]' % (topic.encode(), self.partition, record.offset)))
        self.positions[topic] = max(position, records[-1].offset + 1)
        self.log_times[topic] = max(self.log_times.get(topic, 0), records[-1].timestamp * 1000)
        effects.state = [(key, _encode(value)) for key, value in changed.items()]
        self._wait(topic, effects)
        effects.state.append((POSITION + topic.encode(), _encode([self.positions[topic], self.log_times[topic]])))
        effects.count("taken", len(records))
        return effects

    def _wait(self, topic: str, effects: Effects) -> None:
        if not self.grace_us:
            return
        before = list(self.due)
        if topic == self.topics.actions:
            self.due.append(self.log_times[topic] + self.grace_us)
        log_time = self.log_times.get(self.topics.authentications, 0)
        self.due = [due for due in self.due if due > log_time]
        if self.due != before:
            effects.state.append((b"due", _encode(self.due)))


def main() -> int:
    """Run the role; `STANDIN_GRACE_US` is the grace."""
    settings = Settings()
    prepare(settings)
    grace_us = int(os.environ.get("STANDIN_GRACE_US", "0"))
    return run_role(
        lambda s: build_correlate(s, lambda partition, restored: StandIn(partition, s.topics, restored, grace_us)),
        settings,
    )


if __name__ == "__main__":
    sys.exit(main())
