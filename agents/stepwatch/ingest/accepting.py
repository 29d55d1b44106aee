"""The events of a request -> the records that they become, or each bad one with its field: all or nothing.

They are read by the worker's own `decode`, as arriving now, so what is accepted here is accepted there. What the worker
alone can know, that an id was used for another body, is a dead letter there (`conflict`).
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stepwatch.ingest.models import SkippedType
from stepwatch.ingest.problems import EventError, Problem
from stepwatch.ingest.tokens import Token
from stepwatch.schemas import events as ev
from stepwatch.schemas.faults import TENANT
from stepwatch.schemas.keys import subject_key
from stepwatch.schemas.times import parse_time
from stepwatch.schemas.topics import Topics
from stepwatch.streams.decode import ACTION, Event, Fault, Heartbeat, Skipped, decode, read_object
from stepwatch.streams.limits import TYPE_CHARS_MAX
from stepwatch.streams.reading import PULSE_SOURCE
from stepwatch.streams.routing import Router
from stepwatch.streams.sets import PolicySets

_HINTS: Final = {
    "json": "one JSON object for each event, UTF-8, at most 256 KiB and 16 levels deep",
    "time": "when it happened, by RFC 3339 with a zone, like 2026-11-24T09:15:02.120Z; is the clock right?",
    "type": "for example " + ev.ACTION_PERFORMED,
    "subject": "who acts: the id of the person or service",
    "data": "an object with the fields of the event",
    "data.action": "what was done, noun.verb, like payments.payout.approve",
    "data.auth_time": "seconds since 1970, no milliseconds",
    "data.amr": 'a list of names of RFC 8176, like ["hwk"]',
}
_TYPES: Final = sorted(ev.EVENT_TYPES)
_NAMED_MAX: Final = 10
"""Unknown types that an answer names; whoever sends more has one fault, not ten."""


class Outgoing(NamedTuple):
    """One record on its way to an input. It has no headers: those of ours are the workers' alone."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes


@dataclass(slots=True)
class Taken:
    """What became of a request's events: every one is accepted, or skipped.

    Attributes:
        records: a heartbeat is one for each partition; what is skipped is among them, since a worker may know its type.
        counts: accepted events by `action`, `authentication`, `heartbeat`.
        skipped: events of types of ours that this version does not know, by type.
    """

    records: list[Outgoing] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def skipped_types(self) -> list[SkippedType]:
        """The unknown types, the most frequent first, at most 10, each with the known one that it is like."""
        named = []
        for kind, count in self.skipped.most_common(_NAMED_MAX):
            near = difflib.get_close_matches(kind, _TYPES, n=1, cutoff=0.8)
            hint = f"did you mean {near[0]}?" if near else "is it from a newer version?"
            named.append(SkippedType(type=kind, count=count, hint=hint))
        return named


class Accepting:
    """Takes the events of requests.

    Args:
        topics: names of the inputs.
        partitions: how many each of the two has.
    """

    def __init__(self, topics: Topics, partitions: int) -> None:
        self._topics = topics
        self._partitions = partitions
        self._router = Router(partitions)

    def take(self, texts: Sequence[bytes], token: Token, sets: PolicySets, now_us: int) -> Taken:
        """Read all the events of a request.

        Args:
            texts: in structured mode.
            token: of whoever sent them.
            sets: say who an alias is.
            now_us: their arrival.

        Raises:
            Problem: 400 with each event that the worker would not take; 403 with each that the token may not post.
        """
        taken, wrong, forbidden = Taken(), list[EventError](), list[EventError]()
        for index, text in enumerate(texts):
            event = _unknown(text, now_us) if isinstance(said := decode(text, now_us), Skipped) else said
            if fault := _fault(event):
                hint = _HINTS.get(fault.field, "")
                wrong.append(EventError(index=index, field=fault.field, error=fault.message, hint=hint))
            elif refusal := _refusal(event, token):
                forbidden.append(EventError(index=index, field=refusal.field, error=refusal.message))
            else:
                self._add(taken, event, text, sets)
        if wrong:
            raise Problem(400, f"{len(wrong)} of {len(texts)} events cannot be taken; none was", errors=wrong)
        if forbidden:
            detail = f"this token may not post {len(forbidden)} of {len(texts)} events; none was taken"
            raise Problem(403, detail, errors=forbidden)
        return taken

    def _add(self, taken: Taken, event: _Read, text: bytes, sets: PolicySets) -> None:
        if isinstance(event, Event | _Unknown):
            is_action = isinstance(event, Event) and event.family == ACTION
            topic = self._topics.actions if is_action else self._topics.authentications
            subject = event.tenant, sets.at(event.time_us).canonical(event.tenant, event.subject)
            taken.records.append(Outgoing(topic, self._router.partition_of(subject), subject_key(*subject), text))
            if isinstance(event, Event):
                taken.counts[event.family] += 1
            else:
                taken.skipped[event.type[:TYPE_CHARS_MAX]] += 1
        else:
            # It speaks for the subjects of the partition it lies in, so it goes to every one.
            every = range(self._partitions)
            taken.records += [Outgoing(self._topics.authentications, number, None, text) for number in every]
            taken.counts["heartbeat"] += 1


class _Unknown(NamedTuple):
    """An event of an unknown type of ours, as far as it must be known to go to its subject's partition."""

    type: str
    source: str
    tenant: str
    subject: str
    time_us: int


_Read = Event | Heartbeat | Fault | _Unknown


def _unknown(text: bytes, now_us: int) -> _Unknown | Fault:
    """Its id, source and type are right; of the rest nothing is known, but for whom it is must be clear."""
    try:
        said = read_object(text)
    except ValueError as error:
        return Fault("json", str(error))
    data = said.get("data")
    tenant = data.get("tenant") if isinstance(data, dict) else None
    if tenant in (None, ""):
        tenant = "default"
    if not isinstance(tenant, str) or not TENANT.fullmatch(tenant):
        return Fault("data.tenant", f"expected 1 to 64 of A-Z a-z 0-9 . _ -, got {str(tenant)[:60]!r}")
    subject, time = said.get("subject"), said.get("time")
    time_us = parse_time(time) if isinstance(time, str) else None
    return _Unknown(
        said["type"],
        said["source"],
        tenant,
        subject if isinstance(subject, str) else "",
        now_us if time_us is None else time_us,
    )


def _fault(event: _Read) -> Fault | None:
    if isinstance(event, Fault):
        return event
    if event.source == PULSE_SOURCE:
        return Fault("source", f"{PULSE_SOURCE!r} is reserved for the workers' pulses: choose a name of your own")
    return None


def _refusal(event: _Read, token: Token) -> Fault | None:
    if isinstance(event, Event | _Unknown) and not token.for_tenant(event.tenant):
        return Fault("data.tenant", f"{event.tenant!r} is no tenant of the token {token.name!r}")
    if not isinstance(event, Fault) and not token.for_source(event.source):
        return Fault("source", f"{event.source[:200]!r} is no source of the token {token.name!r}")
    return None
