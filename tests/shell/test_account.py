"""The operator's account: every record in is exactly one thing; where it is not, the account says which and where."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from stepwatch.agents.account import Account, account
from stepwatch.agents.clients import close_client, open_reader
from stepwatch.agents.settings import Settings
from stepwatch.schemas.keys import partition_of
from stepwatch.streams.logtime import LogTime
from stepwatch.streams.routing import MOVES
from stepwatch.streams.state import Writes, save_position
from tests.cli.console import run
from tests.faults.verifier import verify
from tests.live.harness import produce, until
from tests.live.road import POLICY, Role, Town, new_road, now_us, play, replayed, until_judged
from tests.shell.output_roles import Sent, send

pytestmark = pytest.mark.live
HERE, THERE = "user-3", "user-0"
"""Subjects of partition 0 and of partition 1, of tenant `default`."""


def action(id: str, subject: str = HERE) -> bytes:
    data = {"action": "docs.file.read"}
    event = {"id": id, "source": "/app", "type": "stepwatch.action.performed", "time": "2026-11-24T09:15:00Z"}
    return json.dumps({**event, "subject": subject, "data": data}).encode()


def row(settings: Settings, offset: int, revision: int = 1) -> Sent:
    said = {"kafka_topic": settings.topics.actions, "kafka_partition": 0, "kafka_offset": offset, "revision": revision}
    return (settings.topics.audit, 0, b"default/x", json.dumps(said).encode(), [])


def letter(settings: Settings, offset: int, error: str = "json: no UTF-8") -> Sent:
    said = {"error": error, "field": "json", "topic": settings.topics.actions, "partition": "0", "offset": str(offset)}
    headers = [(name, value.encode()) for name, value in said.items()]
    return (settings.topics.dead_letters, 0, b"default/x", b"{", headers)


def position(settings: Settings, offset: int, **counts: int) -> Sent:
    """What a worker leaves in the state when it has read so far, and became so many of each."""
    writes: Writes = {}
    save_position(writes, settings.topics.actions, LogTime(offset, 0, 0, counts))
    ((key, value),) = writes.items()
    return (settings.topics.state, 0, key, value, [])


async def of_actions(settings: Settings) -> Account:
    """The account of partition 0 of the actions."""
    return next(
        one for one in await account(settings) if (one.tally.topic, one.tally.partition) == (settings.topics.actions, 0)
    )


async def until_end(settings: Settings, topic: str, end: int) -> None:
    """Wait for the mark of a transaction, which the broker writes a little later."""
    reader = await open_reader(settings, [tp := TopicPartition(topic, 0)])

    async def there() -> bool:
        ends: dict[Any, int] = await reader.end_offsets([tp])
        return ends[tp] == end

    try:
        await until(there, 30, f"the end {end}")
    finally:
        await close_client(reader)


def counts(one: Account) -> dict[str, int]:
    return {what: count for what, count in one.tally.counts.items() if count}


@pytest.fixture
def road(kafka: str, tmp_path: Path) -> Settings:
    """Topics with a policy set, and no worker."""
    settings = asyncio.run(new_road(kafka, tmp_path))

    async def publish() -> None:
        from stepwatch.agents.policies import policy_paths
        from stepwatch.agents.policy_publishing import publish_policies

        assert settings.policies_dir is not None
        await publish_policies(settings, policy_paths(settings.policies_dir))

    asyncio.run(publish())
    assert [partition_of(f"default/{subject}".encode(), 2) for subject in (HERE, THERE)] == [0, 1]
    return settings


def test_each_kind_of_difference_is_found_and_named_with_its_coordinates(road: Settings) -> None:
    topics = road.topics
    asyncio.run(
        produce(
            road,
            topics.actions,
            0,
            [
                (b"default/x", action("told")),
                (b"default/x", action("told by nobody")),
                (b"default/x", action("told twice")),
                (b"default/x", action("told")),
                (b"default/x", action("moved", THERE)),
                (b"default/x", action("moved and lost", THERE)),
                (b"default/x", b"{"),
                (b"default/x", action("judged, then let go of")),
                (b"default/x", b'{"id":"b","source":"/s","type":"stepwatch.heartbeat","time":"2026-11-24T09:15:00Z"}'),
                (b"default/x", b'{"id":"n","source":"/s","type":"stepwatch.of.the.future"}'),
            ],
        )
    )
    # An aborted transaction leaves offsets at which no record is: 10, and its mark at 11.
    send(road, [(topics.actions, 0, b"x", action("aborted"), [])], commit=False)
    asyncio.run(until_end(road, topics.actions, 12))
    asyncio.run(produce(road, topics.actions, 0, [(b"x", action("the last"))]))
    send(road, [(topics.actions, 1, b"x", action("moved", THERE), [(MOVES, b"1")])])
    send(
        road,
        [
            *(row(road, offset) for offset in (0, 2, 2, 7, 10, 12)),
            row(road, 0, revision=2),
            letter(road, 6),
            letter(road, 7, "bug"),
            position(road, 13, audit=4, duplicate=1, moved=2, dead_letter=2, heartbeat=1, skipped=2),
        ],
    )
    one = asyncio.run(of_actions(road))
    log = f"{topics.actions}-0"
    assert one.tally.records == 11
    assert counts(one) == {"audit": 3, "dead_letter": 2, "duplicate": 1, "heartbeat": 1, "moved": 2, "skipped": 1}
    assert one.difference == 4
    assert one.problems == [
        f"{log}: 1 read, and no output tells what became of them: {log}@1",
        f"{log}: 1 told of by more than one row: {log}@2",
        f"{log}: 1 told of by a row, but no such record is there: {log}@10",
        f"{log}: 1 moved away, and not to be found where they belong: {log}@5",
        f"{log}: the account in the state says otherwise: audit 4 (found 3), skipped 2 (found 1)",
    ]


def test_what_was_not_read_yet_is_no_difference(road: Settings) -> None:
    asyncio.run(produce(road, road.topics.actions, 0, [(b"x", action("read")), (b"x", action("not yet"))]))
    send(road, [row(road, 0), row(road, 1), position(road, 1, audit=1)])
    one = asyncio.run(of_actions(road))
    assert (one.tally.records, counts(one), one.problems) == (1, {"audit": 1}, [])


def test_a_log_that_ends_before_the_position_is_said(road: Settings) -> None:
    asyncio.run(produce(road, road.topics.actions, 0, [(b"x", action("read"))]))
    send(road, [row(road, 0), position(road, 5, audit=5)])
    assert "read up to 5, but the log ends at 1" in asyncio.run(of_actions(road)).problems[0]


def test_what_retention_deleted_cannot_be_checked_and_is_said(road: Settings) -> None:
    topics = road.topics

    async def cut(topic: str, below: int) -> None:
        admin = AIOKafkaAdminClient(**road.kafka_client_options())
        await admin.start()
        try:
            await admin.delete_records({TopicPartition(topic, 0): _records_to_delete(below)})
        finally:
            await admin.close()

    events = [(b"x", action(id)) for id in ("gone", "left, its row gone", "left", "gone")]
    asyncio.run(produce(road, topics.actions, 0, events))
    send(road, [*(row(road, offset) for offset in range(3)), position(road, 4, audit=3, duplicate=1)])
    assert asyncio.run(of_actions(road)).problems == []
    asyncio.run(cut(topics.actions, 1))
    one = asyncio.run(of_actions(road))
    # Record 3 is a copy of one that is gone: nothing says so any more.
    assert (counts(one), one.problems) == ({"audit": 2, "unchecked": 1}, [])
    assert any("deleted what lay before 1" in words for words in one.notes)
    asyncio.run(cut(topics.audit, 2))
    one = asyncio.run(of_actions(road))
    assert (counts(one), one.problems) == ({"audit": 1, "unchecked": 2}, [])
    assert any(f"{topics.audit}-0: retention has deleted what lay before 2" in words for words in one.notes)


def _records_to_delete(below: int) -> Any:
    from aiokafka.admin import RecordsToDelete

    return RecordsToDelete(before_offset=below)


def test_the_account_beside_running_workers_is_exact_at_every_moment(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await new_road(kafka, tmp_path, session_timeout_ms=10_000)
        workers = [Role(settings, tmp_path / f"worker-{n}", "correlate") for n in range(2)]
        town = Town(3, now_us())
        totals: set[int] = set()

        async def look() -> None:
            accounts = await account(settings)
            assert [one.problems for one in accounts if one.problems] == []
            totals.add(sum(one.tally.records for one in accounts))

        async def load() -> None:
            await play(settings, town, 200)
            await misplace(settings, town, 20)

        rounds = 0
        while len(totals) < 6:
            rounds += 1
            assert rounds < 100, totals
            workers[:] = [revived(settings, one) for one in workers]
            await asyncio.gather(look(), load())
        await until_judged(settings)
        await look()

        report = await verify(settings)
        for worker in workers:
            assert worker.stop() == 0
        found: Counter[str] = Counter()
        for one in await account(settings):
            found.update(counts(one))
            assert one.problems == []
        assert found == report.classes
        assert found["moved"] >= rounds * 20
        assert found["duplicate"] > 0

    asyncio.run(story())


def revived(settings: Settings, worker: Role) -> Role:
    """The worker, started again where it was fenced while the partitions were shared out: a supervisor would do so."""
    if worker.process.poll() is None:
        return worker
    assert "another worker took it over" in worker.said
    return Role(settings, worker.log, "correlate")


async def misplace(settings: Settings, town: Town, count: int) -> None:
    """Send actions, each of a subject of its own, to a partition where they do not belong."""
    async with AIOKafkaProducer(**settings.kafka_client_options()) as producer:
        for _ in range(count):
            subject = f"guest-{town.count}"
            body = town._event(
                "stepwatch.action.performed", subject, "/app", {"action": "payments.payout.approve", "session": "s"}
            )
            key = f"acme/{subject}".encode()
            away = (partition_of(key, settings.partitions) + 1) % settings.partitions
            await producer.send_and_wait(settings.topics.actions, body, key, away)


def test_an_action_whose_grace_has_not_ended_waits_and_is_counted_as_audit_by_the_worker(
    kafka: str, tmp_path: Path
) -> None:
    async def begin() -> tuple[Settings, Role]:
        settings = await new_road(kafka, tmp_path)
        assert settings.policies_dir is not None
        (settings.policies_dir / "none.yaml").write_text(POLICY.replace("grace: 1s", "grace: 30m"))
        worker = Role(settings, tmp_path / "worker", "correlate")
        town = Town(5, now_us())
        await misplace(settings, town, 7)

        async def read() -> bool:
            assert worker.process.poll() is None, worker.said
            found: Counter[str] = Counter()
            for one in await account(settings):
                assert one.problems == []
                found.update(counts(one))
            return (found["moved"], found["waiting"]) == (7, 7)

        await until(read, 60, "seven actions that wait")
        assert [entry for entry in await replayed(settings) if entry["kind"] == "verdict"]
        return settings, worker

    settings, worker = asyncio.run(begin())
    env = {"STEPWATCH_PREFIX": settings.prefix, "STEPWATCH_KAFKA_BOOTSTRAP": settings.kafka_bootstrap}
    said = run(tmp_path, "doctor", "--account", **env)
    assert said.status == 0, said.err
    header, *lines = said.out.splitlines()
    assert "records in  audit  evidence  heartbeats  dead letters  duplicates  skipped  moved  responses" in header
    assert header.endswith("waiting  unchecked  difference")
    assert len(lines) == 2 * 3 + 1
    rows = run(tmp_path, "doctor", "--account", "--json", **env).rows
    assert sum(one["waiting"] for one in rows) == 7
    assert sum(one["state"].get("audit", 0) for one in rows) == 7
    assert worker.stop() == 0
