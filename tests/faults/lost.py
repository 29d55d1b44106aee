"""Scenarios of what is gone from Kafka: the worker refuses in words, names the decision, and goes on after it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DeleteGroupsRequest

from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import create_topics
from stepwatch.embedded.kafka import EmbeddedKafka
from tests.faults.expected import Reader, Taken
from tests.faults.grounds import alter_topics
from tests.faults.load import Load, policy, send
from tests.faults.segments import cut_tail
from tests.faults.stage import Actor, Outcome, Scenario, Stage
from tests.faults.verifier import Found, check, take, take_all, verify
from tests.live.harness import until

_SUBJECTS = 100
_EVENTS = 1500
_ASKS = "STEPWATCH_ACCEPT_LOSS="


class Site:
    """One worker, what it read, and what its outputs held when something was lost."""

    def __init__(self, stage: Stage, settings: Settings) -> None:
        self.stage = stage
        self.settings = settings
        self.load = Load(settings, stage.rng, _SUBJECTS)
        self.decisions: list[str] = []
        self._ends: Counter[tuple[str, int]] = Counter()

    async def work(self, count: int = _EVENTS) -> None:
        """A worker reads so many events, all is exact, and it is stopped."""
        worker = self.stage.start(self.settings)
        await send(self.load, self.stage.scaled(count, 300))
        await verify(self.settings)
        assert await worker.stop() == 0, worker.said
        await self.note_ends()

    async def note_ends(self) -> None:
        """From here on outputs are those after the loss."""
        self._ends.clear()
        found = await take_all(self.settings)
        for taken in (*found.audit, *found.evidence, *found.alerts, *found.dead_letters):
            self._ends[taken.where[:2]] = taken.where.offset + 1

    async def decided(self, *words: str) -> Actor:
        """A worker must not go on, in these words, before it was decided; the one that goes on then says so.

        Each partition that lost something asks for itself, and ends the process with status 2. Once all of it was
        decided, the next worker goes on without the setting.
        """
        while True:
            worker = self.stage.start(self._deciding(), again=False)
            if await self._goes_on(worker):
                break
            assert worker.ends == [2], (worker.ends, worker.said)
            assert "Traceback" not in worker.said, worker.said
            line = next((line for line in worker.said.splitlines() if _ASKS in line), "")
            assert all(word in line for word in words), worker.said
            decision = line.partition(_ASKS)[2].split(" [")[0].strip().strip("'").split()
            assert decision, worker.said
            assert not set(decision) & set(self.decisions), f"asked twice for {decision}"
            self.decisions += decision
        assert self.decisions, worker.said
        assert "[warning" in worker.said, worker.said
        await asyncio.sleep(self.stage.rng.uniform(0, 1))
        await worker.kill_for_good()
        worker = self.stage.start(self.settings, again=False)
        assert await self._goes_on(worker), worker.said
        return worker

    async def _goes_on(self, worker: Actor) -> bool:
        """Whether it takes over; else it has ended."""
        partitions = self.settings.partitions

        async def seen() -> bool:
            return bool(worker.ends) or worker.said.count("took over") >= partitions

        await until(seen, 120, "the take-over")
        return not worker.ends

    def _deciding(self) -> Settings:
        return self.settings.model_copy(update={"accept_loss": " ".join(self.decisions)})

    async def since(self) -> Found:
        """What is there, of the outputs only what was written after the loss."""
        found = await take_all(self.settings)
        for name in ("audit", "evidence", "alerts", "dead_letters"):
            setattr(found, name, [one for one in getattr(found, name) if one.where.offset >= self._ends[one.where[:2]]])
        return found

    async def outcome(self, worker: Actor, words: str) -> Outcome:
        """Stop the worker, and tell."""
        assert await worker.stop() == 0, worker.said
        records = len((await take_all(self.settings)).inputs)
        return Outcome(records, 0, f"{words}; decided by {len(self.decisions)} words")


async def _site(stage: Stage) -> Site:
    site = Site(stage, await stage.road(policy(_SUBJECTS), start_timeout_ms=30_000))
    await site.work()
    return site


async def _until_exact(worker: Actor, look: Callable[[], Awaitable[None]]) -> None:
    """What is not exact at first may only not have been said yet."""
    for left in range(60, -1, -1):
        assert not worker.ends, worker.said
        try:
            await look()
            return
        except AssertionError:
            if not left:
                raise
        await asyncio.sleep(1)


async def _judged_anew(site: Site, worker: Actor, words: str) -> Outcome:
    """All outputs since the loss are exactly what all inputs call for."""
    await send(site.load, 100)

    async def look() -> None:
        check(await site.since())

    await _until_exact(worker, look)
    return await site.outcome(worker, words)


async def _each_once(site: Site, worker: Actor, topic: str, words: str) -> Outcome:
    """Each record that lies in an input is named by the outputs since the loss exactly once, if it has to be."""

    async def look() -> None:
        found = await site.since()
        reader = Reader(found.policies, found.partitions)
        mine = [taken for taken in found.inputs if taken.where.topic == topic]
        for taken in mine:
            reader.read(taken, "actions")
        classes = reader.expected.classes
        named = Counter(_named(taken) for taken in (*found.audit, *found.dead_letters))
        told = {where: times for where, times in named.items() if where[0] == topic}
        # What the state knows from before is a copy, or has rows of its own; both are for the judge alone.
        assert told == {where[:3]: 1 for where, what in classes.items() if what in ("audit", "dead_letter")}
        assert mine

    await _until_exact(worker, look)
    return await site.outcome(worker, words)


def _named(taken: Taken) -> tuple[str, int, int]:
    if taken.headers:
        said = {name: (value or b"").decode() for name, value in taken.headers}
        return said["topic"], int(said["partition"]), int(said["offset"])
    row = json.loads(taken.value or b"")
    # A later revision names its record again.
    topic = row["kafka_topic"] if row.get("revision", 1) == 1 else ""
    return topic, row["kafka_partition"], row["kafka_offset"]


async def state_recreated(stage: Stage) -> Outcome:
    """The state topic was deleted and created anew."""
    site = await _site(stage)
    await _recreate(site.settings, site.settings.topics.state)
    worker = await site.decided("holds nothing, but this group had read", "the state is lost")
    return await _judged_anew(site, worker, "state recreated: judged anew")


async def state_and_offsets_gone(stage: Stage) -> Outcome:
    """The state topic and the group's offsets are gone: only the outputs know what was read."""
    site = await _site(stage)
    await _recreate(site.settings, site.settings.topics.state)
    await _forget_offsets(site.settings)
    worker = await site.decided("holds nothing, but this group had read")
    return await _judged_anew(site, worker, "state and offsets gone: judged anew")


async def state_recreated_under_a_worker(stage: Stage) -> Outcome:
    """The state topic is recreated while a worker runs, which may write on into the new one."""
    site = await _site(stage)
    worker = stage.start(site.settings, again=False)
    assert await site._goes_on(worker), worker.said
    await _recreate(site.settings, site.settings.topics.state)
    await send(site.load, 200)
    await asyncio.sleep(3)
    await worker.kill_for_good()
    await site.note_ends()
    worker = await site.decided("the state is lost")
    return await _judged_anew(site, worker, "state recreated under a worker: judged anew")


async def state_truncated(stage: Stage) -> Outcome:
    """The older half of the state was deleted (kafka-delete-records, once somebody has changed its cleanup.policy)."""
    site = await _site(stage)
    topic = site.settings.topics.state
    await alter_topics(site.settings, [topic], {"cleanup.policy": "delete"})
    taken = await take(site.settings, topic)
    for partition in range(site.settings.partitions):
        offsets = [one.where.offset for one in taken if one.where.partition == partition]
        await _delete_before(site.settings, topic, partition, offsets[len(offsets) // 2])
    await create_topics(site.settings)
    worker = await site.decided("has lost its begin")
    return await _judged_anew(site, worker, "state truncated: judged anew")


async def state_lost_its_end(stage: Stage) -> Outcome:
    """The last records of the state are gone from the disk, those of the outputs are not: rows would come twice."""
    assert isinstance(stage.kafka_server, EmbeddedKafka), "its files are in reach of the embedded broker only"
    site = await _site(stage)
    await asyncio.to_thread(stage.kafka_server.kill)
    cut = sum(
        cut_tail(stage.kafka_server._folder.path / "kafka" / "data" / f"{site.settings.topics.state}-{partition}", 0.7)
        for partition in range(site.settings.partitions)
    )
    await asyncio.to_thread(stage.kafka_server.start)
    worker = await site.decided("its end is lost", "but the state was read up to")
    await send(site.load, 100)

    async def look() -> None:
        for newest in (False, True):
            found = await take_all(site.settings)
            for name in ("audit", "evidence", "alerts", "dead_letters"):
                setattr(found, name, _once_each(getattr(found, name), newest=newest))
            check(found)

    await _until_exact(worker, look)
    return await site.outcome(worker, f"{cut} batches of the state lost: the same rows once more")


def _once_each(records: list[Taken], *, newest: bool) -> list[Taken]:
    """Of what was said twice the older or the newer."""
    kept: dict[Any, Taken] = {}
    for taken in records:
        row = {} if taken.headers else json.loads(taken.value or b"{}")
        which = (_named(taken), row.get("revision")) if "kafka_topic" in row or taken.headers else None
        key = which and (*which, row.get("action_id"), taken.where.topic)
        if key is None:
            key = (row.get("alert_id"), row.get("version"))
        if newest or key not in kept:
            kept[key] = taken
    return list(kept.values())


async def offsets_gone(stage: Stage) -> Outcome:
    """The group's offsets were deleted or have expired: nothing to decide, the state knows better."""
    site = await _site(stage)
    await _forget_offsets(site.settings)
    worker = stage.start(site.settings, again=False)
    await send(site.load, 200)
    report = await verify(site.settings)
    assert await worker.stop() == 0, worker.said
    return Outcome(report.records, 0, "group offsets gone: exact without a decision")


async def input_recreated(stage: Stage) -> Outcome:
    """An input was recreated and holds fewer records than were read."""
    return await _input_recreated(stage, 60, "but the log ends at")


async def input_recreated_and_grown(stage: Stage) -> Outcome:
    """An input was recreated and has grown past the positions before a worker came."""
    return await _input_recreated(stage, 3000, "one of a later time lies there now")


async def _input_recreated(stage: Stage, events: int, words: str) -> Outcome:
    site = await _site(stage)
    topic = site.settings.topics.actions
    await _recreate(site.settings, topic)
    # Of another tenant: what is remembered of the one before bears on none of it.
    site.load = Load(site.settings, stage.rng, _SUBJECTS)
    site.load.tenant = "another"
    await send(site.load, events if events < 100 else stage.scaled(events, 1500))
    worker = await site.decided(topic, words)
    return await _each_once(site, worker, topic, f"input recreated with {events} events: each read once")


async def input_expired(stage: Stage) -> Outcome:
    """Retention passed the position while no worker ran."""
    site = await _site(stage)
    topic = site.settings.topics.actions
    site.load = Load(site.settings, stage.rng, _SUBJECTS)
    site.load.tenant = "another"
    await send(site.load, 300)
    taken = await take(site.settings, topic)
    for partition in range(site.settings.partitions):
        last = max(one.where.offset for one in taken if one.where.partition == partition)
        await _delete_before(site.settings, topic, partition, last - 20)
    worker = await site.decided(topic, "were deleted by retention before they were read", "retention.ms")
    return await _each_once(site, worker, topic, "retention passed the position: each that is left read once")


async def _admin(settings: Settings) -> AIOKafkaAdminClient:
    admin = AIOKafkaAdminClient(**settings.kafka_client_options())
    await admin.start()
    return admin


async def _recreate(settings: Settings, topic: str) -> None:
    admin = await _admin(settings)
    await admin.delete_topics([topic])

    async def gone() -> bool:
        return topic not in await admin.list_topics()

    await until(gone, 30, f"the end of {topic}")
    # Another may not be made in its place before its files are renamed.
    await asyncio.sleep(0.5)
    await admin.close()
    await create_topics(settings)


async def _delete_before(settings: Settings, topic: str, partition: int, offset: int) -> None:
    admin = await _admin(settings)
    await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before_offset=offset)})
    await admin.close()


async def _forget_offsets(settings: Settings) -> None:
    admin = await _admin(settings)
    group = settings.group("correlate")

    async def forgotten() -> bool:
        try:
            coordinator = await admin.find_coordinator(group)
            answer: Any = await admin._send_request(DeleteGroupsRequest([group]), coordinator)
        except KafkaError:
            return False
        # The last member may not have left yet.
        return all(code == 0 for _, code in answer.results)

    await until(forgotten, 60, "the end of the group")
    await admin.close()


LOST: dict[str, Scenario] = {
    "broker.state_recreated": state_recreated,
    "broker.state_and_offsets_gone": state_and_offsets_gone,
    "broker.state_recreated_under_a_worker": state_recreated_under_a_worker,
    "broker.state_truncated": state_truncated,
    "broker.state_lost_its_end": state_lost_its_end,
    "broker.offsets_gone": offsets_gone,
    "broker.input_recreated": input_recreated,
    "broker.input_recreated_and_grown": input_recreated_and_grown,
    "broker.input_expired": input_expired,
}
