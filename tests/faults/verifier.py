"""The independent verifier: are the outputs exactly what the inputs call for (contract section 8, the promise)?

`verify(settings)` reads everything from Kafka and checks it; `check(found)` looks at lists, wherever they come from.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from stepwatch.agents.settings import Settings
from stepwatch.schemas.topics import Topics
from tests.faults.compare import (
    AuditRow,
    Differences,
    check_alerts,
    check_audit,
    check_evidence,
    check_letters,
    check_views,
)
from tests.faults.expected import Expected, Policies, Reader, Taken, Where
from tests.live.harness import read
from tests.live.road import query

POSITION = b"\0position|"
"""What the key of an input's position in the state topic begins with."""


class Account(NamedTuple):
    """What a worker's state says of one input's partition: it read up to `position`, and counted from `since` on."""

    position: int
    since: int
    counts: Mapping[str, int]


@dataclass(slots=True)
class Found:
    """Everything that was read from Kafka.

    Attributes:
        topics: their names.
        partitions: how many the inputs have.
        policies: (file name, text) of the sets that judged.
        inputs, audit, evidence, alerts, dead_letters: their records, of each partition in the order of the offsets.
        accounts: what the worker itself counted, of (topic, partition); None: it was not asked.
        bugs: records that had to become dead letters of kind `bug`.
    """

    topics: Topics
    partitions: int
    policies: Policies
    inputs: list[Taken]
    audit: list[Taken]
    evidence: list[Taken]
    alerts: list[Taken]
    dead_letters: list[Taken]
    accounts: Mapping[tuple[str, int], Account] | None = None
    bugs: Collection[Where] = ()


@dataclass(slots=True)
class Report:
    """What was checked, in numbers."""

    records: int
    classes: Counter[str]
    verdicts: Counter[str]
    revisions: int
    alerts_open: int
    alert_versions: int
    subjects: int
    current: dict[tuple[str, ...], AuditRow] = field(default_factory=dict, repr=False)
    """(tenant, subject, source, action id) -> the last row."""
    alerts: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    """Id -> the last version."""
    evidence: int = 0
    dead_letters: int = 0

    @property
    def words(self) -> str:
        """One line."""
        classes = ", ".join(f"{count} {name}" for name, count in sorted(self.classes.items()))
        return f"{self.records} records = {classes}; {self.revisions} revisions, {self.alerts_open} alerts open"


def check(found: Found) -> Report:
    """Judge the inputs anew and compare.

    Raises:
        AssertionError: with the first differences of each kind.
    """
    return compare(found, expect(found))


def expect(found: Found) -> Expected:
    """What the outputs must be, by the inputs and the policies alone."""
    topics = found.topics
    family = {topics.actions: "actions", topics.authentications: "authentications", topics.responses: "responses"}
    reader = Reader(found.policies, found.partitions, found.bugs)
    for taken in found.inputs:
        reader.read(taken, family[taken.where.topic])
    # What was read stays: to walk half a million events again and again took the collector a fifth of the time.
    gc.freeze()
    try:
        return reader.judge(topics.authentications)
    finally:
        gc.unfreeze()


def compare(found: Found, expected: Expected) -> Report:
    """Compare what was found with what must be.

    Raises:
        AssertionError: with the first differences of each kind.
    """
    differences = Differences()
    _check_offsets(found.inputs, differences)
    for where in expected.lost:
        differences.add("a moved record never came where it belongs", where)
    _check_accounts(found, expected, differences)
    current, verdicts, revisions = check_audit(found.audit, expected, differences)
    check_evidence(found.evidence, expected, differences)
    check_letters(found.dead_letters, found.inputs, expected, differences)
    alerts, versions = check_alerts(found.alerts, expected, differences)
    differences.require_none()
    return Report(
        records=len(found.inputs),
        classes=Counter(expected.classes.values()),
        verdicts=verdicts,
        revisions=revisions,
        alerts_open=len(expected.alerts),
        alert_versions=versions,
        subjects=len({key[:2] for key in expected.events}),
        current=current,
        alerts=alerts,
        evidence=len(found.evidence),
        dead_letters=len(found.dead_letters),
    )


def _check_offsets(inputs: Iterable[Taken], differences: Differences) -> None:
    """Nothing was left out in reading: no transaction writes to an input, so its offsets have no gap."""
    for (topic, partition), taken in itertools.groupby(inputs, lambda one: one.where[:2]):
        offsets = [one.where.offset for one in taken]
        if offsets != list(range(offsets[0], offsets[0] + len(offsets))):
            differences.add("the verifier did not read every record", f"{topic}-{partition}")


def _check_accounts(found: Found, expected: Expected, differences: Differences) -> None:
    """Records in = audit + evidence + heartbeats + dead letters + duplicates + skipped + moved, in each partition."""
    ends: Counter[tuple[str, int]] = Counter()
    for where in (taken.where for taken in found.inputs):
        ends[where[:2]] = where.offset + 1
        if where not in expected.classes:
            differences.add("records without a class", where)
    if found.accounts is None:
        return
    own: dict[tuple[str, int], Counter[str]] = {at: Counter() for at in ends}
    for where, what in expected.classes.items():
        at = where[:2]
        if at in found.accounts and found.accounts[at].since <= where.offset < found.accounts[at].position:
            own[at][what] += 1
    for at, end in ends.items():
        account = found.accounts.get(at, Account(0, 0, {}))
        differences.equal("not read to its end", at, account.position, end)
        told = {name: number for name, number in account.counts.items() if number}
        differences.equal("the worker's own account", at, told, dict(own[at]))


async def verify(
    settings: Settings, *, clickhouse: bool = False, seconds: float = 120.0, bugs: Collection[Where] = ()
) -> Report:
    """Wait until everything was read and said, and check all of it.

    What is not exact at first may only not have been said yet, so it is looked at anew for as long; what was said
    stays in the topics, so nothing that was wrong is forgiven.

    Args:
        settings: of the road; its policy files are those that judged.
        clickhouse: compare the `_current` views too.
        seconds: how long to wait for what is still to come.
        bugs: records that had to become dead letters of kind `bug`.

    Raises:
        AssertionError: with the first differences of each kind.
    """
    give_up = time.monotonic() + seconds
    await _until_read(settings, give_up)
    while True:
        try:
            found = await take_all(settings)
            found.bugs = bugs
            report = await asyncio.to_thread(check, found)
            break
        except AssertionError:
            if time.monotonic() > give_up:
                raise
        await asyncio.sleep(1.0)
    while clickhouse:
        differences = Differences()
        views = await asyncio.to_thread(_views, settings, report)
        counts = {"authentications_current": report.evidence, "dead_letters_current": report.dead_letters}
        check_views(views, report.current, report.alerts, counts, differences)
        try:
            differences.require_none()
            break
        except AssertionError:
            if time.monotonic() > give_up:
                raise
        await asyncio.sleep(1.0)
    return report


async def take_all(settings: Settings) -> Found:
    """Read every topic to its present end, `read_committed`."""
    topics = settings.topics
    assert settings.policies_dir is not None, "the verifier judges by the policy files of the road"
    policies = [(file.name, file.read_text()) for file in sorted(settings.policies_dir.glob("*.yaml"))]
    # The outputs first: what they do not say of a record that came later is not wrong, but looked at anew.
    outputs = (topics.audit, topics.evidence, topics.alerts, topics.dead_letters)
    audit, evidence, alerts, letters = [await take(settings, topic) for topic in outputs]
    inputs = [taken for topic in topics.inputs for taken in await take(settings, topic)]
    accounts = _accounts(await take(settings, topics.state))
    return Found(topics, settings.partitions, policies, inputs, audit, evidence, alerts, letters, accounts)


async def take(settings: Settings, topic: str) -> list[Taken]:
    """All records of a topic, in the order of their offsets within each partition."""
    return [
        Taken(Where(topic, one.partition, one.offset), one.timestamp * 1000, one.key, one.value, one.headers)
        for one in await read(settings, topic)
    ]


def _accounts(state: Iterable[Taken]) -> dict[tuple[str, int], Account]:
    """The last position of each input: a version byte, then [next offset, log time, since, counts]."""
    accounts = {}
    for taken in state:
        key, value = taken.key or b"", taken.value
        if key.startswith(POSITION) and value is not None:
            position, _, since, counts = msgspec.msgpack.decode(value[1:])
            accounts[key.removeprefix(POSITION).decode(), taken.where.partition] = Account(position, since, counts)
    return accounts


async def _until_read(settings: Settings, give_up: float) -> None:
    """Wait until the group's offsets, which lag by seconds, are near the ends of the inputs."""
    admin = AIOKafkaAdminClient(**settings.kafka_client_options())
    consumer = AIOKafkaConsumer(**settings.kafka_client_options())
    tps = [TopicPartition(topic, number) for topic in settings.topics.inputs for number in range(settings.partitions)]
    await consumer.start()
    await admin.start()
    try:
        while time.monotonic() < give_up:
            ends = await consumer.end_offsets(tps)
            with contextlib.suppress(KafkaError):
                done = await admin.list_consumer_group_offsets(settings.group("correlate"))
                # A pulse may always have come since.
                if all(tp in done and done[tp].offset >= end - 2 for tp, end in ends.items() if end):
                    return
            await asyncio.sleep(0.5)
    finally:
        await consumer.stop()
        await admin.close()


def _views(settings: Settings, report: Report) -> dict[str, list[dict[str, Any]]]:
    """The `_current` views, as far as they come from this road's topics."""
    topics = settings.topics
    audit = "tenant, subject, source, action_id, revision, verdict, reason, policy, verification"
    alerts = "alert_id, version, state, kind, severity, reason, count, actions"
    tenants = ", ".join(f"'{tenant}'" for tenant in sorted({row["tenant"] for row in report.alerts.values()} - {""}))
    wanted = {
        "audit_current": f"select {audit} from audit_current where kafka_topic = '{topics.actions}'",
        # Those of silent sources have no tenant, so all roads of one database share them.
        "alerts_current": f"select {alerts} from alerts_current where tenant in ({tenants})",
        "authentications_current": (
            f"select event_id from authentications_current where kafka_topic = '{topics.authentications}'"
        ),
        "dead_letters_current": (
            f"select kafka_offset from dead_letters_current where startsWith(kafka_topic, '{settings.prefix}')"
        ),
    }
    tables = {
        row["name"] for row in query(settings, "select name from system.tables where database = currentDatabase()")
    }
    return {name: query(settings, sql) if name in tables else [] for name, sql in wanted.items()}
