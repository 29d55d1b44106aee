"""Dead letters put back into the inputs, as they are or repaired (contract section 2).

The record that is sent is a new one: it counts from its own arrival, and carries none of the headers by which a worker
moves a record. A copy of one that was sent before changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from stepwatch.agents.clients import close_client, in_words, open_producer, open_reader
from stepwatch.agents.dead_letters import Letter
from stepwatch.agents.reading import FETCH_MS, record_at
from stepwatch.agents.settings import Settings
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.topics import Topics
from stepwatch.streams.decode import ACTION, Decoded, Event, Fault, Heartbeat, Skipped, decode, text_of
from stepwatch.streams.effects import CONFLICT
from stepwatch.streams.reading import response_of
from stepwatch.streams.routing import FIRST_ARRIVAL, MOVES
from stepwatch.streams.sets import PolicySets

Headers = Sequence[tuple[str, bytes | None]]
_REQUEST_BYTES_MAX = 4 << 20
"""An input may have been set to take records as large as this; its broker has the last word."""


class Target(NamedTuple):
    """Where a letter goes, and what a person should know first (`""`: nothing)."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    warning: str


class StillWrong(NamedTuple):
    """Why a letter would be a dead letter again, or has no place to go."""

    words: str


@dataclass(frozen=True, slots=True)
class Ground:
    """What decides where a letter goes.

    Attributes:
        topics: names of the inputs.
        partitions: of each input.
        sets: policy sets, for aliases; None where none is in force.
        now_us: the arrival that the record would have.
    """

    topics: Topics
    partitions: int
    sets: PolicySets | None
    now_us: int


def plan(letter: Letter, repaired: bytes | None, headers: Headers, ground: Ground) -> Target | StillWrong:
    """Where a letter goes, by the core's own reading of it.

    Args:
        letter: as it lies in the topic.
        repaired: an event in its stead; None: as it is.
        headers: of the record that it was, as far as they are known.
        ground: see there.
    """
    topics = ground.topics
    if letter.topic not in topics.inputs or not 0 <= letter.from_partition < ground.partitions:
        return StillWrong(
            f"topic: its headers name no input of ours ({letter.topic!r}), so it has no place to go back to"
        )
    value, kept = (letter.value, _kept(headers)) if repaired is None else (repaired, [])
    back = Target(letter.topic, letter.from_partition, letter.key, value, kept, "")
    if letter.topic == topics.responses:
        response = response_of(value)
        return StillWrong(f"{response.field}: {response.message}") if isinstance(response, Fault) else back
    outcome = _read(value, kept, ground.now_us)
    if isinstance(outcome, Fault):
        return StillWrong(f"{outcome.field}: {outcome.message}")
    if isinstance(outcome, Skipped):
        return StillWrong(f"type: {outcome.type} is one that only a newer Stepwatch knows; it would be skipped")
    if isinstance(outcome, Heartbeat):
        # One lies in every partition, so this one goes back into its own.
        return back
    whose = _identity(outcome, ground.sets)
    if letter.error == CONFLICT:
        before = _read(letter.value, headers, ground.now_us)
        if isinstance(before, Event) and _identity(before, ground.sets) == whose:
            return StillWrong(
                f"id: {outcome.id!r} of {outcome.source} was seen with another body, and the first counts; if this is "
                "another event, give it an id of its own and send that with --file"
            )
    key = subject_key(*whose[1:3])
    topic = topics.actions if outcome.family == ACTION else topics.authentications
    return back._replace(
        topic=topic, partition=partition_of(key, ground.partitions), key=key, warning=_lateness(outcome, ground)
    )


def _kept(headers: Headers) -> list[tuple[str, bytes | None]]:
    return [(name, said) for name, said in headers if name not in (FIRST_ARRIVAL, MOVES)]


def _read(value: bytes | None, headers: Headers, arrival_us: int) -> Decoded:
    """What the core reads in a record, whatever topic it lies in."""
    text = text_of(value, headers)
    return text if isinstance(text, Fault) else decode(text, arrival_us)


def _identity(event: Event, sets: PolicySets | None) -> tuple[str, str, str, str, str]:
    subject = event.subject
    if sets is not None:
        subject = sets.at(event.time_us).canonical(event.tenant, subject)
    return event.family, event.tenant, subject, event.source, event.id


def _lateness(event: Event, ground: Ground) -> str:
    if ground.sets is None or ground.now_us - event.time_us <= ground.sets.at(event.time_us).accept_late_max_us:
        return ""
    if event.family == ACTION:
        return "it happened longer ago than accept_late allows: a verdict on it would be blind (too_late)"
    return (
        "it happened longer ago than accept_late allows: it counts for no action that has closed, and anchors no alert"
    )


class Sender:
    """Sends letters back; an async context."""

    def __init__(self, settings: Settings, partitions: int) -> None:
        """A sender.

        Args:
            settings: where Kafka is.
            partitions: of each input.
        """
        self._settings = settings
        self._partitions = partitions

    async def __aenter__(self) -> Sender:
        """Connect; errors as `open_producer`."""
        inputs = self._settings.topics.inputs
        self._inputs = [TopicPartition(topic, number) for topic in inputs for number in range(self._partitions)]
        self._reader = await open_reader(self._settings, self._inputs, fetch_max_wait_ms=FETCH_MS)
        try:
            self._producer = await open_producer(self._settings, max_request_size=_REQUEST_BYTES_MAX)
        except BaseException:
            await close_client(self._reader)
            raise
        return self

    async def __aexit__(self, *raised: object) -> None:
        await close_client(self._producer)
        await close_client(self._reader)

    async def headers_of(self, letter: Letter) -> Headers | None:
        """The headers of the record that a letter was (an event in binary mode is half in them).

        Returns:
            None where the record is no longer there.
        """
        tp = TopicPartition(letter.topic, letter.from_partition)
        if tp not in self._inputs:
            return None
        try:
            record = await record_at(self._reader, tp, letter.from_offset)
        except KafkaError as error:
            raise in_words(self._settings, error) from error
        if record is None or record.value != letter.value or record.key != letter.key:
            return None
        headers: Headers = record.headers
        return headers

    async def send(self, target: Target) -> str:
        """Send one and wait until Kafka has it.

        Returns:
            Where it lies now: topic-partition@offset.

        Raises:
            RoleError: Kafka did not take it.
        """
        try:
            sent = await self._producer.send_and_wait(
                target.topic, target.value, target.key, target.partition, headers=list(target.headers)
            )
        except KafkaError as error:
            raise in_words(self._settings, error) from error
        return f"{target.topic}-{target.partition}@{sent.offset}"
