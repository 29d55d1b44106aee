"""Policy sets: published to `stepwatch.policies`, read from there by every worker (contract section 4)."""

from __future__ import annotations

import asyncio
import getpass
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from stepwatch.agents import metrics
from stepwatch.agents.clients import close_client, in_words, open_producer, open_reader
from stepwatch.agents.errors import KafkaRefused, PoliciesRefused
from stepwatch.agents.health import Health
from stepwatch.agents.logs import FRAMEWORK, get_logger
from stepwatch.agents.settings import Settings
from stepwatch.schemas.policy import PolicyRecord, PolicyText
from stepwatch.streams.sets import PolicyRefused, PolicySets, load_files, set_digest, sets_from_records

log = get_logger(__name__)
STALE_S = 60.0
"""Workers pause where they do not know the policies up to so long before a record's arrival."""
_CHECK_S = 2.0
_POLL_S = 0.1
_RECORD_BYTES_MAX = 1_000_000


def policy_paths(folder: Path) -> list[Path]:
    """The policy files of a folder, not of folders in it.

    Raises:
        PoliciesRefused: there is none.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix in (".yaml", ".yml") and path.is_file())
    if not paths:
        raise PoliciesRefused(f"{folder} holds no policy file (*.yaml, *.yml)")
    return paths


async def publish_policies(settings: Settings, paths: Sequence[Path], *, now: bool = False) -> list[str]:
    """Publish the sets that these files make, unless they are the latest in the topic already.

    Args:
        settings: where Kafka is.
        paths: policy files; those with the same `effective_from` are one set.
        now: hold from the append time, without the 11 minutes of notice.

    Returns:
        The digests of the sets that were published, in their order.

    Raises:
        PoliciesRefused: a file, with line and field of every complaint; nothing was published.
        KafkaAway, KafkaRefused: no answer, or no permission.
    """
    try:
        sets = load_files(paths)
    except (PolicyRefused, ValueError) as refused:
        raise PoliciesRefused(str(refused)) from refused
    wanted = [[(Path(file.name).name, file.text) for file in policy_set.files] for policy_set in sets.sets]
    digests = [set_digest(texts) for texts in wanted]
    there = [key.decode() for key in (await _read_all(settings)).keys]
    # Keep what the topic already ends with: a restart with the same folder publishes nothing.
    known = max(k for k in range(len(digests) + 1) if there[len(there) - k :] == digests[:k])
    records = [_record(texts, now) for texts in wanted[known:]]
    producer = await open_producer(settings, max_request_size=_RECORD_BYTES_MAX + 4096)
    try:
        for digest, record in zip(digests[known:], records, strict=True):
            try:
                await producer.send_and_wait(settings.topics.policies, record, key=digest.encode(), partition=0)
            except KafkaError as error:
                raise in_words(settings, error, "Write") from error
            log.info("published a policy set", digest=digest[:12], now=now)
    finally:
        await close_client(producer)
    return digests[known:]


def _record(texts: list[tuple[str, str]], now: bool) -> bytes:
    record = PolicyRecord(
        files=[PolicyText(name=name, text=text) for name, text in texts],
        now=now,
        applied_by=_who(),
        applied_at=datetime.now(UTC).isoformat(),
    )
    value = record.model_dump_json().encode()
    if len(value) > _RECORD_BYTES_MAX:
        raise PoliciesRefused(
            f"the set of {', '.join(name for name, _ in texts)} is {len(value)} bytes, a record of Kafka "
            f"holds {_RECORD_BYTES_MAX}: leave out tests or comments, or shorten lists by patterns"
        )
    return value


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""


async def read_sets(settings: Settings) -> PolicySets | None:
    """The policy sets that the topic holds now; None where it holds none that is valid."""
    try:
        return sets_from_records((await _read_all(settings)).records)
    except ValueError:
        return None


async def _read_all(settings: Settings) -> _Reader:
    reader = _Reader(settings)
    try:
        await reader.open()
        await reader.read_to_end()
        return reader
    except KafkaError as error:
        raise in_words(settings, error, "Read") from error
    finally:
        await reader.close()


class _Reader:
    """Reads the policies topic from its begin."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partition = TopicPartition(settings.topics.policies, 0)
        self._consumer: AIOKafkaConsumer | None = None
        self.keys: list[bytes] = []
        self.records: list[tuple[int, bytes]] = []

    async def open(self) -> None:
        self._consumer = await open_reader(self._settings, [self._partition])
        self._consumer.resume(self._partition)

    async def read_to_end(self) -> int:
        """Read what was there when this was called; returns how many records were new."""
        consumer: Any = self._consumer
        before = len(self.records)
        end = (await consumer.end_offsets([self._partition]))[self._partition]
        while await consumer.position(self._partition) < end:
            batches = await consumer.getmany(self._partition, timeout_ms=500)
            for record in batches.get(self._partition, ()):
                self.keys.append(record.key or b"")
                self.records.append((record.timestamp * 1000, record.value or b""))
        return len(self.records) - before

    async def close(self) -> None:
        if self._consumer is not None:
            await close_client(self._consumer)


class PolicyService(Service):
    """Follows the policies topic and says whether what is known of it is fresh.

    Attributes:
        sets: all sets known; None before the first.
    """

    logger = FRAMEWORK

    def __init__(
        self,
        settings: Settings,
        health: Health,
        on_sets: Callable[[PolicySets], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        **kwargs: Any,
    ) -> None:
        """A service that calls `on_sets` for every longer list of sets."""
        super().__init__(**kwargs)
        self.sets: PolicySets | None = None
        self._settings = settings
        self._health = health
        self._on_sets = on_sets
        self._clock = clock
        self._silent = False
        self._checked_at = float("-inf")
        """When the last reading to the end that succeeded was begun."""

    async def first(self) -> PolicySets:
        """The sets, once the topic was read to its end and holds one."""
        while self.sets is None:
            await asyncio.sleep(_POLL_S)
        return self.sets

    async def fresh(self) -> None:
        """Return once it is known which sets existed 60 s ago; pauses whoever asks while Kafka is away."""
        if self._clock() - self._checked_at <= STALE_S:
            return
        log.warning("paused: the policies topic could not be read to its end for 60 s")
        while self._clock() - self._checked_at > STALE_S:
            await asyncio.sleep(_POLL_S)
        log.info("going on: the policies topic was read to its end")

    async def follow(self) -> None:
        """Publish the settings' folder, then read the topic to its end again and again."""
        if self._settings.policies_dir is not None:
            await publish_policies(self._settings, policy_paths(self._settings.policies_dir))
        reader = _Reader(self._settings)
        try:
            await reader.open()
            while not self.should_stop:
                await self._check(reader)
                await self.sleep(_CHECK_S)
        finally:
            await reader.close()

    async def _check(self, reader: _Reader) -> None:
        begun_at = self._clock()
        try:
            new = await reader.read_to_end()
        except KafkaError as error:
            if isinstance(said := in_words(self._settings, error, "Read"), KafkaRefused):
                raise said from error
            # Kafka may come back before anybody has to pause; the age says how long that has been.
            self._health.waits("policies", f"cannot read {self._settings.topics.policies}: {error}")
            metrics.POLICIES_AGE.set(begun_at - self._checked_at)
            self._silent = True
            return
        if self._silent:
            log.info("Kafka answers again")
            self._silent = False
        self._checked_at = begun_at
        metrics.POLICIES_AGE.set(0)
        if new:
            self._learn(reader)
        if self.sets is not None:
            self._health.works("policies")
        else:
            self._health.waits("policies", f"no policy set in {self._settings.topics.policies} yet: apply one")

    def _learn(self, reader: _Reader) -> None:
        try:
            sets = sets_from_records(reader.records)
        except ValueError as error:
            log.error("no policy set can be used", topic=self._settings.topics.policies, error=str(error))
            return
        for refused in sets.refused:
            log.error("a policy set was refused, the one before stays", problems=str(refused))
        metrics.POLICY_SETS.set(len(sets.sets))
        log.info("policy sets", known=len(sets.sets), digests=[one.digest[:12] for one in sets.sets])
        self.sets = sets
        self._on_sets(sets)

    @Service.task
    async def _follow(self) -> None:
        await self.follow()
