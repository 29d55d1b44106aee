"""A broker that lets the application write to one topic of two: the other's events go on, and nothing is silent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from stepwatch.embedded.folder import DataFolder
from stepwatch.sdk import KafkaReporter, Source, denials
from tests.live.harness import new_settings, read, until, with_topics
from tests.wire.listeners import Wire
from tests.wire.rights import Right, grant

pytestmark = pytest.mark.live
BANK = Source("/payments/api", tenant="acme")
WHO = "producer"


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder = DataFolder(tmp_path_factory.mktemp("wire"))
    with folder.lock():
        made = Wire(folder)
        made.server.start()
        try:
            yield made
        finally:
            made.server.kill()


def new_reporter(wire: Wire, prefix: str) -> KafkaReporter:
    options = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": WHO,
        "sasl_plain_password": wire.secrets.users[WHO],
    }
    return KafkaReporter(wire.at("SASL"), prefix=prefix, options=options)


@pytest.mark.parametrize("operation", [None, "Describe"], ids=["not-described", "described"])
def test_a_topic_that_is_denied_is_refused_after_its_time_and_the_other_goes_on_until_the_right_is_granted(
    operation: str | None, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denials, "FINAL_AFTER_S", 3.0)
    monkeypatch.setattr(denials, "ASK_AGAIN_S", 8.0)

    async def story() -> None:
        settings = await with_topics(new_settings(wire.at("PLAINTEXT"), tmp_path, partitions=3))
        topics = settings.topics
        admin = AIOKafkaAdminClient(bootstrap_servers=wire.at("PLAINTEXT"))
        await admin.start()
        await grant(admin, Right(f"User:{WHO}", "Write", "topic", topics.authentications))
        if operation is not None:
            await grant(admin, Right(f"User:{WHO}", operation, "topic", topics.actions))
        reporter = new_reporter(wire, settings.prefix)

        async def becomes(sent: int, refused: int) -> None:
            def is_so() -> bool:
                return (reporter.stats.sent, reporter.stats.dropped.get("refused", 0)) == (sent, refused)

            await until(lambda: asyncio.to_thread(is_so), 30, f"{sent} sent and {refused} refused: {reporter.stats}")

        def report(number: int) -> None:
            reporter.report(BANK.action_performed("a.b", subject="alice", id=f"a-{number}"))
            reporter.report(BANK.stepup_denied(subject="alice", id=f"s-{number}"))

        report(1)

        def denied() -> bool:
            # Both, until the broker knows of the rights that were just granted.
            away = reporter.stats.away
            return topics.actions in away and topics.authentications not in away

        await until(lambda: asyncio.to_thread(denied), 20, "that it is denied")
        await becomes(sent=1, refused=1)
        report(2)
        await becomes(sent=2, refused=2)
        await grant(admin, Right(f"User:{WHO}", "Write", "topic", topics.actions))
        await admin.close()
        await asyncio.sleep(8.5)
        report(3)
        await becomes(sent=4, refused=2)
        assert await reporter.aclose(20)
        assert await ids(settings, topics.actions) == {"a-3"}
        assert await ids(settings, topics.authentications) == {"s-1", "s-2", "s-3"}

    asyncio.run(story())


async def ids(settings: Any, topic: str) -> set[str]:
    return {json.loads(record.value)["id"] for record in await read(settings, topic)}
