"""Whether the measured worker was right: exactly one current verdict for every action, and the one that is true.

Verdict and verification of every action are compared with what brute force finds (`truth`); of as many whole subjects
as `replay` can hold, the reason too with what `replay` says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from stepwatch.agents.settings import Settings
from stepwatch.schemas.times import format_time
from stepwatch.streams.replay import replay
from stepwatch.streams.sets import PolicySets, build_set
from tests.bench.data import POLICY, SUBJECTS, ticks
from tests.bench.fill import Filled
from tests.bench.truth import truth

REPLAYED_MAX = 60_000
"""Input records that `replay` judges once more, of as many whole subjects as that is: it holds them all in memory."""
_FETCH_BYTES = 8 << 20
_POLICED, _STEP_UP = b'"sensitivity":"critical"', b'"type":"stepwatch.stepup.verified"'

Verdict = tuple[str, str, str, str | None]
"""(verdict, reason, policy, verification)."""


class _Row(msgspec.Struct, gc=False):
    subject: str
    action_id: str
    revision: int
    verdict: str
    reason: str
    policy: str
    verification: str
    kafka_partition: int
    kafka_offset: int


@dataclass(slots=True)
class Checked:
    """What the check looked at, and what is wrong.

    Attributes:
        actions: with exactly one current verdict, each compared with the truth.
        replayed: of them, those that `replay` was asked about.
        verdicts: how many of each.
        faults: the first few, in words; empty: all is right.
    """

    actions: int = 0
    replayed: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class _Audit:
    """The rows of topic `audit`, as far as the check needs them."""

    def __init__(self, filled: Filled, every: int) -> None:
        self.rows_of = bytearray(filled.count)
        """Number of an action -> its rows, at most 255."""
        self.revisions: dict[int, list[int]] = {}
        """Of policed actions; of `judged` too: number -> current verdict and verification."""
        self.judged: dict[int, tuple[str, str]] = {}
        self.current: dict[str, tuple[int, Verdict]] = {}
        """Of the sampled subjects: action id -> (revision, verdict)."""
        self.plain = 0
        self.twice = 0
        self._every = every
        self._where: set[int] = set()

    def add(self, row: _Row) -> None:
        number = int(row.action_id[2:])
        self.rows_of[number] = min(255, self.rows_of[number] + 1)
        if row.revision == 1:
            where = row.kafka_offset << 16 | row.kafka_partition
            self.twice += where in self._where
            self._where.add(where)
        if row.verdict != "not_required":
            revisions = self.revisions.setdefault(number, [])
            revisions.append(row.revision)
            if row.revision == max(revisions):
                self.judged[number] = (row.verdict, row.verification)
        elif self.rows_of[number] == 1:
            self.plain += 1
        if int(row.subject[1:]) % self._every == 0:
            said = (row.verdict, row.reason, row.policy, row.verification or None)
            known = self.current.get(row.action_id, (0, said))
            self.current[row.action_id] = max(known, (row.revision, said), key=lambda pair: pair[0])


async def check(filled: Filled, replayed_max: int = REPLAYED_MAX) -> Checked:
    """Read all of the worker's audit rows and compare; every subject is replayed where the inputs are few enough."""
    every = max(1, -(-filled.records // replayed_max))
    audit = _Audit(filled, every)
    decode_row = msgspec.json.Decoder(_Row).decode
    async for record in _records(filled.settings, filled.settings.topics.audit):
        audit.add(decode_row(record.value))
    checked = Checked(sum(map(bool, audit.rows_of)))
    checked.verdicts["not_required"] = audit.plain
    for verdict, _ in audit.judged.values():
        checked.verdicts[verdict] = checked.verdicts.get(verdict, 0) + 1
    _compare_numbers(filled, audit, checked)
    inputs = _Inputs(every)
    for topic in (filled.settings.topics.actions, filled.settings.topics.authentications):
        await inputs.read(filled.settings, topic)
    expected = truth(inputs.policed, inputs.step_ups)
    judged = {f"a-{number:08d}": said for number, said in audit.judged.items()}
    checked.faults += _differences("truth", expected, judged)
    replayed = inputs.replayed()
    checked.replayed = len(replayed)
    current = {action_id: said for action_id, (_, said) in audit.current.items()}
    checked.faults += _differences("replay", replayed, current)
    async for record in _records(filled.settings, filled.settings.topics.dead_letters):
        checked.faults.append(f"dead letter: {record.headers}")
    return checked


def _differences(whose: str, expected: Mapping[str, Any], said: Mapping[str, Any]) -> list[str]:
    """The first few in words."""
    wrong = sorted(key for key in expected.keys() | said.keys() if expected.get(key) != said.get(key))
    return [f"{key}: {whose} {expected.get(key)}, worker {said.get(key)}" for key in wrong[:5]]


def _compare_numbers(filled: Filled, audit: _Audit, checked: Checked) -> None:
    missing = 0
    sent = bytearray(filled.count)
    for tick in ticks(filled.count):
        sent[tick.number] = 1
        missing += not audit.rows_of[tick.number]
        if tick.policed != (tick.number in audit.revisions):
            checked.faults.append(f"a-{tick.number:08d}: policed {tick.policed}, judged otherwise")
    extra = sum(1 for number, rows in enumerate(audit.rows_of) if rows and not sent[number])
    gaps = [n for n, found in audit.revisions.items() if sorted(found) != list(range(1, len(found) + 1))]
    for count, words in (
        (missing, "actions without a verdict"),
        (extra, "verdicts of actions that were never sent"),
        (audit.twice, "input records with two first rows"),
        (len(gaps), "actions whose revisions have a gap or come twice"),
    ):
        if count:
            checked.faults.append(f"{count} {words}")


class _Inputs:
    """The inputs, as far as the check needs them.

    Attributes:
        policed, step_ups: bodies, for the truth.
    """

    def __init__(self, every: int) -> None:
        self.policed: list[bytes] = []
        self.step_ups: list[bytes] = []
        self._sampled = {f"acme/u{who:05d}".encode() for who in range(0, SUBJECTS, every)} | {None}
        self._lines: list[bytes] = []

    async def read(self, settings: Settings, topic: str) -> None:
        """Read one input to its end."""
        log_ms: dict[int, int] = {}
        async for record in _records(settings, topic):
            arrival_ms = log_ms[record.partition] = max(log_ms.get(record.partition, 0), record.timestamp)
            if _POLICED in record.value:
                self.policed.append(record.value)
            elif _STEP_UP in record.value:
                self.step_ups.append(record.value)
            if record.key in self._sampled and b'"source":"stepwatch"' not in record.value:
                arrival = format_time(arrival_ms * 1000).encode()
                self._lines.append(record.value[:-1] + b',"arrival":"' + arrival + b'"}')

    def replayed(self) -> dict[str, Verdict]:
        """What `replay` says of the sampled subjects, each record with its arrival."""
        sets = PolicySets([build_set([("high-risk.yaml", POLICY)], None)])
        return {
            row["action_id"]: (row["verdict"], row["reason"], row["policy"], row["verification"])
            for row in replay(self._lines, sets)
            if row["kind"] == "verdict"
        }


async def _records(settings: Settings, topic: str) -> AsyncIterator[Any]:
    """Every committed record of a topic."""
    async with AIOKafkaConsumer(
        **settings.kafka_client_options(), isolation_level="read_committed", max_partition_fetch_bytes=_FETCH_BYTES
    ) as reader:
        tps = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
        reader.assign(tps)
        await reader.seek_to_beginning(*tps)
        ends = await reader.end_offsets(tps)
        for tp in tps:
            while await reader.position(tp) < ends[tp]:
                for record in (await reader.getmany(tp, timeout_ms=200)).get(tp, ()):
                    yield record
