"""Malformed records among good ones: each a dead letter once, the good ones untouched, and a way back for every one."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer

from stepwatch.agents.account import account
from stepwatch.agents.dead_letters import DeadLetters, Letter, Wanted
from stepwatch.agents.settings import Settings
from stepwatch.cli.letters import put_back
from stepwatch.schemas import events as ev
from stepwatch.schemas.keys import partition_of
from stepwatch.schemas.times import format_time
from stepwatch.streams.decode import ACTION, AUTHENTICATION
from stepwatch.streams.replay import replay
from tests.cli.console import Finished, run
from tests.faults.expected import Where
from tests.faults.verifier import verify
from tests.live.harness import Worker, until
from tests.live.poison import ACTIONS, TENANT, Kitchen, Poison
from tests.live.road import Role, Town, audited, inputs, new_road, now_us, sets_of, verdicts_of

pytestmark = pytest.mark.live
RECORDS = 6000
SEED = int(os.environ.get("STEPWATCH_POISON_SEED", "11"))


class Sent(NamedTuple):
    """A bad record, and where it lies."""

    poison: Poison
    where: Where


async def send(settings: Settings, poisons: list[Poison]) -> list[Sent]:
    """Fill the inputs with the town's events and the bad records between them."""
    topics = settings.topics
    town = Town(SEED, now_us())
    every = RECORDS // (len(poisons) + 1)
    sent = []
    async with AIOKafkaProducer(**settings.kafka_client_options(), linger_ms=2) as producer:
        waiting = []
        await send_sign_of_life(settings, producer)
        await send_bad(settings, producer, first_of_conflict(settings))
        for number in range(RECORDS):
            family, key, body = town.one()
            topic = {ACTION: topics.actions, AUTHENTICATION: topics.authentications}[family]
            waiting.append(await producer.send(topic, body, key, partition=partition_of(key, settings.partitions)))
            if number % every == every - 1 and len(sent) < len(poisons):
                sent.append(await send_bad(settings, producer, poisons[len(sent)]))
        await asyncio.gather(*waiting)
    assert len(sent) == len(poisons)
    return sent


async def send_sign_of_life(settings: Settings, producer: AIOKafkaProducer) -> None:
    """A heartbeat of the source that must be alive for a verdict to be fair, to every partition."""
    beat = {"id": "beat", "source": "/idp", "type": ev.HEARTBEAT, "time": format_time(now_us())}
    for partition in range(settings.partitions):
        await producer.send_and_wait(settings.topics.authentications, json.dumps(beat).encode(), partition=partition)


async def send_bad(settings: Settings, producer: AIOKafkaProducer, poison: Poison) -> Sent:
    topic = getattr(settings.topics, poison.topic)
    partition = partition_of(poison.key, settings.partitions)
    if poison.elsewhere:
        partition = (partition + 1) % settings.partitions
    at = await producer.send_and_wait(topic, poison.value, poison.key, partition, headers=poison.headers)
    return Sent(poison, Where(topic, partition, at.offset))


def first_of_conflict(settings: Settings) -> Poison:
    """The event that another body conflicts with."""
    return Poison("conflict", ACTIONS, "", Kitchen(now_us()).right("conflict"), None)


async def letters(settings: Settings) -> list[Letter]:
    async with DeadLetters(settings) as found:
        return [letter async for letter in found.all(lambda letter: True)]


def where_from(letter: Letter) -> Where:
    return Where(letter.topic, letter.from_partition, letter.from_offset)


async def expected_of_good(settings: Settings, bad: set[Where]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The verdicts of `replay` on the good records alone."""
    lines = []
    for record, arrival_us in await inputs(settings):
        event = _json(record.value)
        if (record.topic, record.partition, record.offset) not in bad and isinstance(event, dict):
            lines.append(json.dumps({**event, "arrival": format_time(arrival_us)}).encode())
    rows = replay(lines, sets_of(settings))
    return verdicts_of([row for row in rows if row["kind"] == "verdict" and row["tenant"] != TENANT])


def _json(value: bytes | None) -> Any:
    try:
        return json.loads(value or b"")
    except ValueError:
        return None


async def verdicts(settings: Settings, *, of_poison: bool) -> dict[tuple[str, ...], tuple[str, ...]]:
    return verdicts_of([row for row in await audited(settings) if (row["tenant"] == TENANT) == of_poison])


async def put_all_back(settings: Settings, sent: list[Sent], by_where: dict[Where, Letter]) -> list[str]:
    """Put every one back, repaired where it was wrong; returns what was told."""
    said: list[str] = []

    async def one(poison: Poison, where: Where) -> None:
        told = await put_back(settings, [by_where[where].id], poison.repaired, dry_run=False, tell=said.append)
        assert (told.sent, told.still_wrong) == (1, 0), (poison.name, said)

    for begin in range(0, len(sent), 8):
        await asyncio.gather(*(one(*each) for each in sent[begin : begin + 8]))
    return said


def test_every_kind_of_poison_is_a_dead_letter_once_and_comes_back_repaired(kafka: str, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    poisons = Kitchen(now_us()).all()
    assert len({poison.name for poison in poisons}) >= 25
    assert RECORDS * 0.008 <= len(poisons) <= RECORDS * 0.012, "one record in a hundred"

    async def story() -> None:
        settings = await new_road(kafka, tmp_path)
        worker = Role(settings, tmp_path / "correlate", "correlate")
        sent = await send(settings, poisons)
        await verify(settings)

        # Each is a dead letter exactly once, with its reason, its coordinates and its own bytes.
        found = await letters(settings)
        times = Counter(map(where_from, found))
        assert {times[one.where] for one in sent} == {1}
        assert set(times.values()) == {1}
        by_where = {where_from(letter): letter for letter in found}
        assert {one.poison.name: by_where[one.where].error for one in sent} == {
            one.poison.name: one.poison.error for one in sent
        }
        assert [by_where[one.where].value for one in sent] == [one.poison.value for one in sent]
        assert {by_where[one.where].key for one in sent} == {one.poison.key for one in sent}

        # The good ones are judged as if the bad ones were not there.
        good = await expected_of_good(settings, {one.where for one in sent})
        assert len(good) > RECORDS / 3
        assert await verdicts(settings, of_poison=False) == good
        conflict = (TENANT, "conflict", "/app", "conflict")
        assert set(await verdicts(settings, of_poison=True)) == {conflict}

        # What is still wrong is not sent.
        said: list[str] = []
        wrong = [by_where[one.where].id for one in sent if one.poison.repaired is not None]
        told = await put_back(settings, wrong, None, dry_run=False, tell=said.append)
        assert (told.sent, told.still_wrong) == (0, len(wrong)), [line for line in said if "still wrong" not in line]

        # Repaired, each comes back and gets its verdict; a second time changes nothing.
        actions = await _come_back(settings, sent, by_where)
        before = await verdicts(settings, of_poison=True)
        revisions = Counter((row["tenant"], row["action_id"]) for row in await audited(settings))
        await put_all_back(settings, sent, by_where)
        report = await verify(settings)
        assert report.classes["duplicate"] >= len(actions)
        assert await verdicts(settings, of_poison=True) == before
        assert Counter((row["tenant"], row["action_id"]) for row in await audited(settings)) == revisions
        assert await verdicts(settings, of_poison=False) == good
        assert len(await letters(settings)) == len(found)
        assert [one.problems for one in await account(settings) if one.problems] == []
        assert worker.stop() == 0

    asyncio.run(story())


async def _come_back(settings: Settings, sent: list[Sent], by_where: dict[Where, Letter]) -> set[tuple[str, ...]]:
    """Put all back the first time; returns the actions that have a verdict by it."""
    said = await put_all_back(settings, sent, by_where)
    assert all(": sent to " in line for line in said)
    actions = {
        (TENANT, one.poison.name, "/app", "conflict-of-its-own" if one.poison.name == "conflict" else one.poison.name)
        for one in sent
        if b'"stepwatch.action.performed"' in (one.poison.repaired or one.poison.value or b"")
    }
    actions.add((TENANT, "conflict", "/app", "conflict"))

    async def judged() -> bool:
        return set(await verdicts(settings, of_poison=True)) == actions

    await until(judged, 90, "the verdicts of those that were put back")
    await verify(settings)
    said_of = Counter(said_verdict[0] for said_verdict in (await verdicts(settings, of_poison=True)).values())
    assert set(said_of) == {"unverified"}
    return actions


def test_an_event_on_which_the_core_fails_pages_and_is_judged_once_a_repaired_version_runs(
    kafka: str, tmp_path: Path
) -> None:
    ids = ["fine-1", "boom-1", "late-boom-1", "fine-2"]

    async def story() -> None:
        settings = await new_road(kafka, tmp_path)
        broken = Worker(settings, tmp_path / "broken", "tests.live.bugged")
        notify = Role(settings, tmp_path / "notify", "notify")
        kitchen = Kitchen(now_us())
        async with AIOKafkaProducer(**settings.kafka_client_options()) as producer:
            await send_sign_of_life(settings, producer)
            for name in ids:
                value = kitchen.right(name, subject="alice")
                key = f"{TENANT}/alice".encode()
                at = partition_of(key, settings.partitions)
                await producer.send_and_wait(settings.topics.actions, value, key, at)

        async def paged() -> bool:
            return len(await judged()) == 2 and notify.said.count("which was NOT judged") == 2

        async def judged() -> set[str]:
            return {row["action_id"] for row in await audited(settings)}

        await until(paged, 90, "two verdicts and two pages")
        assert await judged() == {"fine-1", "fine-2"}
        assert f"{TENANT}/alice: a fault of ours on an event, which was NOT judged: ZeroDivisionError" in notify.said
        assert broken.stop() == 0, broken.said
        repaired = Role(settings, tmp_path / "repaired", "correlate")
        said: list[str] = []
        for _ in range(2):
            told = await put_back(settings, Wanted(error="bug"), None, dry_run=False, tell=said.append)
            assert (told.sent, told.still_wrong) == (2, 0), said

        async def all_judged() -> bool:
            return await judged() == set(ids)

        await until(all_judged, 90, "the verdicts of those that were put back")
        bugs = {where_from(letter) for letter in await letters(settings)}
        report = await verify(settings, bugs=bugs)
        assert (report.classes["dead_letter"], report.classes["duplicate"]) == (2, 2)
        assert [one.problems for one in await account(settings) if one.problems] == []
        assert (repaired.stop(), notify.stop()) == (0, 0)
        assert notify.said.count("which was NOT judged") == 2

    asyncio.run(story())


def command(settings: Settings, tmp_path: Path, *words: str, stdin: bytes | None = None) -> Finished:
    """`stepwatch dead-letters ...` as an operator types it."""
    env = {
        "STEPWATCH_PREFIX": settings.prefix,
        "STEPWATCH_PARTITIONS": str(settings.partitions),
        "STEPWATCH_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
    }
    return run(tmp_path, *words, stdin=stdin, **env)


def test_an_operator_lists_shows_repairs_and_puts_back_from_the_command_line(kafka: str, tmp_path: Path) -> None:
    kitchen = Kitchen(now_us())
    bad = [one for one in kitchen.all() if one.name in ("bad-utf-8", "without-action", "binary-without-time")]

    async def begin() -> tuple[Settings, Role]:
        settings = await new_road(kafka, tmp_path)
        worker = Role(settings, tmp_path / "correlate", "correlate")
        async with AIOKafkaProducer(**settings.kafka_client_options()) as producer:
            await send_sign_of_life(settings, producer)
            for one in bad:
                await send_bad(settings, producer, one)

        async def there() -> bool:
            return len(await letters(settings)) == len(bad)

        await until(there, 60, "three dead letters")
        return settings, worker

    settings, worker = asyncio.run(begin())
    listed = command(settings, tmp_path, "dead-letters", "list", "--json")
    rows = {row["field"]: row for row in listed.rows}
    assert listed.status == 0
    assert set(rows) == {"json", "data.action", "time"}
    assert rows["data.action"]["topic"] == settings.topics.actions

    raw = command(settings, tmp_path, "dead-letters", "show", rows["data.action"]["id"], "--raw")
    assert raw.out.encode() == next(one.value for one in bad if one.name == "without-action")
    assert raw.err == ""
    shown = command(settings, tmp_path, "dead-letters", "show", rows["json"]["id"])
    assert "\\xff" in shown.out
    shown = command(settings, tmp_path, "dead-letters", "show", rows["time"]["id"])
    assert "ce_subject: binary-without-time" in shown.out

    still = command(settings, tmp_path, "dead-letters", "replay", "--all", "--error", "data")
    assert still.status == 1
    assert f"{rows['data.action']['id']}: still wrong: data.action: " in still.out
    meant = next(one.repaired for one in bad if one.name == "without-action")
    assert meant is not None
    words = ("dead-letters", "replay", rows["data.action"]["id"], "--file", "-")
    dry = command(settings, tmp_path, *words, "--dry-run", stdin=meant)
    assert (dry.status, "would be sent to" in dry.out) == (0, True)
    once = command(settings, tmp_path, *words, stdin=meant)
    twice = command(settings, tmp_path, *words, stdin=meant)
    assert (once.status, twice.status) == (0, 0), once.err + twice.err
    assert once.out.startswith(f"{rows['data.action']['id']}: sent to {settings.topics.actions}-")

    async def judged() -> bool:
        return [row["verdict"] for row in await audited(settings)] == ["unverified"]

    asyncio.run(until(judged, 60, "one verdict"))
    asyncio.run(verify(settings))
    doctor = command(settings, tmp_path, "doctor", "--account")
    assert doctor.status == 0, doctor.err + worker.said
    assert "every one accounted for exactly once" in doctor.err
    assert worker.stop() == 0
