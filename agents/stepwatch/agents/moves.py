"""Records in a wrong partition, appended to the right one before their own batch is committed (contract section 2)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stepwatch.agents.clients import in_words
from stepwatch.agents.settings import Settings
from stepwatch.streams.effects import Move

SendMoves = Callable[[Sequence[Move]], Awaitable[None]]
"""Returns once Kafka has acknowledged every move."""


async def send_moves(settings: Settings, producer: AIOKafkaProducer, moves: Sequence[Move]) -> None:
    """Append the records and wait for all of them.

    Outside of any transaction: a crash before the batch is committed moves them once more, and a copy changes
    nothing; a move inside the transaction would leave control records in the inputs.

    Args:
        settings: for the words of an error.
        producer: idempotent.
        moves: of one batch.

    Raises:
        RoleError: Kafka did not take one of them; the batch must not be committed.
    """
    try:
        sent: list[Any] = [
            await producer.send(
                move.topic, move.value, key=move.key, partition=move.partition, headers=list(move.headers)
            )
            for move in moves
        ]
        await asyncio.gather(*sent)
    except KafkaError as error:
        raise in_words(settings, error, "Write") from error
