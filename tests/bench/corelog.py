"""The benchmark's events as one partition's log, for the core alone: no server, and time moves as a caller says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from stepwatch.schemas.keys import subject_key
from stepwatch.streams.correlator import Correlator
from stepwatch.streams.decode import ACTION, AUTHENTICATION
from stepwatch.streams.effects import Effects
from tests.bench.data import POLICY, TENANT, Sent, events, heartbeat, subject_of
from tests.core.driver import TOPICS, Record, sets_of

BEGIN_MS = 1_795_511_702_000
"""The log's time 0."""
BEGIN_US = BEGIN_MS * 1000
_BEAT = b"stepwatch.heartbeat"
Batch = tuple[str, list[Record]]
"""Topic, and records in the order of their offsets."""


class CoreLog:
    """A correlator and the log that it reads.

    Args:
        policy: YAML of one policy file.

    Attributes:
        core: the correlator.
        said: sum of all that it counted.
    """

    def __init__(self, policy: str = POLICY) -> None:
        self.core = Correlator(partition=0, partitions=1, topics=TOPICS, sets=sets_of(policy))
        self.said: Counter[str] = Counter()
        self._offsets: Counter[str] = Counter()
        self._beats = 0

    def batches(self, sent: Iterable[Sent], at_most: int) -> list[Batch]:
        """Events as batches in the order of arrival, those of authentications first; appended when they arrived.

        Args:
            sent: in the order of arrival; `at_ms` from the log's time 0 on.
            at_most: events of both inputs in one pair of batches.
        """
        found: list[Batch] = []
        portion: list[Sent] = []
        for each in sent:
            portion.append(each)
            if len(portion) == at_most:
                found += self._pair(portion)
                portion = []
        return found + self._pair(portion)

    def take(self, batches: Iterable[Batch]) -> list[Effects]:
        """Let the correlator read batches."""
        effects = [self.core.take(topic, records, records[-1].timestamp * 1000) for topic, records in batches]
        for each in effects:
            self.said.update(each.counts)
        return effects

    def beat(self, at_ms: int) -> list[Batch]:
        """A heartbeat of the source on each input, by which both reach a log time."""
        self._beats += 1
        body = heartbeat(f"h-{self._beats}", BEGIN_US + at_ms * 1000)
        return self._pair([Sent(at_ms, family, 0, body) for family in (AUTHENTICATION, ACTION)])

    def _pair(self, sent: Sequence[Sent]) -> list[Batch]:
        pair: list[Batch] = []
        for topic, family in ((TOPICS.authentications, AUTHENTICATION), (TOPICS.actions, ACTION)):
            records = [self._record(topic, each) for each in sent if each.family == family]
            if records:
                pair.append((topic, records))
        return pair

    def _record(self, topic: str, sent: Sent) -> Record:
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        key = None if _BEAT in sent.body else subject_key(TENANT, subject_of(sent.who))
        return Record(offset, BEGIN_MS + sent.at_ms, key, sent.body)


def kinds(count: int, subjects: int) -> dict[str, list[Sent]]:
    """The first `count` events of the benchmark by kind: `plain`, `policed`, `step_up`; no copies."""
    found: dict[str, list[Sent]] = {"plain": [], "policed": [], "step_up": []}
    known: set[bytes] = set()
    for sent in events(count, BEGIN_US, subjects=subjects):
        if sent.body in known:
            continue
        known.add(sent.body)
        policed = b'"sensitivity":"critical"' in sent.body
        found["step_up" if sent.family == AUTHENTICATION else "policed" if policed else "plain"].append(sent)
    return found
