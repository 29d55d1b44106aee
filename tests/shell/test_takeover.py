"""Taking over a partition on a real broker: fence, sweep, restore, and when to refuse (DESIGN section 7)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from stepwatch.agents.errors import TakeoverRefused, TransactionFailed
from stepwatch.agents.losses import WHOLE_KEY
from stepwatch.agents.settings import Settings
from stepwatch.agents.transaction import Transaction
from stepwatch.schemas.topics import Topics
from stepwatch.streams.effects import Effects
from tests.live.harness import produce, read
from tests.live.standin import StandIn
from tests.shell.partitions import (
    RECORDS,
    delete_before,
    own,
    process,
    recreate,
    settings_with_records,
    settings_with_records_read,
)

pytestmark = pytest.mark.live


def test_the_first_owner_begins_at_the_begin_of_every_input(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        owned = await own(settings)
        assert dict(owned.starts) == dict.fromkeys(settings.topics.inputs, 0)
        await owned.transaction.close()

    asyncio.run(story())


def test_the_next_owner_goes_on_where_the_last_commit_ended_with_its_state(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        first = await own(settings)
        await process(settings, first, settings.topics.actions)
        await first.transaction.close()
        second = await own(settings)
        assert second.starts[settings.topics.actions] == 10
        assert second.starts[settings.topics.authentications] == 0
        assert isinstance(second.correlator, StandIn)
        assert isinstance(first.correlator, StandIn)
        assert second.correlator.counts == first.correlator.counts
        await second.transaction.close()

    asyncio.run(story())


def test_the_former_owner_is_refused_by_the_broker_and_nothing_of_it_becomes_visible(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        zombie = await own(settings)
        owner = await own(settings)
        with pytest.raises(TransactionFailed, match="another worker took it over"):
            await process(settings, zombie, settings.topics.actions)
        assert await read(settings, settings.topics.audit) == []
        await process(settings, owner, settings.topics.actions)
        assert len(await read(settings, settings.topics.audit)) == 10
        await zombie.transaction.close()
        await owner.transaction.close()

    asyncio.run(story())


def test_the_sweep_leaves_no_open_transaction_and_no_record_that_anybody_sees(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        hanging = Transaction(settings, 0)
        await hanging.open()
        producer = hanging.producer
        assert producer is not None
        await producer.begin_transaction()
        await producer.send_and_wait(settings.topics.audit, b"half done", partition=0)
        assert await last_stable(settings, settings.topics.audit) == 0
        owned = await own(settings)
        for topic in owned.transaction.outputs:
            assert await last_stable(settings, topic) == await last_stable(settings, topic, "read_uncommitted")
            assert [r for r in await read(settings, topic) if r.key != WHOLE_KEY] == []
            assert len(await read(settings, topic, isolation="read_uncommitted")) >= 1
        await owned.transaction.close()
        await hanging.close()

    asyncio.run(story())


async def last_stable(settings: Settings, topic: str, isolation: str = "read_committed") -> int:
    tp = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(**settings.kafka_client_options(), isolation_level=isolation) as consumer:
        end: int = (await consumer.end_offsets([tp]))[tp]
        return end


def test_records_that_retention_deleted_before_they_were_read_are_refused_until_somebody_accepts_it(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await settings_with_records_read(kafka, tmp_path)
        topic = settings.topics.actions
        await produce(settings, topic, 0, RECORDS)
        await delete_before(settings, topic, 13)
        with pytest.raises(TakeoverRefused) as refused:
            await own(settings)
        assert "the next record to read is 10, but the log begins at 13" in str(refused.value)
        assert f"STEPWATCH_ACCEPT_LOSS={topic}-0@13" in str(refused.value)
        accepted = await own(settings.model_copy(update={"accept_loss": f"{topic}-0@13"}))
        assert accepted.starts[topic] == 13
        await accepted.transaction.close()

    asyncio.run(story())


def test_an_input_that_was_recreated_is_refused_until_somebody_accepts_it(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records_read(kafka, tmp_path)
        topic = settings.topics.actions
        await recreate(settings, topic)
        await produce(settings, topic, 0, RECORDS[:4])
        with pytest.raises(TakeoverRefused, match="the next record to read is 10, but the log ends at 4"):
            await own(settings)
        accepted = await own(settings.model_copy(update={"accept_loss": f"{topic}-0@0"}))
        assert accepted.starts[topic] == 0
        await process(settings, accepted, topic)
        assert len(await read(settings, settings.topics.audit)) == 14
        await accepted.transaction.close()

    asyncio.run(story())


def test_a_state_that_is_gone_is_refused_when_the_groups_offsets_say_that_records_were_read(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        topic = settings.topics.actions
        tp = TopicPartition(topic, 0)
        async with AIOKafkaConsumer(
            **settings.kafka_client_options(), group_id=settings.group("correlate"), enable_auto_commit=False
        ) as consumer:
            consumer.assign([tp])
            await consumer.commit({tp: 7})
        with pytest.raises(TakeoverRefused) as refused:
            await own(settings)
        assert f"{settings.topics.state}-0 holds nothing" in str(refused.value)
        assert f"{topic}-0 up to 7" in str(refused.value)
        accepted = await own(settings.model_copy(update={"accept_loss": f"{settings.topics.state}-0@0"}))
        assert accepted.starts[topic] == 0
        await accepted.transaction.close()

    asyncio.run(story())


def test_a_deleted_key_is_not_restored_and_of_the_others_the_last_value(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        first = await own(settings)
        effects = Effects()
        effects.state = [(b"0|a", b"[1,1]"), (b"0|b", b"[1,2]"), (b"0|a", b"[2,3]"), (b"0|b", None)]
        await first.transaction.commit(effects)
        await first.transaction.close()
        second = await own(settings)
        assert isinstance(second.correlator, StandIn)
        assert second.correlator.counts == {b"0|a": [2, 3]}
        await second.transaction.close()

    asyncio.run(story())


def test_partitions_are_taken_over_apart_from_each_other(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        zero, one = await asyncio.gather(own(settings, 0), own(settings, 1))
        await process(settings, zero, settings.topics.actions)
        assert zero.transaction.id != one.transaction.id
        assert Topics(settings.prefix) == settings.topics
        await asyncio.gather(zero.transaction.close(), one.transaction.close())

    asyncio.run(story())
