"""Writing pulses into Kafka. Where it does not take one, verdicts only come later; so nothing ends because of that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import Counter

from stepwatch.agents import metrics
from stepwatch.agents.clients import close_client, in_words, open_producer
from stepwatch.agents.logs import get_logger
from stepwatch.agents.pulse import Pulse
from stepwatch.agents.settings import Settings

log = get_logger(__name__)

REFUSED = Counter("stepwatch_pulses_refused", "Pulses that Kafka did not take.", ["topic"])
_PATIENCE_S = 1.0
_TELL_AGAIN_S = 60.0


class PulseWriter:
    """Writes the pulses that are wanted, each on its own: a partition without a leader holds up no other.

    It has a producer of its own. A record that Kafka refuses leaves a gap in the sequence numbers of an idempotent
    producer, which is refused from then on whatever it writes to that partition, moves too; and a pulse needs no such
    care, since a second copy says the same.
    """

    def __init__(self, settings: Settings) -> None:
        """A writer that is not open yet."""
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._flying: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._told_at = float("-inf")

    async def open(self) -> None:
        """Start the producer.

        Raises:
            KafkaAway, KafkaRefused: no answer, or no permission.
        """
        self._producer = await open_producer(self._settings, enable_idempotence=False)

    async def close(self) -> None:
        """Drop what is not written yet, and stop the producer."""
        for flying in self._flying.values():
            flying.cancel()
        if self._producer is not None:
            await close_client(self._producer)

    async def write(self, pulses: Iterable[Pulse]) -> None:
        """Write what is wanted, and wait for it, but not for long."""
        for pulse in pulses:
            for topic in pulse.wanted():
                where = (topic, pulse.partition)
                if where not in self._flying:
                    self._flying[where] = asyncio.create_task(self._send(topic, pulse), name=f"pulse of {where}")
        if self._flying:
            await asyncio.wait(self._flying.values(), timeout=_PATIENCE_S)
        for where in [where for where, flying in self._flying.items() if flying.done()]:
            self._flying.pop(where).result()

    async def _send(self, topic: str, pulse: Pulse) -> None:
        assert self._producer is not None, "open() comes first"
        try:
            sent = await self._producer.send_and_wait(topic, pulse.value(), partition=pulse.partition)
        except KafkaError as error:
            pulse.refused(topic)
            REFUSED.labels(topic).inc()
            self._tell(topic, pulse.partition, error)
            return
        pulse.written(topic, sent.offset)
        metrics.PULSES.labels(topic).inc()

    def _tell(self, topic: str, partition: int, error: KafkaError) -> None:
        now = time.monotonic()
        if now - self._told_at < _TELL_AGAIN_S:
            return
        self._told_at = now
        log.warning(
            f"{topic}-{partition}: Kafka does not take a pulse ({in_words(self._settings, error, 'Write')}): nothing "
            "is lost, but what waits in a quiet partition is said only when its next record comes; see that this user "
            f"may write to {topic}, that its max.message.bytes is not below 1 kB, and that its leader is well",
            code="pulse_refused",
        )
