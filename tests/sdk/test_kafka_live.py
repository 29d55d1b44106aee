"""Events reported by an application, through a real broker and a real worker, to verdicts."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stepwatch.agents.settings import Settings
from stepwatch.schemas import events as ev
from stepwatch.schemas.keys import partition_of
from stepwatch.sdk import KafkaReporter, Source, sending
from stepwatch.streams.decode import Fault, decode
from tests.live.harness import environment, new_settings, read, until, with_topics
from tests.live.road import Role, audited, new_road, verdicts_of
from tests.sdk import prefork
from tests.servers import KafkaServer

pytestmark = pytest.mark.live
BANK, IDP = Source("/payments/api", tenant="acme"), Source("/idp", tenant="acme")


def new_reporter(settings: Settings, **changes: Any) -> KafkaReporter:
    return KafkaReporter(settings.kafka_bootstrap, prefix=settings.prefix, **changes)


async def a_place(kafka: str, tmp_path: Path) -> Settings:
    return await with_topics(new_settings(kafka, tmp_path, partitions=3))


async def arrived(settings: Settings) -> list[Any]:
    """The records of both inputs but heartbeats; each is an event to the worker."""
    records = await read(settings, settings.topics.actions) + await read(settings, settings.topics.authentications)
    decoded = [decode(record.value, record.timestamp * 1000) for record in records]
    assert [one for one in decoded if isinstance(one, Fault)] == []
    return [record for record in records if json.loads(record.value)["type"] != ev.HEARTBEAT]


def ids_of(records: Sequence[Any]) -> list[str]:
    return [json.loads(record.value)["id"] for record in records]


def test_what_an_application_reports_comes_out_of_the_worker_as_verdicts(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await new_road(kafka, tmp_path, partitions=3)
        worker = Role(settings, tmp_path / "log", "correlate")
        with new_reporter(settings, heartbeat=IDP, heartbeat_every_s=0.5) as reporter:
            for number in range(20):
                who = f"person-{number}"
                if number % 2:
                    reporter.report(
                        IDP.stepup_verified(subject=who, session="s", amr=["otp"], verification=f"v-{number}")
                    )
                reporter.report(BANK.action_performed("iam.role.grant", subject=who, session="s", id=f"a-{number}"))
            assert reporter.flush(30)
            expected = {
                f"a-{number}": ("verified", f"v-{number}") if number % 2 else ("unverified", "") for number in range(20)
            }

            async def judged() -> bool:
                assert worker.process.poll() is None, worker.said
                said = verdicts_of(await audited(settings))
                return {key[3]: (verdict[0], verdict[3]) for key, verdict in said.items()} == expected

            await until(judged, 60, "the verdicts")
        assert worker.stop() == 0, worker.said
        assert await read(settings, settings.topics.dead_letters) == []

    asyncio.run(story())


def test_a_record_has_its_key_its_partition_and_its_order_and_a_heartbeat_lies_behind_in_each(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await a_place(kafka, tmp_path)
        with new_reporter(settings, heartbeat=IDP, heartbeat_every_s=0.2) as reporter:
            for number in range(3000):
                event = IDP.stepup_denied(subject=f"user-{number % 40}", id=str(number))
                reporter.report(event)
            assert reporter.flush(30)
            beats = reporter.stats.heartbeats
            await until(lambda: asyncio.to_thread(lambda: reporter.stats.heartbeats > beats), 10, "a heartbeat")
        records = await arrived(settings)
        assert sorted(map(int, ids_of(records))) == list(range(3000))
        for record in records:
            assert record.key == f"acme/{json.loads(record.value)['subject']}".encode()
            assert record.partition == partition_of(record.key, 3)
        for partition in range(3):
            numbers = [int(i) for i in ids_of([r for r in records if r.partition == partition])]
            assert numbers == sorted(numbers)
        last = {record.partition: record for record in await read(settings, settings.topics.authentications)}
        assert {json.loads(record.value)["type"] for record in last.values()} == {ev.HEARTBEAT}
        assert len(last) == 3

    asyncio.run(story())


@pytest.mark.parametrize("stuck_s", [60.0, 0.5], ids=["with-one-producer", "with-a-new-one-each-time"])
def test_a_broker_that_dies_and_comes_back_loses_nothing_within_the_bounds(
    kafka_server: KafkaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stuck_s: float
) -> None:
    monkeypatch.setattr(sending, "_STUCK_S", stuck_s)

    async def story() -> None:
        settings = await a_place(kafka_server.bootstrap, tmp_path)
        reporter, slowest_s = new_reporter(settings), 0.0

        def report() -> None:
            nonlocal slowest_s
            for number in range(4000):
                event = BANK.action_performed("a.b", subject=f"user-{number % 40}", id=str(number))
                began = time.perf_counter()
                reporter.report(event)
                slowest_s = max(slowest_s, time.perf_counter() - began)
                time.sleep(0.001)

        reporting = threading.Thread(target=report)
        reporting.start()
        await asyncio.sleep(1)
        assert reporter.stats.sent > 0
        kafka_server.kill()
        await asyncio.sleep(2)
        assert reporter.stats.waiting > 0
        await asyncio.to_thread(kafka_server.start)
        reporting.join()
        assert await reporter.aflush(60), reporter.stats
        assert reporter._thread is not None
        tasks = [task.get_coro() for task in asyncio.all_tasks(reporter._thread._loop)]
        # Ours are four; one producer has as many of its own. Those that were given up leave none behind.
        assert len(tasks) <= 10, tasks
        assert await reporter.aclose()
        assert (reporter.stats.sent, reporter.stats.dropped) == (4000, {})
        assert slowest_s < 1
        firsts = list(dict.fromkeys(ids_of(await arrived(settings))))
        assert len(firsts) == 4000

    asyncio.run(story())


def test_a_broker_that_is_down_at_the_start_gets_what_was_held_back(kafka_server: KafkaServer, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await a_place(kafka_server.bootstrap, tmp_path)
        kafka_server.kill()
        try:
            reporter = new_reporter(settings)
            for number in range(500):
                reporter.report(BANK.action_performed("a.b", subject="alice", id=str(number)))
            await until(lambda: asyncio.to_thread(lambda: reporter.stats.away), 20, "that it is away")
        finally:
            await asyncio.to_thread(kafka_server.start)
        assert await reporter.aclose(60)
        assert ids_of(await arrived(settings)) == [str(number) for number in range(500)]

    asyncio.run(story())


def test_a_reporter_made_before_a_fork_reports_in_every_process_each_event_once(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await a_place(kafka, tmp_path)
        ended = subprocess.run(
            [sys.executable, "-m", "tests.sdk.prefork", kafka, settings.prefix],
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        who = ["before", "after", *(f"child-{number}" for number in range(prefork.WORKERS))]
        expected = [f"{one}-{number}" for one in who for number in range(prefork.EACH)]
        assert sorted(ids_of(await arrived(settings))) == sorted(expected)

    asyncio.run(story())


ENDS = """
import sys
from stepwatch.sdk import KafkaReporter, Source, sending
reporter = KafkaReporter(sys.argv[1], prefix=sys.argv[2], close_timeout_s=30)
reporter.report(Source("/cron").action_performed("a.b", subject="alice", id="the-only-one"))
"""


def test_a_program_that_ends_at_once_has_sent_its_event(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await a_place(kafka, tmp_path)
        # By name: while the interpreter ends no thread pool resolves it.
        at = kafka.replace("127.0.0.1", "localhost")
        ended = subprocess.run(
            [sys.executable, "-c", ENDS, at, settings.prefix], capture_output=True, text=True, timeout=60, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ids_of(await arrived(settings)) == ["the-only-one"]

    asyncio.run(story())


def test_an_event_that_the_broker_will_not_take_is_dropped_alone(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await a_place(kafka, tmp_path)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        resource = ConfigResource(ConfigResourceType.TOPIC, settings.topics.actions, {"max.message.bytes": "50000"})
        await admin.alter_configs([resource])
        await admin.close()
        # Until the broker goes by it.
        await asyncio.sleep(1)
        reporter = new_reporter(settings)
        for number in range(21):
            extra = {"text": "x" * (60_000 if number == 10 else 10)}
            reporter.report(BANK.action_performed("a.b", subject="alice", id=str(number), extra=extra))
        whole = await reporter.aclose(60)
        assert (reporter.stats.sent, reporter.stats.dropped, whole) == (20, {"refused": 1}, False)
        assert ids_of(await arrived(settings)) == [str(number) for number in range(21) if number != 10]

    asyncio.run(story())


def test_the_largest_event_of_the_contract_arrives(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await a_place(kafka, tmp_path)
        reporter = new_reporter(settings)
        room = 256 * 1024 - len(json.dumps(BANK.action_performed("a.b", subject="alice", extra={"text": ""})))
        for number in range(5):
            reporter.report(BANK.action_performed("a.b", subject="alice", id=str(number), extra={"text": "x" * room}))
        assert await reporter.aclose(60)
        assert ids_of(await arrived(settings)) == [str(number) for number in range(5)]

    asyncio.run(story())


def test_missing_topics_are_named(kafka: str) -> None:
    reporter = KafkaReporter(kafka, prefix="nowhere.", options={"request_timeout_ms": 1000})
    reporter.report(BANK.action_performed("a.b", subject="alice"))
    deadline = time.monotonic() + 20
    while not reporter.stats.away and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "has no topics nowhere.actions and nowhere.authentications" in reporter.stats.away
    assert not reporter.close(0)
