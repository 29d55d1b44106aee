"""What ought to be said of the records of the inputs: each record's class, each verdict, each open alert.

Shares no code with the core: it reads by `tests.judge`, by Kafka's own partitioner and by the text of the contract.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

from aiokafka.partitioner import murmur2

from tests.judge.judge import Judge, Row
from tests.judge.reading import TYPES, UNITS, Event, Rejected, decode, instant, parse_time

MOVES_MAX = 3
EVENT_BYTES_MAX = 256 * 1024
AHEAD_MAX = 10 * UNITS["m"]
DECISIONS = ("acknowledge", "resolve", "note")
Policies = Sequence[tuple[str, str]]
Key = tuple[str, str, bool, str, str]
"""(tenant, canonical subject, whether it is an action, source, id): what makes records one event."""


class Where(NamedTuple):
    """Where a record lies in Kafka."""

    topic: str
    partition: int
    offset: int


class Taken(NamedTuple):
    """A record as it was read from Kafka; `append_us` is the broker's append time."""

    where: Where
    append_us: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass(slots=True)
class Known:
    """An event with the record that is it; `arrivals` are those of its copies too."""

    event: Event
    where: Where
    arrivals: set[int]


@dataclass(slots=True)
class Expected:
    """What a reader of the outputs must find.

    Attributes:
        classes: each input record -> `audit`, `evidence`, `heartbeat`, `dead_letter`, `duplicate`, `skipped`, `moved`
            or `response`.
        letters: each dead letter's record -> (kind, field).
        rows: each record that has audit rows -> the event's key.
        events: each event -> its record.
        verdicts: each action's record -> the judge's row.
        alerts: id -> the judge's row of each open alert.
        lost: moves whose record did not come where it belongs.
        answered: alerts that a person decided on.
    """

    classes: dict[Where, str] = field(default_factory=dict)
    letters: dict[Where, tuple[str, str]] = field(default_factory=dict)
    rows: dict[Where, Key] = field(default_factory=dict)
    events: dict[Key, Known] = field(default_factory=dict)
    verdicts: dict[Where, Row] = field(default_factory=dict)
    alerts: dict[str, Row] = field(default_factory=dict)
    lost: list[Where] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)

    def account(self) -> dict[tuple[str, int], Counter[str]]:
        """(topic, partition) -> how many records of each class."""
        counts: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
        for where, what in self.classes.items():
            counts[where.topic, where.partition][what] += 1
        return dict(counts)


class Group(Judge):
    """The judge of one subject's events; `known` finds them by type, so that many events of one subject do not hurt."""

    def __init__(self, law: Judge, events: Iterable[Event], heartbeats: list[Event]) -> None:
        self.sets = law.sets
        self.arrivals, self.rejected, self.heartbeats = [], [], heartbeats
        self.stands = cache(self.judge)
        self.policy = law.policy
        self.events = sorted(events, key=lambda e: e.order)
        # A dict: `in` does not have to look at each.
        self.actions: Any = {e: None for e in self.events if e.type == "action.performed"}
        self._by_type: dict[str, list[Event]] = defaultdict(list)
        for e in self.events:
            # An action that no policy matches bears on nothing but itself.
            if e not in self.actions or self.policy(e)[0] is not None:
                self._by_type[e.type].append(e)

    def known(self, e: Event, until: int, *types: str) -> list[Event]:
        """The events of these types that arrived by then, by (time, source, id)."""
        found = [x for kind in types for x in self._by_type.get(kind, ()) if x.arrival <= until]
        return found if len(types) == 1 else sorted(found, key=lambda x: x.order)


class Reader:
    """Reads each partition of each input in the order of its offsets, and gives every record its class."""

    def __init__(self, policies: Policies, partitions: int, bugs: Collection[Where] = ()) -> None:
        self.law = Judge([], policies)
        self.partitions = partitions
        self.accept_late = max(known.accept_late for known in self.law.sets)
        self.expected = Expected()
        self.heartbeats: dict[int, list[Event]] = defaultdict(list)
        self.log_times: dict[tuple[str, int], list[int]] = {}
        """[first, last] of each partition."""
        self._bugs = frozenset(bugs)
        self._moved: list[tuple[Where, tuple[Any, ...]]] = []
        self._came: set[tuple[Any, ...]] = set()
        self._partition_of = cache(self._hashed)
        fed = {name for known in self.law.sets for name, source in known.sources.items() if source.silent_after}
        self._fed = fed

    def _hashed(self, tenant: str, subject: str) -> int:
        return int((murmur2(f"{tenant}/{subject}".encode()) & 0x7FFFFFFF) % self.partitions)

    def read(self, taken: Taken, family: str) -> None:
        """Read one record of `actions`, `authentications` or `responses`."""
        where = taken.where
        log = self.log_times.setdefault((where.topic, where.partition), [taken.append_us, taken.append_us])
        log[1] = max(log[1], taken.append_us)
        if family == "responses":
            self.expected.classes[where] = self._response(taken)
            return
        said = dict(taken.headers)  # of a name given twice the last counts
        arrival = self._arrival(said, log[1])
        try:
            event = None if where in self._bugs else read_event(taken, arrival, is_action=family == "actions")
        except Rejected as fault:
            self._letter(where, "invalid", fault.args[1])
            return
        if where in self._bugs:
            self._letter(where, "bug", "")
        elif event is None:
            self.expected.classes[where] = "skipped"
        elif event.type == "heartbeat":
            self.expected.classes[where] = "heartbeat"
            if event.source in self._fed:
                self.heartbeats[where.partition].append(event)
        else:
            self._take(taken, said, replace(event, subject=self.law.canonical(event, event.subject)))

    def _arrival(self, said: dict[str, bytes | None], log_time: int) -> int:
        first = parse_time((said.get("stepwatch-first-arrival") or b"").decode(errors="replace"))
        return log_time if first is None or not log_time - self.accept_late <= first <= log_time else first

    def _letter(self, where: Where, kind: str, at: str) -> None:
        self.expected.classes[where] = "dead_letter"
        self.expected.letters[where] = (kind, at)

    def _response(self, taken: Taken) -> str:
        try:
            said = json.loads(taken.value or b"")
            self.expected.answered.add(said["alert_id"])
            assert said["decision"] in DECISIONS
        except (ValueError, KeyError, TypeError, AssertionError):
            self._letter(taken.where, "invalid", "")
            return "dead_letter"
        return "response"

    def _take(self, taken: Taken, said: dict[str, bytes | None], event: Event) -> None:
        where = taken.where
        moves = (said.get("stepwatch-moves") or b"").decode(errors="replace")
        moved = int(moves) if moves.isdigit() and len(moves) < 10 else 0
        partition = self._partition_of(event.tenant, event.subject)
        if moved:
            first = said.get("stepwatch-first-arrival") or b""
            self._came.add((where.topic, where.partition, taken.value, first.decode(errors="replace"), moved))
        if partition == where.partition:
            self._accept(where, event)
        elif moved >= MOVES_MAX:
            self._letter(where, "misrouted", "subject")
        else:
            self.expected.classes[where] = "moved"
            goal = (where.topic, partition, taken.value, instant(event.arrival), moved + 1)
            self._moved.append((where, goal))

    def _accept(self, where: Where, event: Event) -> None:
        is_action = event.type == "action.performed"
        key = (event.tenant, event.subject, is_action, event.source, event.id)
        known = self.expected.events.get(key)
        if known is not None and is_action and self._is_forgotten_at_once(known.event):
            known = None
        if known is None:
            self.expected.events[key] = Known(event, where, {event.arrival})
            self.expected.classes[where] = "audit" if is_action else "evidence"
            if is_action:
                self.expected.rows[where] = key
        elif known.event.body != event.body:
            self._letter(where, "conflict", "id")
        else:
            known.arrivals.add(event.arrival)
            self.expected.classes[where] = "duplicate"

    def _is_forgotten_at_once(self, action: Event) -> bool:
        """Contract section 3, "one limit": no policy matches, and it is no `policy_gap`."""
        return self.law.policy(action)[0] is None and not [*Group(self.law, [action], []).patterns(action)]

    def judge(self, authentications: str) -> Expected:
        """The verdicts and alerts of all that was read; `authentications` is that input's name."""
        expected = self.expected
        expected.lost = [where for where, goal in self._moved if goal not in self._came]
        groups: dict[tuple[str, str], list[Known]] = defaultdict(list)
        for key, known in expected.events.items():
            groups[key[:2]].append(known)
        for (tenant, subject), mine in groups.items():
            where = {(x.event.source, x.event.id): x.where for x in mine if x.event.type == "action.performed"}
            events = [replace(x.event, arrival=min(x.arrivals)) for x in mine]
            group = Group(self.law, events, self.heartbeats[self._partition_of(tenant, subject)])
            for row in map(group.row, group.actions):
                expected.verdicts[where[row["source"], row["action_id"]]] = row
            expected.alerts.update((row["alert_id"], row) for row in group.alerts())
        for at, key in expected.rows.items():
            # A record of an action that was forgotten at once, and came again: its row says the same.
            expected.verdicts.setdefault(at, _unmatched(key))
        expected.alerts.update((row["alert_id"], row) for row in self._silences(authentications))
        return expected

    def _silences(self, authentications: str) -> Iterator[Row]:
        if (authentications, 0) in self.log_times:
            whole = Group(self.law, [], self.heartbeats[0])
            whole.arrivals = list(self.log_times[authentications, 0])
            yield from whole.silences()


def _unmatched(key: Key) -> Row:
    row: Row = {"kind": "verdict", "tenant": key[0], "subject": key[1], "source": key[3], "action_id": key[4]}
    row |= {"verdict": "not_required", "reason": "no_policy", "policy": "", "nearest_miss": None}
    return row | {"verification": None, "age_us": None}


def read_event(taken: Taken, arrival: int, *, is_action: bool) -> Event | None:
    """The event of a record, a heartbeat of either topic, or None for an unknown type of ours.

    Raises:
        Rejected: with the event's id and the field at fault.
    """
    value = _structured(taken)
    if len(value) > EVENT_BYTES_MAX:
        raise Rejected(None, "json")
    try:
        event = decode(_with_arrival(value, arrival))
    except Rejected as fault:
        if fault.args[1] in ("json", "id", "source", "type") or _family_fits(json.loads(value)["type"], is_action):
            raise
        raise Rejected(fault.args[0], "type") from None
    if event is not None and not _family_fits("stepwatch." + event.type, is_action):
        raise Rejected(event.id, "type")
    if event is not None and event.arrival != arrival:
        # It could not be written into the line.
        if event.time > arrival + AHEAD_MAX:
            raise Rejected(event.id, "time")
        event = replace(event, arrival=arrival)
    return event


def _family_fits(kind: str, is_action: bool) -> bool:
    name = kind.removeprefix("stepwatch.")
    return name == "heartbeat" or name not in TYPES or (name == "action.performed") == is_action


def _with_arrival(value: bytes, arrival: int) -> bytes:
    """The line of a file (contract section 10); an `arrival` in the event itself means nothing in a topic."""
    if b"arrival" in value:
        try:
            event = json.loads(value)
            return json.dumps({**event, "arrival": instant(arrival)}, ensure_ascii=False).encode()
        except (ValueError, TypeError, RecursionError):
            return value
    body = value.rstrip(b" \t\r\n")
    if not body.endswith(b"}") or body.rstrip(b"} \t\r\n").endswith(b"{"):
        return value
    line = body[:-1] + b',"arrival":"' + instant(arrival).encode() + b'"}'
    return line if len(line) <= EVENT_BYTES_MAX else value


def _structured(taken: Taken) -> bytes:
    """CloudEvents: what `ce_` headers say wins over the body."""
    value = taken.value or b""
    if not any(name.startswith("ce_") for name, _ in taken.headers):
        return value
    try:
        said = {name[3:]: raw.decode() for name, raw in taken.headers if name.startswith("ce_") and raw is not None}
        body = json.loads(value) if value.strip() else {}
    except (ValueError, RecursionError):
        raise Rejected(None, "json") from None
    said.pop("data", None)
    whole = isinstance(body, dict) and (not value.strip() or "specversion" in body)
    return json.dumps({**body, **said} if whole else {**said, "data": body}, ensure_ascii=False).encode()
