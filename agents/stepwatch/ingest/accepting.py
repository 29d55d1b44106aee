"""The events of a request -> the records that they become, or each bad one with its field: all or nothing.

They are read by the worker's own `decode`, as arriving now, so what is accepted here is accepted there. What the worker
alone can know, that an id was used for another body, is a dead letter there (`conflict`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stepwatch.ingest.problems import EventError, Problem
from stepwatch.ingest.tokens import Token
from stepwatch.schemas import events as ev
from stepwatch.schemas.keys import subject_key
from stepwatch.schemas.topics import Topics
from stepwatch.streams.decode import ACTION, Event, Fault, Heartbeat, Skipped, decode
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
        records: a heartbeat is one for each partition.
        counts: accepted events by `action`, `authentication`, `heartbeat`.
        skipped: events of types of ours that this version does not know, by type.
    """

    records: list[Outgoing] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


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
            event = decode(text, now_us)
            if isinstance(event, Skipped):
                taken.skipped[event.type[:TYPE_CHARS_MAX]] += 1
            elif fault := _fault(event):
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

    def _add(self, taken: Taken, event: Event | Heartbeat | Fault, text: bytes, sets: PolicySets) -> None:
        if isinstance(event, Event):
            topic = self._topics.actions if event.family == ACTION else self._topics.authentications
            subject = event.tenant, sets.at(event.time_us).canonical(event.tenant, event.subject)
            taken.records.append(Outgoing(topic, self._router.partition_of(subject), subject_key(*subject), text))
            taken.counts[event.family] += 1
        else:
            # It speaks for the subjects of the partition it lies in, so it goes to every one.
            every = range(self._partitions)
            taken.records += [Outgoing(self._topics.authentications, number, None, text) for number in every]
            taken.counts["heartbeat"] += 1


def _fault(event: Event | Heartbeat | Fault) -> Fault | None:
    if isinstance(event, Fault):
        return event
    if event.source == PULSE_SOURCE:
        return Fault("source", f"{PULSE_SOURCE!r} is reserved for the workers' pulses: choose a name of your own")
    return None


def _refusal(event: Event | Heartbeat | Fault, token: Token) -> Fault | None:
    if isinstance(event, Event) and not token.for_tenant(event.tenant):
        return Fault("data.tenant", f"{event.tenant!r} is no tenant of the token {token.name!r}")
    if not isinstance(event, Fault) and not token.for_source(event.source):
        return Fault("source", f"{event.source[:200]!r} is no source of the token {token.name!r}")
    return None
