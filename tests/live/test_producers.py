"""However a producer packs its records, each is judged once, and what it aborted never."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from stepwatch.agents.settings import Settings
from stepwatch.schemas.times import format_time
from stepwatch.streams.native import is_built
from tests.live.harness import read, until
from tests.live.road import Role, new_road, now_us

pytestmark = pytest.mark.live
CODECS = (None, "gzip", "snappy", "lz4", "zstd")


def an_action(event_id: str) -> bytes:
    data = {"session": "s", "action": "docs.file.read"}
    event = {"id": event_id, "source": "/app", "type": "stepwatch.action.performed", "subject": "user-1", "data": data}
    return json.dumps({**event, "time": format_time(now_us())}).encode()


async def pack(settings: Settings, codec: str | None) -> None:
    """Twenty actions in one batch, then five in a transaction that is aborted, five in one that is committed."""
    name = codec or "plain"
    producer = AIOKafkaProducer(
        **settings.kafka_client_options(), compression_type=codec, transactional_id=f"{settings.prefix}{name}"
    )
    async with producer:
        for kind, count in (("kept", 20), ("aborted", 5), ("late", 5)):
            await producer.begin_transaction()
            for number in range(count):
                key, body = b"default/user-1", an_action(f"{name}-{kind}-{number}")
                await producer.send(settings.topics.actions, body, key=key, partition=0)
            await (producer.abort_transaction() if kind == "aborted" else producer.commit_transaction())


@pytest.mark.parametrize("native", [True, False], ids=["native", "python"])
def test_every_compression_and_a_producers_transactions_are_read(kafka: str, tmp_path: Path, native: bool) -> None:
    if native and not is_built:
        pytest.skip("the native core is not built: cargo was missing when Stepwatch was installed")

    async def story() -> None:
        # One partition: the subject belongs to it, whatever its name.
        settings = await new_road(kafka, tmp_path, partitions=1, native=native)
        for codec in CODECS:
            await pack(settings, codec)
        worker = Role(settings, tmp_path / "log", "correlate")

        async def judged() -> list[str]:
            rows = [json.loads(record.value) for record in await read(settings, settings.topics.audit)]
            return [row["action_id"] for row in rows]

        async def all_judged() -> bool:
            assert worker.process.poll() is None, worker.said
            return len(await judged()) >= 25 * len(CODECS)

        await until(all_judged, 30, "every verdict")
        assert worker.stop() == 0, worker.said
        kept = [
            f"{codec or 'plain'}-{kind}-{n}"
            for codec in CODECS
            for kind, count in (("kept", 20), ("late", 5))
            for n in range(count)
        ]
        assert sorted(await judged()) == sorted(kept)
        assert await read(settings, settings.topics.dead_letters) == []

    asyncio.run(story())
