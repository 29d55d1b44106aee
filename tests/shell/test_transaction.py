"""One transaction for all effects of a batch, on a real broker."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from stepwatch.agents.errors import TransactionFailed
from stepwatch.agents.settings import Settings
from stepwatch.agents.transaction import Transaction
from stepwatch.schemas.topics import ROW_BYTES_MAX
from stepwatch.streams.effects import DeadLetter, Effects
from stepwatch.streams.limits import PRODUCE_BYTES_MAX
from tests.live.harness import new_settings, read, with_topics

pytestmark = pytest.mark.live


async def opened(kafka: str, tmp_path: Path) -> tuple[Settings, Transaction]:
    settings = await with_topics(new_settings(kafka, tmp_path))
    transaction = Transaction(settings, 1)
    await transaction.open()
    return settings, transaction


def test_every_effect_of_a_batch_lands_in_its_topic_and_in_the_partition_of_the_task(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings, transaction = await opened(kafka, tmp_path)
        effects = Effects()
        effects.audit = [(b"default/alice", b'{"row":1}'), (b"default/bob", b'{"row":2}')]
        effects.evidence = [(b"default/alice", b'{"evidence":1}')]
        effects.alerts = [(b"default/al_1", b'{"version":1}'), (b"default/al_2", None)]
        effects.dead_letters = [DeadLetter(None, b"\xff\x00", [("error", b"json"), ("offset", b"7")])]
        effects.state = [(b"\0position|x", b"8"), (b"fact", None)]
        await transaction.commit(effects)
        topics = settings.topics
        for topic, want in (
            (topics.audit, effects.audit),
            (topics.evidence, effects.evidence),
            (topics.alerts, effects.alerts),
            (topics.state, effects.state),
        ):
            records = await read(settings, topic)
            assert [(r.partition, r.key, r.value) for r in records] == [(1, k, v) for k, v in want]
        [letter] = await read(settings, topics.dead_letters)
        assert (letter.partition, letter.key, letter.value) == (1, None, b"\xff\x00")
        assert letter.headers == (("error", b"json"), ("offset", b"7"))
        await transaction.close()

    asyncio.run(story())


def test_effects_that_fill_many_batches_are_all_there_in_their_order(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings, transaction = await opened(kafka, tmp_path)
        effects = Effects()
        row = b"x" * 1000
        effects.audit = [(b"%d" % n, row) for n in range(3 * PRODUCE_BYTES_MAX // 1000)]
        await transaction.commit(effects)
        records = await read(settings, settings.topics.audit)
        assert [r.key for r in records] == [key for key, _ in effects.audit]
        await transaction.close()

    asyncio.run(story())


def test_a_dead_letter_larger_than_a_batch_goes_through_between_others(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings, transaction = await opened(kafka, tmp_path)
        effects = Effects()
        large = os.urandom(1_048_000)
        bodies = [b"small", large, b"also small", large]
        effects.dead_letters = [DeadLetter(b"k", body, [("error", b"size")]) for body in bodies]
        await transaction.commit(effects)
        assert [r.value for r in await read(settings, settings.topics.dead_letters)] == bodies
        await transaction.close()

    asyncio.run(story())


def test_a_record_that_the_broker_refuses_fails_the_whole_batch_and_not_in_silence(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings, transaction = await opened(kafka, tmp_path)
        effects = Effects()
        effects.audit = [(b"default/alice", b'{"row":1}')]
        effects.state = [(b"fact", os.urandom(ROW_BYTES_MAX + 1))]
        with pytest.raises(TransactionFailed, match="MessageSizeTooLarge"):
            await transaction.commit(effects)
        await transaction.close()
        successor = Transaction(settings, 1)
        await successor.open()
        assert await read(settings, settings.topics.audit) == []
        await successor.close()

    asyncio.run(story())
