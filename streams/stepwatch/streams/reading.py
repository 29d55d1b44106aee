"""One record of an input -> what becomes of it: taken in, moved, a dead letter, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import ValidationError

from stepwatch.schemas.responses import Response
from stepwatch.schemas.times import format_time
from stepwatch.schemas.topics import Topics
from stepwatch.streams import accounting, copies, intake, state
from stepwatch.streams.decode import ACTION, AUTHENTICATION, Event, Fault, Heartbeat, Skipped, decode, text_of
from stepwatch.streams.effects import BUG, CONFLICT, MISROUTED, NAMED_ERRORS, DeadLetter
from stepwatch.streams.limits import ERROR_CHARS_MAX, MOVES_MAX, TYPE_CHARS_MAX
from stepwatch.streams.partition import Partition
from stepwatch.streams.routing import Router, first_arrival
from stepwatch.streams.rows import Coordinates
from stepwatch.streams.waiting import SubjectKey

PULSE_SOURCE = "stepwatch"


class InputRecord(Protocol):
    """A record of an input as the Kafka client gives it; `timestamp` is its append time in milliseconds."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


def response_of(value: bytes | None) -> Response | Fault:
    """What a person decided, or the first field that is wrong with it."""
    try:
        return Response.model_validate_json(value or b"")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return Fault(".".join(str(part) for part in first["loc"]) or "json", first["msg"])


class Reading:
    """Reads the records of one partition; each method returns what became of the record (`accounting`).

    Args:
        known: the memory of the partition.
        partition: its number.
        partitions: how many there are.
        topics: names of the inputs.
    """

    def __init__(self, known: Partition, partition: int, partitions: int, topics: Topics) -> None:
        self._known = known
        self._partition = partition
        self._actions = topics.actions
        self._router = Router(partitions)

    def read(self, topic: str, record: InputRecord, arrival_us: int) -> str:
        """Read an event of one of the two big inputs."""
        known = self._known
        is_action = topic == self._actions
        if not is_action and known.first_log_us is None:
            known.first_log_us = arrival_us
            state.save_first_log(known.writes, arrival_us)
        text = text_of(record.value, record.headers)
        if isinstance(text, Fault):
            return self.dead_letter(topic, record, arrival_us, "unreadable", text)
        if record.headers:
            arrival_us = first_arrival(record.headers, arrival_us, known.sets.accept_late_max_us)
        outcome = decode(text, arrival_us, ACTION if is_action else AUTHENTICATION)
        if isinstance(outcome, Event):
            return self._accept(topic, record, outcome)
        if isinstance(outcome, Heartbeat):
            known.effects.count("heartbeats")
            if outcome.source != PULSE_SOURCE:
                intake.hear(known, outcome)
            return accounting.HEARTBEAT
        if isinstance(outcome, Skipped):
            known.effects.count(f"skipped.{outcome.type[:TYPE_CHARS_MAX]}")
            return accounting.SKIPPED
        return self.dead_letter(topic, record, arrival_us, "invalid", outcome)

    def _accept(self, topic: str, record: InputRecord, event: Event) -> str:
        known = self._known
        subject = (event.tenant, known.sets.at(event.time_us).canonical(event.tenant, event.subject))
        if self._router.partition_of(subject) != self._partition:
            return self._move(topic, record, event.arrival_us, subject)
        what = intake.accept(known, event, subject, Coordinates(topic, self._partition, record.offset))
        if what is copies.COPY:
            known.effects.count("copies")
            return accounting.DUPLICATE
        if what is copies.CONFLICT:
            fault = Fault("id", f"{event.id!r} of {event.source} was seen with another body")
            return self.dead_letter(topic, record, event.arrival_us, CONFLICT, fault)
        return accounting.AUDIT if event.family == ACTION else accounting.EVIDENCE

    def _move(self, topic: str, record: InputRecord, arrival_us: int, subject: SubjectKey) -> str:
        move = self._router.move(topic, subject, record.value, record.headers, arrival_us)
        if move is None:
            fault = Fault("subject", f"{subject[0]}/{subject[1]} belongs elsewhere, and it was moved {MOVES_MAX} times")
            return self.dead_letter(topic, record, arrival_us, MISROUTED, fault)
        self._known.effects.moves.append(move)
        self._known.effects.count("moved")
        return accounting.MOVED

    def respond(self, topic: str, record: InputRecord, arrival_us: int) -> str:
        """Read what a person decided."""
        response = response_of(record.value)
        if isinstance(response, Fault):
            return self.dead_letter(topic, record, arrival_us, "invalid", response)
        done = self._known.alerting.respond(response)
        self._known.effects.count("responses.applied" if done else "responses.without_effect")
        return accounting.RESPONSE

    def dead_letter(self, topic: str, record: InputRecord, arrival_us: int, error: str, fault: Fault) -> str:
        """Set a record aside, as it came, with headers that say why."""
        effects = self._known.effects
        effects.count(f"dead_letters.{error}")
        # The two that the contract names are said by that name; every other fault names its field.
        said = error if error in NAMED_ERRORS else f"{fault.field}: {fault.message}"
        headers = {
            "error": said[:ERROR_CHARS_MAX],
            "field": fault.field,
            "topic": topic,
            "partition": str(self._partition),
            "offset": str(record.offset),
            "time": format_time(arrival_us),
        }
        if error == BUG:
            headers["detail"] = fault.message[:ERROR_CHARS_MAX]
        encoded = [(name, text.encode(errors="replace")) for name, text in headers.items()]
        effects.dead_letters.append(DeadLetter(record.key, record.value, encoded))
        return accounting.DEAD_LETTER
