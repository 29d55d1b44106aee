"""Facts, rows, alerts and positions <-> records of the state topic (DESIGN section 8).

A value is a version byte and msgpack; absolute, so the last record of a key is the truth and a tombstone is forgetting.
A key is a msgpack array that begins with the kind; keys that begin with a zero byte belong to the partition itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from stepwatch.streams.alerting import RESOLVED, SOURCE_SILENCE, Alert, Member, Standing
from stepwatch.streams.facts import Action, Fact, Key, Remembered
from stepwatch.streams.failing import EventFailed
from stepwatch.streams.liveness import Feed, Liveness
from stepwatch.streams.logtime import LogTime
from stepwatch.streams.moments import alert_forget_from, alert_moment, forget_from
from stepwatch.streams.partition import Partition
from stepwatch.streams.patterns import ANCHORED
from stepwatch.streams.waiting import Entry, SubjectKey

STATE_VERSION = 2
"""What this version writes. 2: a position says too what became of the records that were read."""
STATE_VERSIONS = (1, 2)
"""What this version reads."""
Writes = dict[bytes, bytes | Action | None]
"""What a batch changes: key -> value, an action that is encoded when the batch ends, or None for a tombstone."""

POSITION = b"\0position|"
_FIRST = b"\0first"
_FEED = b"\0feed|"
_KINDS: dict[type, str] = {Fact: "fact", Action: "action", Remembered: "remembered"}
_ALERT = "alert"
_MEMBER = "member"

_VERSION = bytes((STATE_VERSION,))
_encode = msgspec.msgpack.Encoder().encode
_decode_key = msgspec.msgpack.Decoder(list[Any]).decode

ACTION_KEY = _encode((_KINDS[Action], "", "", "", ""))[: 1 + len(_encode(_KINDS[Action]))]
"""What the key of an action begins with."""


class StateError(Exception):
    """The state topic holds what this version cannot read.

    Attributes:
        code: stable name of the error.
        retriable: False: reading it again gives the same.
    """

    code = "state_unreadable"
    retriable = False


def _value(item: object) -> bytes:
    return _VERSION + _encode(item)


def _check_version(value: bytes) -> None:
    if not value or value[0] not in STATE_VERSIONS:
        raise StateError(
            f"a record of version {value[0] if value else 'none'}, this worker reads the versions "
            f"{' and '.join(map(str, STATE_VERSIONS))}: run the version that wrote it, or a newer one"
        )


def _read(value: bytes, kind: Any) -> Any:
    return msgspec.msgpack.decode(value[1:], type=kind)


_read_fact = msgspec.msgpack.Decoder(Fact).decode
"""Of the value without its version: of facts a restart reads a million."""


def _key(subject: SubjectKey, item: Fact | Action | Remembered) -> bytes:
    return _encode((_KINDS[type(item)], subject[0], subject[1], item.source, item.id))


def save(writes: Writes, subject: SubjectKey, item: Fact | Action | Remembered) -> None:
    """Write what is kept of one event; an action as it is when the batch ends, since most change again in it."""
    writes[_key(subject, item)] = item if isinstance(item, Action) else _value(item)


def drop(writes: Writes, subject: SubjectKey, item: Fact | Action | Remembered) -> None:
    """Forget what was kept of one event."""
    writes[_key(subject, item)] = None


def encoded(writes: Writes) -> list[tuple[bytes, bytes | None]]:
    """The records of a batch that has ended.

    Raises:
        EventFailed: an action cannot be written.
    """
    return [(key, _written(value) if isinstance(value, Action) else value) for key, value in writes.items()]


def _written(action: Action) -> bytes:
    try:
        return _value(action)
    except Exception as error:
        raise EventFailed(action.where) from error


def save_alert(writes: Writes, alert: Alert) -> None:
    """Write an alert without its members."""
    writes[_encode((_ALERT, alert.alert_id))] = _value(alert)


def save_member(writes: Writes, alert_id: str, member: Member) -> None:
    """Write one member of an alert."""
    writes[_encode((_MEMBER, alert_id, member.source, member.id))] = _value(member)


def drop_alert(writes: Writes, standing: Standing) -> None:
    """Forget an alert and its members."""
    alert_id = standing.alert.alert_id
    writes[_encode((_ALERT, alert_id))] = None
    for source, event_id in standing.members:
        writes[_encode((_MEMBER, alert_id, source, event_id))] = None


def save_position(writes: Writes, topic: str, log: LogTime) -> None:
    """Write where reading of an input goes on, its log time, and what became of what was read."""
    writes[POSITION + topic.encode()] = _value((log.next_offset, log.now_us, log.since, log.account))


def read_position(value: bytes) -> LogTime:
    """What `save_position` wrote; version 1 kept no account: it begins at the position.

    Raises:
        StateError: a record of a version that this one cannot read.
    """
    _check_version(value)
    if value[0] == 1:
        return LogTime(*_read(value, tuple[int, int]))
    return LogTime(*_read(value, tuple[int, int, int, dict[str, int]]))


def save_first_log(writes: Writes, first_log_us: int) -> None:
    """Write the partition's first log time."""
    writes[_FIRST] = _value(first_log_us)


def save_signs(writes: Writes, liveness: Liveness) -> None:
    """Write the signs of life that have changed."""
    for source in liveness.dirty:
        writes[_FEED + source.encode()] = _value(liveness.feeds[source])
    liveness.dirty.clear()


def read_action(value: bytes) -> Action:
    """What `save` wrote of an action.

    Raises:
        StateError: a record of a version that this one cannot read.
    """
    _check_version(value)
    action: Action = _read(value, Action)
    return action


def restore(partition: Partition, records: Iterable[tuple[bytes, bytes | None]]) -> dict[str, LogTime]:
    """Fill an empty partition from the state topic.

    Args:
        partition: new, with its policy sets.
        records: (key, value) in the order of the topic; a later one replaces an earlier one of its key.

    Returns:
        Topic -> log time and position of the input.

    Raises:
        StateError: a record of another version.
    """
    latest = {key: value for key, value in dict(records).items() if value is not None}
    for value in latest.values():
        if value[:1] != _VERSION:
            _check_version(value)
    logs: dict[str, LogTime] = {}
    members: list[tuple[str, Member]] = []
    for key, value in latest.items():
        if key[0]:
            _restore_item(partition, _decode_key(key), value, members)
        elif key.startswith(POSITION):
            logs[key[len(POSITION) :].decode()] = read_position(value)
        elif key == _FIRST:
            partition.first_log_us = _read(value, int)
        else:
            partition.liveness.feeds[key[len(_FEED) :].decode()] = _read(value, Feed)
    partition.use(partition.sets)
    for alert_id, member in members:
        standing = partition.alerting.standing.get(alert_id)
        if standing is not None:
            standing.put(member)
    _restore_moments(partition)
    return logs


def _restore_item(partition: Partition, key: list[Any], value: bytes, members: list[tuple[str, Member]]) -> None:
    kind = key[0]
    if kind == "fact":
        partition.ledger((key[1], key[2])).add_fact(_read_fact(value[1:]))
    elif kind == _ALERT:
        partition.alerting.standing[key[1]] = Standing(_read(value, Alert))
    elif kind == _MEMBER:
        members.append((key[1], _read(value, Member)))
    else:
        ledger = partition.ledger((key[1], key[2]))
        if kind == "action":
            ledger.add_action(_read(value, Action))
        else:
            ledger.remember(_read(value, Remembered))


def _restore_moments(partition: Partition) -> None:
    """Wait again for all that was waited for; every open action is judged again with the first batch."""
    sets = partition.sets
    going: list[Entry] = []
    for (tenant, subject), ledger in partition.ledgers.items():
        items: list[Fact | Remembered | Action] = [*ledger.facts.values(), *ledger.remembered.values()]
        items += [action for action in ledger.kept.values() if action.closed]
        going += [(forget_from(sets, i.time_us, i.arrival_us), tenant, subject, i.source, i.id) for i in items]
        for key, action in ledger.open.items():
            partition.closing.add(action.closes_us, (tenant, subject), *key)
            partition.again.setdefault((tenant, subject), set()).add(key)
    partition.going.fill(going)
    for alert_id, standing in partition.alerting.standing.items():
        alert = standing.alert
        named = (alert.tenant, alert.subject)
        resolved = alert.state == RESOLVED
        moment_us = alert_forget_from(sets, alert) if resolved else alert_moment(alert)
        partition.alert_moments.add(moment_us, named, "", alert_id)
        for member in standing.inside():
            key = (member.source, member.id)
            if alert.kind == SOURCE_SILENCE:
                partition.silent[member.source] = (alert_id, member.id)
            elif alert.kind in ANCHORED and _is_kept(partition, named, key):
                partition.anchored.setdefault((named, key), set()).add(alert.kind)


def _is_kept(partition: Partition, subject: SubjectKey, key: Key) -> bool:
    ledger = partition.ledgers.get(subject)
    return ledger is not None and (key in ledger.facts or key in ledger.kept)
