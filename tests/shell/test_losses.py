"""What is gone at a take-over is found on a real broker, and refused until somebody accepts it (contract section 8)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from stepwatch.agents.errors import TakeoverRefused
from stepwatch.agents.losses import WHOLE_KEY
from stepwatch.agents.reading import read_one
from stepwatch.agents.settings import Settings
from stepwatch.agents.takeover import Owned, take_over
from stepwatch.streams.effects import DeadLetter, Effects
from stepwatch.streams.state import POSITION
from tests.live.harness import produce, read
from tests.live.standin import StandIn
from tests.shell.partitions import (
    RECORDS,
    alter,
    delete_before,
    own,
    process,
    recreate,
    settings_with_records,
    settings_with_records_read,
)

pytestmark = pytest.mark.live
LATER = b"[5,9000000000000000]"
"""A position of the stand-in: 5, read at a log time far ahead."""


async def refused(settings: Settings) -> str:
    with pytest.raises(TakeoverRefused) as error:
        await own(settings)
    return str(error.value)


def accepting(settings: Settings, words: str) -> Settings:
    """The settings with the decision that a refusal named."""
    return settings.model_copy(update={"accept_loss": words.partition("STEPWATCH_ACCEPT_LOSS=")[2].strip("'")})


async def counts(owned: Owned) -> dict[bytes, list[int]]:
    """What the stand-in knows; the partition is given back."""
    assert isinstance(owned.correlator, StandIn)
    await owned.transaction.close()
    return owned.correlator.counts


async def whole_records(settings: Settings) -> list[bytes]:
    return [r.value for r in await read(settings, settings.topics.state) if r.key == WHOLE_KEY and r.value]


def row(topic: str, offset: int, partition: int = 0) -> tuple[bytes, bytes]:
    place = {"kafka_topic": topic, "kafka_partition": partition, "kafka_offset": offset}
    return b"default/alice", json.dumps(place).encode()


def test_a_state_says_that_it_is_whole_once_for_all_its_owners(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        for _ in range(3):
            await counts(await own(settings))
        assert await whole_records(settings) == [b"{}"]

    asyncio.run(story())


def test_a_state_that_lost_its_begin_is_refused_and_begun_anew_where_somebody_accepts_it(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        topic = settings.topics.actions
        first = await own(settings)
        await process(settings, first, topic)
        before = await counts(first)
        whole = next(r for r in await read(settings, settings.topics.state) if r.key == WHOLE_KEY)
        # Of a compacted topic Kafka deletes nothing on demand, before somebody makes it another kind of topic.
        await alter(settings, settings.topics.state, {"cleanup.policy": "delete"})
        await delete_before(settings, settings.topics.state, whole.offset + 1)
        words = await refused(settings)
        assert f"{settings.topics.state}-0 has lost its begin" in words
        assert words.endswith(f"STEPWATCH_ACCEPT_LOSS={settings.topics.state}-0@0")
        accepted = await own(accepting(settings, words))
        assert accepted.starts[topic] == 0
        assert await counts(accepted) == {}
        again = await own(settings)
        assert await counts(again) == {}
        await process(settings, again := await own(settings), topic)
        assert await counts(again) == before

    asyncio.run(story())


def test_a_state_that_was_recreated_under_a_running_worker_is_refused(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        running = await own(settings)
        await process(settings, running, settings.topics.actions)
        await recreate(settings, settings.topics.state)
        # Kafka takes what the producer goes on to write, so there is a state, with a position at its end.
        await produce(settings, settings.topics.actions, 0, RECORDS)
        await process(settings, running, settings.topics.actions)
        await running.transaction.close()
        assert POSITION + settings.topics.actions.encode() in {
            record.key for record in await read(settings, settings.topics.state)
        }
        assert f"{settings.topics.state}-0 has lost its begin" in await refused(settings)

    asyncio.run(story())


@pytest.mark.parametrize("output", ["audit", "evidence", "dead_letters"])
def test_a_state_that_is_gone_is_refused_though_the_groups_offsets_are_too_where_an_output_names_a_record(
    kafka: str, tmp_path: Path, output: str
) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        topic = settings.topics.actions
        first = await own(settings)
        effects = Effects()
        if output == "dead_letters":
            where = {"topic": topic, "partition": "0", "offset": "6"}
            headers = [(name, value.encode()) for name, value in where.items()]
            effects.dead_letters.append(DeadLetter(None, b"{", headers))
        else:
            getattr(effects, output).append(row(topic, 6))
        await first.transaction.commit(effects)
        await counts(first)
        await recreate(settings, settings.topics.state)
        # What nobody committed must not hide it.
        for _ in range(3):
            words = await refused(settings)
        assert f"holds nothing, but this group had read {topic}-0 up to 7" in words
        await counts(await own(accepting(settings, words)))
        assert (await own(settings)).starts[topic] == 0

    asyncio.run(story())


def test_a_state_that_lost_its_end_is_refused_since_the_outputs_name_what_it_has_not_read(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        topic, other = settings.topics.actions, settings.topics.authentications
        first = await own(settings)
        effects = Effects()
        effects.state = [(POSITION + topic.encode(), LATER)]
        effects.audit = [row(topic, 8), row(topic, 4), row("somebody.elses", 70), row(topic, 90, partition=1)]
        effects.evidence = [row(other, 3)]
        await first.transaction.commit(effects)
        await counts(first)
        words = await refused(settings)
        assert f"the outputs name {topic}-0@8, but the state was read up to 5 only" in words
        assert words.endswith(f"STEPWATCH_ACCEPT_LOSS='{topic}-0@5 {other}-0@0'")
        accepted = await own(accepting(settings, words))
        assert (accepted.starts[topic], accepted.starts[other]) == (5, 0)
        await counts(accepted)
        # It was decided, and need not be again while those records are read.
        await counts(await own(settings))
        assert json.loads((await whole_records(settings))[-1]) == {"told": {topic: 9, other: 4}}

    asyncio.run(story())


def test_outputs_that_name_the_last_record_that_was_read_are_right(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        topic = settings.topics.actions
        first = await own(settings)
        effects = Effects()
        effects.state = [(POSITION + topic.encode(), LATER)]
        effects.audit = [row(topic, 4)]
        await first.transaction.commit(effects)
        await counts(first)
        assert (await own(settings)).starts[topic] == 5

    asyncio.run(story())


def test_an_input_that_was_recreated_and_has_grown_past_the_position_is_refused(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records_read(kafka, tmp_path)
        topic = settings.topics.actions
        await recreate(settings, topic)
        await produce(settings, topic, 0, RECORDS * 2)
        words = await refused(settings)
        assert f"{topic}-0: record 9 was read, but one of a later time lies there now" in words
        assert words.endswith(f"STEPWATCH_ACCEPT_LOSS={topic}-0@0")
        await counts(await own(accepting(settings, words)))
        # It was decided, though nothing was read since.
        assert (await own(settings)).starts[topic] == 0

    asyncio.run(story())


def test_records_that_retention_deleted_are_decided_on_once(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records_read(kafka, tmp_path)
        topic = settings.topics.actions
        await produce(settings, topic, 0, RECORDS)
        await delete_before(settings, topic, 13)
        await counts(await own(accepting(settings, await refused(settings))))
        again = await own(settings)
        assert again.starts[topic] == 13
        await counts(again)
        await delete_before(settings, topic, 15)
        assert (await refused(settings)).endswith(f"STEPWATCH_ACCEPT_LOSS={topic}-0@15")

    asyncio.run(story())


def test_a_state_of_the_first_version_had_no_such_record_and_is_whole(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        first = await own(settings)
        effects = Effects()
        effects.state = [(WHOLE_KEY, None), (b"old", b"\x01something")]
        await first.transaction.commit(effects)
        await first.transaction.close()
        # The stand-in could not read it, and need not here.
        await take_over(settings, 0, lambda number, restored: StandIn(number, settings.topics, ()))
        assert await whole_records(settings) == [b"{}", b"{}"]

    asyncio.run(story())


def test_a_record_that_is_gone_is_none_and_not_the_next_one(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await settings_with_records(kafka, tmp_path)
        actions = TopicPartition(settings.topics.actions, 0)
        await delete_before(settings, actions.topic, 4)
        found = [await read_one(settings, actions, offset) for offset in (3, 4, 9, 10)]
        assert [record and record.offset for record in found] == [None, 4, 9, None]

    asyncio.run(story())
