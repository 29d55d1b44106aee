"""Alerts as they lie in Kafka: where each stands, and what became of one (contract sections 2 and 7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from stepwatch.agents.clients import close_client, in_words, open_reader
from stepwatch.agents.reading import FETCH_BYTES, FETCH_MS, Record, partition_count, read_until
from stepwatch.agents.settings import Settings
from stepwatch.notifiers.notices import rank_of
from stepwatch.schemas.compiled import FastAlertRow
from stepwatch.schemas.responses import Response
from stepwatch.schemas.times import format_time, parse_time
from stepwatch.streams.decode import Fault
from stepwatch.streams.reading import response_of

STATES = ("open", "acknowledged", "resolved")
AlertState = dict[str, Any]
"""A version of an alert by the names of contract section 7, checked."""
_DECODER = msgspec.json.Decoder(FastAlertRow)


@dataclass(frozen=True, slots=True)
class WantedAlerts:
    """Which alerts are meant; what is empty or None sets no condition.

    Attributes:
        states, severities: any of them.
        tenant, kind, policy, subject: exactly this.
        since_us: changed at or after it, by the worker's clock.
    """

    states: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    tenant: str | None = None
    kind: str | None = None
    policy: str | None = None
    subject: str | None = None
    since_us: int | None = None

    @property
    def fields(self) -> dict[str, str]:
        """The conditions of the form `field = value`."""
        named = {"tenant": self.tenant, "kind": self.kind, "policy": self.policy, "subject": self.subject}
        return {name: value for name, value in named.items() if value is not None}

    def holds(self, alert: AlertState) -> bool:
        """Whether an alert is meant."""
        if self.states and alert["state"] not in self.states:
            return False
        if self.severities and alert["severity"] not in self.severities:
            return False
        if any(alert[name] != value for name, value in self.fields.items()):
            return False
        return self.since_us is None or (parse_time(alert["updated_at"]) or 0) >= self.since_us


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an alert stands.

    Attributes:
        alert: its last version.
        partition: of every topic that speaks of its subject.
    """

    alert: AlertState
    partition: int


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an alert's history: a change of its state, or what a person decided.

    Attributes:
        at: when, RFC 3339.
        what: `change` or `decision`.
        version: of the alert; of a decision the one that the person saw.
        result: `high open`, `acknowledge`.
        by, note: of a decision who and why; of a change nobody, and its title.
    """

    at: str
    what: str
    version: int
    result: str
    by: str
    note: str


def change_of(alert: AlertState) -> Step:
    """A version of an alert as a line of its history."""
    by = f" by {alert['resolved_by']}" if alert["resolved_by"] else ""
    result = f"{alert['severity']} {alert['state']}{by}"
    return Step(alert["updated_at"], "change", alert["version"], result, "", alert["title"])


def decision_of(said: Response, arrival_us: int) -> Step:
    """A decision as a line of the history; its time is its arrival where it says none of ours."""
    at = said.at if said.at.endswith("Z") else format_time(arrival_us)
    return Step(at, "decision", said.seen_version, said.decision, said.by, said.note)


def read_state(value: bytes | None) -> AlertState | None:
    """A version of an alert from its record; None of a tombstone, and of what is none."""
    if value is None:
        return None
    try:
        said: AlertState = msgspec.to_builtins(_DECODER.decode(value))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return said


def place_of(alert: AlertState) -> tuple[bool, int, str, str]:
    """Where an alert stands in the order in which somebody should look; the greatest comes first."""
    return alert["state"] != "resolved", rank_of(alert["severity"]), alert["updated_at"], alert["alert_id"]


def worst_first(alerts: Iterable[AlertState]) -> list[AlertState]:
    """Alerts in the order in which somebody should look: not resolved, then the severest, then the newest."""
    return sorted(alerts, key=place_of, reverse=True)


async def read_standing(settings: Settings) -> dict[str, Standing]:
    """Every alert that the compacted topic holds, by its id.

    Raises:
        KafkaAway, KafkaRefused, TopicsWrong: in words.
    """
    found: dict[str, Standing] = {}
    async for record in _records(settings, settings.topics.alerts):
        said = read_state(record.value)
        if said is not None:
            held = found.get(said["alert_id"])
            if held is None or held.alert["version"] < said["version"]:
                found[said["alert_id"]] = Standing(said, record.partition)
        elif record.value is None and record.key:
            found.pop(record.key.rpartition(b"/")[2].decode(errors="replace"), None)
    return found


async def read_past(settings: Settings, standing: Standing) -> tuple[list[AlertState], list[tuple[Response, int]]]:
    """What Kafka still holds of an alert's past.

    Returns:
        Its versions in order, and the decisions on it, each once, with its arrival, us.
    """
    alert_id = standing.alert["alert_id"]
    versions: dict[int, AlertState] = {}
    async for record in _records(settings, settings.topics.alerts, standing.partition):
        said = read_state(record.value)
        if said is not None and said["alert_id"] == alert_id:
            versions[said["version"]] = said
    decisions: dict[str, tuple[Response, int]] = {}
    async for record in _records(settings, settings.topics.responses, standing.partition):
        response = response_of(record.value)
        if not isinstance(response, Fault) and response.alert_id == alert_id:
            decisions.setdefault(response.id, (response, record.timestamp * 1000))
    return [versions[version] for version in sorted(versions)], list(decisions.values())


async def _records(settings: Settings, topic: str, partition: int | None = None) -> AsyncIterator[Record]:
    """The committed records of a topic, or of one of its partitions, up to its end of now."""
    numbers = range(await partition_count(settings, topic)) if partition is None else [partition]
    tps = [TopicPartition(topic, number) for number in numbers]
    reader = await open_reader(settings, tps, max_partition_fetch_bytes=FETCH_BYTES, fetch_max_wait_ms=FETCH_MS)
    try:
        ends = await reader.end_offsets(tps)
        for tp in tps:
            await reader.seek_to_beginning(tp)
            async for records in read_until(reader, tp, ends[tp]):
                for record in records:
                    yield record
    except KafkaError as error:
        raise in_words(settings, error, "Read") from error
    finally:
        await close_client(reader)
