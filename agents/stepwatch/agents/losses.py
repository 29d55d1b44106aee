"""What may be gone when a partition is taken over: found, said in words, and left to somebody's decision.

Going on in silence would lose records, or say them twice. What can be seen:
- the state: its first record (WHOLE_KEY) is missing, so what came after it may be as well. Kafka takes the writes of a
  running producer into a topic that was recreated under it without a word, so that there is *some* state says nothing;
- the state's end: an output names a record that, by the state's positions, was not read yet;
- an input's begin: retention passed the position;
- an input's end: it is before the position, or the record before the position is younger than anything that was read:
  the topic was recreated, and has grown past the position since.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from stepwatch.agents.clients import close_client, open_admin
from stepwatch.agents.errors import TakeoverRefused
from stepwatch.agents.logs import get_logger
from stepwatch.agents.reading import RowOrigin, noted_offsets
from stepwatch.agents.settings import Settings
from stepwatch.agents.task import CorrelatorLike

log = get_logger(__name__)
WHOLE_KEY = b"\0whole"
"""Written at the first take-over of a partition, and when a lost state was accepted: all of the state follows it."""
_FIRST_VERSION = b"\x01"
"""What a value of the state began with before there was such a record."""
_LAST_OFFSETS = 100
_READ_S = 30.0

Offsets = dict[str, int]
"""Input topic -> offset."""


class Known(msgspec.Struct, omit_defaults=True):
    """What the state's first record remembers of decisions, so that nobody is asked twice.

    Attributes:
        told: below these offsets the outputs may name what the state has not read.
        begins: up to these offsets the records of an input are lost.
    """

    told: Offsets = {}
    begins: Offsets = {}

    def encode(self) -> bytes:
        """As the value of WHOLE_KEY."""
        return msgspec.json.encode(self)


_decode_row = msgspec.json.Decoder(RowOrigin).decode
_decode_known = msgspec.json.Decoder(Known).decode


async def check_state(
    settings: Settings, partition: int, restored: dict[bytes, bytes], told: Mapping[str, int]
) -> Known | None:
    """Refuse where a part of the state is gone.

    Args:
        settings: with the losses that were accepted.
        partition: of every topic.
        restored: the state; WHOLE_KEY is taken out of it.
        told: what `read_told` found.

    Returns:
        What was decided before; None where the state is to be begun anew, and what was restored forgotten.

    Raises:
        TakeoverRefused: with the decision to take.
    """
    whole = restored.pop(WHOLE_KEY, None)
    if whole is not None:
        return _decode_known(whole)
    if any(value.startswith(_FIRST_VERSION) for value in restored.values()):
        return Known()
    read = {} if restored else await _group_offsets(settings, partition)
    for topic, offset in told.items():
        read[topic] = max(offset, read.get(topic, 0))
    state, token = f"{settings.topics.state}-{partition}", f"{settings.topics.state}-{partition}@0"
    if not restored and not read:
        return None
    if settings.accepts_loss(token):
        log.warning("beginning the state anew", topic=settings.topics.state, partition=partition, read=read)
        return None
    what = "holds nothing" if not restored else "has lost its begin, and whatever else was written before its end"
    known = ", ".join(f"{topic}-{partition} up to {offset}" for topic, offset in sorted(read.items()))
    raise TakeoverRefused(
        f"{state} {what}"
        + (f", but this group had read {known}" if known else "")
        + ": the state is lost (deleted, recreated, or cleaned by `delete` instead of `compact`). Bring it back, "
        "or judge anew all that the inputs still hold (their rows come once more, revisions begin again at 1) by "
        f"starting once with {_decision([token])}"
    )


async def read_told(settings: Settings, partition: int, reader: AIOKafkaConsumer) -> Offsets:
    """For each input the end of what the last records of the outputs name."""
    topics = settings.topics
    outputs = [TopicPartition(topic, partition) for topic in (topics.audit, topics.evidence, topics.dead_letters)]
    told: Offsets = {}
    for records in (await _read_last(reader, outputs)).values():
        for topic, number, offset in _named(records):
            if number == partition and topic in topics.inputs:
                told[topic] = max(told.get(topic, 0), offset + 1)
    return told


def check_end(
    settings: Settings, partition: int, positions: Mapping[str, int], told: Mapping[str, int], known: Known
) -> None:
    """Refuse where the outputs are ahead of the positions: the state has lost its end.

    Args:
        settings: with the losses that were accepted.
        partition: of every topic.
        positions: that the state holds.
        told: what `read_told` found.
        known: what was decided before; what is accepted now comes on top.

    Raises:
        TakeoverRefused: with the decision to take.
    """
    ahead = {topic: end for topic, end in told.items() if end > max(positions.get(topic, 0), known.told.get(topic, 0))}
    if not ahead:
        return
    tokens = [f"{topic}-{partition}@{positions.get(topic, 0)}" for topic in sorted(ahead)]
    if not all(settings.accepts_loss(token) for token in tokens):
        raise TakeoverRefused(
            f"{settings.topics.state}-{partition}: its end is lost, or a dying broker has forgotten a commit there: "
            + ", ".join(
                f"the outputs name {topic}-{partition}@{end - 1}, but the state was read up to "
                f"{positions.get(topic, 0)} only"
                for topic, end in sorted(ahead.items())
            )
            + ". Bring it back, or read those records again (their rows come once more) by starting once with "
            + _decision(tokens)
        )
    log.warning("reading again what the outputs already name", partition=partition, **ahead)
    known.told = {**known.told, **ahead}


async def find_starts(
    settings: Settings, partition: int, correlator: CorrelatorLike, reader: AIOKafkaConsumer, known: Known
) -> tuple[Offsets, list[str]]:
    """Where to begin reading each input, and the inputs whose restored position must be forgotten.

    Args:
        settings: with the losses that were accepted.
        partition: of every topic.
        correlator: restored.
        reader: of every topic.
        known: what was decided before; what is accepted now comes on top.

    Raises:
        TakeoverRefused: an input does not hold what is to be read next.
    """
    positions = correlator.positions
    inputs = [TopicPartition(topic, partition) for topic in settings.topics.inputs]
    begins = await reader.beginning_offsets(inputs)
    ends = await reader.end_offsets(inputs)
    nexts = {tp: positions.get(tp.topic, begins[tp]) for tp in inputs}
    times = await _read_before(reader, {tp: at for tp, at in nexts.items() if at <= ends[tp]}, begins)
    starts, forgotten = {}, []
    for tp, position in nexts.items():
        begin, end = begins[tp], ends[tp]
        if position > end:
            _require_restart(settings, tp, begin, f"the next record to read is {position}, but the log ends at {end}")
            forgotten.append(tp.topic)
        elif max(position, known.begins.get(tp.topic, 0)) < begin:
            _require_gap(settings, tp, position, begin)
            known.begins = {**known.begins, tp.topic: begin}
        elif times.get(tp.topic, 0) > correlator.log_times.get(tp.topic, math.inf):
            _require_restart(
                settings, tp, begin, f"record {position - 1} was read, but one of a later time lies there now"
            )
            forgotten.append(tp.topic)
        starts[tp.topic] = begin if tp.topic in forgotten else max(begin, position)
    return starts, forgotten


async def _read_before(reader: AIOKafkaConsumer, positions: Mapping[Any, int], begins: Mapping[Any, int]) -> Offsets:
    """Input -> append time, us, of the record before the position, where there is one."""
    there = {tp: position for tp, position in positions.items() if begins[tp] < position}
    found = await _read(reader, {tp: (position - 1, position) for tp, position in there.items()})
    return {tp.topic: records[0].timestamp * 1000 for tp, records in found.items() if records}


async def _read_last(reader: AIOKafkaConsumer, tps: Sequence[Any]) -> dict[Any, list[Any]]:
    """The last records of outputs; aborted ones and markers count as offsets, so it looks back until it finds one."""
    begins = await reader.beginning_offsets(tps)
    ends = await reader.end_offsets(tps)
    found: dict[Any, list[Any]] = {}
    wanted = _LAST_OFFSETS
    while missing := [tp for tp in tps if not found.get(tp)]:
        ranges = {tp: (max(begins[tp], ends[tp] - wanted), ends[tp]) for tp in missing}
        found |= await _read(reader, ranges)
        if all(found[tp] or ranges[tp][0] == begins[tp] for tp in missing):
            break
        wanted *= 10
    return found


async def _read(reader: AIOKafkaConsumer, ranges: Mapping[Any, tuple[int, int]]) -> dict[Any, list[Any]]:
    """The records of each partition from the first offset on, up to the second; the reader is paused afterwards."""
    found: dict[Any, list[Any]] = {tp: [] for tp in ranges}
    left = {tp for tp, (first, end) in ranges.items() if first < end}
    for tp in left:
        reader.seek(tp, ranges[tp][0])
    reader.resume(*left)
    give_up = time.monotonic() + _READ_S
    try:
        while left:
            for tp, records in (await reader.getmany(*left, timeout_ms=50)).items():
                found[tp] += [record for record in records if record.offset < ranges[tp][1]]
            for tp in [tp for tp in left if await reader.position(tp) >= ranges[tp][1]]:
                left.discard(tp)
                reader.pause(tp)
            if left and time.monotonic() > give_up:
                where = ", ".join(f"{tp.topic}-{tp.partition}" for tp in left)
                raise KafkaTimeoutError(f"the last records of {where} were not to be had in {_READ_S:.0f} s")
    finally:
        reader.pause(*left)
    return found


def _named(records: Iterable[Any]) -> Iterator[tuple[str, int, int]]:
    """The records of inputs that records of an output name: (topic, partition, offset)."""
    for record in records:
        headers = dict(record.headers)
        try:
            if headers:
                yield headers["topic"].decode(), int(headers["partition"]), int(headers["offset"])
            else:
                row = _decode_row(record.value or b"")
                yield row.kafka_topic, row.kafka_partition, row.kafka_offset
        except (KeyError, ValueError, msgspec.DecodeError):
            # Somebody else's record; ours say where they come from.
            continue


async def _group_offsets(settings: Settings, partition: int) -> Offsets:
    """How far the group's offsets, which are kept for lag tools, say that it was read."""
    inputs = [TopicPartition(topic, partition) for topic in settings.topics.inputs]
    admin = await open_admin(settings)
    try:
        noted = await noted_offsets(settings, admin, "correlate", inputs)
    finally:
        await close_client(admin)
    return {tp.topic: offset for tp, offset in noted.items() if offset > 0}


def _require_gap(settings: Settings, tp: Any, position: int, begin: int) -> None:
    token = f"{tp.topic}-{tp.partition}@{begin}"
    if settings.accepts_loss(token):
        log.warning("going on without lost records", topic=tp.topic, first=position, last=begin - 1)
        return
    raise TakeoverRefused(
        f"{tp.topic}-{tp.partition}: the next record to read is {position}, but the log begins at {begin}: "
        f"{begin - position} offsets were deleted by retention before they were read. Lengthen retention.ms "
        f"of {tp.topic}, and go on without those records by starting once with {_decision([token])}"
    )


def _require_restart(settings: Settings, tp: Any, begin: int, what: str) -> None:
    token = f"{tp.topic}-{tp.partition}@{begin}"
    if settings.accepts_loss(token):
        log.warning("reading a recreated topic from its begin", topic=tp.topic, partition=tp.partition, begin=begin)
        return
    raise TakeoverRefused(
        f"{tp.topic}-{tp.partition}: {what}: the topic was recreated or has lost its end. Read it from {begin} on by "
        f"starting once with {_decision([token])}"
    )


def _decision(tokens: list[str]) -> str:
    value = " ".join(tokens)
    return f"STEPWATCH_ACCEPT_LOSS={value}" if len(tokens) == 1 else f"STEPWATCH_ACCEPT_LOSS='{value}'"
