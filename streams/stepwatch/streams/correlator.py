"""The order of all rules for one partition, and nothing else: batch of records -> effects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stepwatch.schemas.times import format_time
from stepwatch.schemas.topics import Topics
from stepwatch.streams import accounting, intake, state
from stepwatch.streams.anchors import weigh_sources
from stepwatch.streams.decode import Fault
from stepwatch.streams.effects import BUG, Effects
from stepwatch.streams.failing import EventFailed
from stepwatch.streams.forgetting import forget_alerts, forget_items
from stepwatch.streams.logtime import LogTime
from stepwatch.streams.native import is_built, is_chunk
from stepwatch.streams.partition import Partition
from stepwatch.streams.patterns.source_silence import next_silence_us
from stepwatch.streams.reading import InputRecord, Reading
from stepwatch.streams.rows import plain_rest
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.settling import settle, settle_alerts
from stepwatch.streams.skimming import Skimming

NOTHING_CONDEMNED: Mapping[int, str] = {}


class Correlator:
    """One partition: what it knows, and what a batch of one of its inputs changes.

    Args:
        partition: its number.
        partitions: how many there are; a record whose subject belongs to another one is moved there.
        topics: names of the inputs.
        sets: policy sets, at least one.
        restored: (key, value) records of its state topic; the same effects follow as if it had never stopped.
    """

    def __init__(
        self,
        *,
        partition: int,
        partitions: int,
        topics: Topics,
        sets: PolicySets,
        restored: Iterable[tuple[bytes, bytes | None]] = (),
    ) -> None:
        self.partition = partition
        self.topics = topics
        self.known = Partition(sets)
        self._skimming = Skimming(self.known, partition, partitions) if is_built else None
        self.logs = state.restore(self.known, restored)
        self._reading = Reading(self.known, partition, partitions, topics)
        self._note_log_times()

    @property
    def positions(self) -> dict[str, int]:
        """Topic -> the next offset to read; an input that was never read is missing."""
        return {topic: log.next_offset for topic, log in self.logs.items()}

    @property
    def log_times(self) -> dict[str, int]:
        """Topic -> log time in microseconds; an input that was never read is missing."""
        return {topic: log.now_us for topic, log in self.logs.items()}

    @property
    def accounts(self) -> Mapping[str, Mapping[str, int]]:
        """Topic -> what became of the records that were read (`accounting`)."""
        return {topic: log.account for topic, log in self.logs.items()}

    @property
    def waiting_count(self) -> int:
        """Actions whose verdict waits for the end of a grace."""
        return len(self.known.withheld)

    @property
    def open_count(self) -> int:
        """Actions that have not closed."""
        return len(self.known.closing)

    def use(self, sets: PolicySets) -> None:
        """More policy sets became known; they judge from their `effective_from` on."""
        self.known.use(sets)

    def take(
        self,
        topic: str,
        records: Sequence[InputRecord],
        now_us: int,
        condemned: Mapping[int, str] = NOTHING_CONDEMNED,
    ) -> Effects:
        """Read a batch of one input.

        Args:
            topic: one of the three inputs.
            records: in the order of their offsets, as a list or a chunk; those below the position are left out.
            now_us: the wall clock, shown in rows and decided by nothing.
            condemned: offset -> why: records on which we have failed; they become dead letters `bug`, unread.

        Raises:
            EventFailed: the core raised on an event of the batch, or on an action accepted before.
            Exception: it raised, and it is not known on what.
        """
        known = self._begin(now_us)
        known.plain_rest = plain_rest(known.decided_at, topic, self.partition)
        log = self._read_all(topic, records, condemned)
        self._note_log_times()
        settle(known)
        if self.partition == 0:
            weigh_sources(known, known.evidence_us)
        forget_alerts(known)
        settle_alerts(known, now_us)
        forget_items(known)
        state.save_signs(known.writes, known.liveness)
        state.save_position(known.writes, topic, log)
        known.effects.state.extend(state.encoded(known.writes))
        return known.effects

    def condemn(self, topic: str, record: InputRecord, why: str, now_us: int) -> Effects:
        """Let go of an action of an earlier batch on which we fail again and again: it becomes a dead letter `bug`.

        Args:
            topic: of the record by which it was accepted.
            record: that one.
            why: what was raised, in words.
            now_us: the wall clock, shown in rows and decided by nothing.
        """
        known = self._begin(now_us)
        let_go = intake.let_go(known, topic, record.offset)
        if let_go is not None:
            self._reading.dead_letter(topic, record, let_go, BUG, Fault("", why))
            log = self.logs[topic]
            log.account[accounting.AUDIT] -= 1
            log.account[accounting.DEAD_LETTER] += 1
            settle_alerts(known, now_us)
            state.save_position(known.writes, topic, log)
        known.effects.state.extend(state.encoded(known.writes))
        return known.effects

    def due_us(self) -> int | None:
        """The earliest log time of `authentications` at which something would be published; None: nothing waits."""
        known = self.known
        moments = []
        if known.again:
            # Restored and not judged yet: the next record will say what waits for what.
            moments.append(known.evidence_us)
        while (entry := known.due.peek()) is not None:
            if known.withheld.get(((entry[1], entry[2]), (entry[3], entry[4]))) == entry[0]:
                moments.append(entry[0])
                break
            known.due.drop()
        if self.partition == 0 and known.first_log_us is not None:
            silence_us = next_silence_us(known.liveness, known.sets, known.evidence_us, known.first_log_us)
            if silence_us is not None:
                moments.append(silence_us)
        return min(moments, default=None)

    def tidy_due_us(self) -> int | None:
        """The earliest log time of both inputs past which something closes or is forgotten."""
        known = self.known
        heaps = (known.closing, known.going, known.alert_moments)
        return min((moment + 1 for heap in heaps if (moment := heap.first_us()) is not None), default=None)

    def _begin(self, now_us: int) -> Partition:
        """The memory, with nothing that this batch causes in it yet."""
        known = self.known
        known.effects, known.decided_at, known.writes = Effects(), format_time(now_us), {}
        return known

    def _note_log_times(self) -> None:
        log_times = self.log_times
        self.known.reach(log_times.get(self.topics.actions, -1), log_times.get(self.topics.authentications, -1))

    def _read_all(self, topic: str, records: Sequence[InputRecord], condemned: Mapping[int, str]) -> LogTime:
        log = self.logs.get(topic)
        if log is None:
            log = self.logs[topic] = LogTime(records[0].offset if records else 0)
        read = self._reading.respond if topic == self.topics.responses else self._reading.read
        before = log.account.total()

        def read_one(record: InputRecord) -> str:
            """What becomes of a record."""
            arrival_us = log.read(record.offset, record.timestamp * 1000)
            if record.offset in condemned:
                return self._reading.dead_letter(topic, record, arrival_us, BUG, Fault("", condemned[record.offset]))
            try:
                return read(topic, record, arrival_us)
            except Exception as error:
                raise EventFailed((topic, record.offset)) from error

        if self._skimming is not None and topic == self.topics.actions and is_chunk(records) and not condemned:
            self._skimming.read(records, log, read_one)
        else:
            for record in records:
                if record.offset >= log.next_offset:
                    log.account[read_one(record)] += 1
        if new := log.account.total() - before:
            self.known.effects.count("records_in", new)
        return log
