"""Policy sets through their topic, on a real broker (contract section 4)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepwatch.agents.errors import PoliciesRefused
from stepwatch.agents.health import Health
from stepwatch.agents.policies import STALE_S, PolicyService, policy_paths
from stepwatch.agents.policy_publishing import publish_policies
from stepwatch.agents.settings import Settings
from stepwatch.streams.sets import PolicySets
from tests.live.harness import new_settings, read, with_topics

pytestmark = pytest.mark.live
ONE = "version: 1\npolicies: [{id: one, match: {action: [a.b]}, require: {amr_any: [otp]}}]\n"
TWO = ONE.replace("id: one", "id: two")


def write(folder: Path, **files: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return policy_paths(folder)


@contextlib.asynccontextmanager
async def following(settings: Settings, clock_s: list[float] | None = None) -> AsyncIterator[PolicyService]:
    learnt: list[PolicySets] = []
    clock = (lambda: clock_s[0]) if clock_s else asyncio.get_running_loop().time
    service = PolicyService(settings, Health(), learnt.append, clock=clock)
    await service.start()
    try:
        yield service
        assert learnt[-1:] == ([service.sets] if service.sets else [])
    finally:
        await service.stop()


async def topics_of(kafka: str, tmp_path: Path) -> Settings:
    return await with_topics(new_settings(kafka, tmp_path, policies_dir=None))


def test_a_set_that_is_published_is_read_and_the_same_folder_again_publishes_nothing(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await topics_of(kafka, tmp_path)
        paths = write(tmp_path / "p", one=ONE)
        [digest] = await publish_policies(settings, paths)
        assert await publish_policies(settings, paths) == []
        async with following(settings) as service:
            sets = await asyncio.wait_for(service.first(), 10)
        assert [one.digest for one in sets.sets] == [digest]
        assert sets.sets[0].effective_from_us is None
        assert [r.key for r in await read(settings, settings.topics.policies, 1)] == [digest.encode()]

    asyncio.run(story())


def test_a_set_that_was_replaced_and_comes_back_is_published_again(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await topics_of(kafka, tmp_path)
        for text in (ONE, TWO, ONE):
            assert len(await publish_policies(settings, write(tmp_path / "p", one=text))) == 1

    asyncio.run(story())


def test_a_later_set_begins_eleven_minutes_after_it_was_appended_and_one_applied_now_at_once(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await topics_of(kafka, tmp_path)
        await publish_policies(settings, write(tmp_path / "p", one=ONE))
        await publish_policies(settings, write(tmp_path / "p", one=TWO))
        await publish_policies(settings, write(tmp_path / "p", one=ONE), now=True)
        appended = [r.timestamp * 1000 for r in await read(settings, settings.topics.policies, 1)]
        async with following(settings) as service:
            sets = await asyncio.wait_for(service.first(), 10)
        begins = sorted(one.effective_from_us or 0 for one in sets.sets)
        assert begins == [0, appended[2], appended[1] + 11 * 60_000_000]

    asyncio.run(story())


def test_a_set_published_later_reaches_who_follows(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await topics_of(kafka, tmp_path)
        await publish_policies(settings, write(tmp_path / "p", one=ONE))
        async with following(settings) as service:
            await asyncio.wait_for(service.first(), 10)
            await publish_policies(settings, write(tmp_path / "p", one=TWO))
            async with asyncio.timeout(10):
                while service.sets is None or len(service.sets.sets) < 2:
                    await asyncio.sleep(0.05)

    asyncio.run(story())


def test_a_faulty_file_is_refused_with_its_line_and_nothing_is_published(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await topics_of(kafka, tmp_path)
        with pytest.raises(PoliciesRefused, match=r"bad\.yaml:2: policies\[0\]") as refused:
            await publish_policies(settings, write(tmp_path / "p", bad=ONE.replace("match:", "macht:"), one=TWO))
        assert refused.value.exit_status == 2
        assert await read(settings, settings.topics.policies, 1) == []

    asyncio.run(story())


def test_an_empty_folder_of_policies_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(PoliciesRefused, match="holds no policy file"):
        policy_paths(tmp_path)


def test_whoever_asks_is_held_while_the_last_reading_to_the_end_is_older_than_a_minute(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await topics_of(kafka, tmp_path)
        await publish_policies(settings, write(tmp_path / "p", one=ONE))
        clock_s = [1000.0]
        async with following(settings, clock_s) as service:
            await asyncio.wait_for(service.first(), 10)
            clock_s[0] += STALE_S
            await asyncio.wait_for(service.fresh(), 0.05)
            clock_s[0] += 0.001
            held = asyncio.create_task(service.fresh())
            await asyncio.sleep(0.02)
            assert not held.done()
            await asyncio.wait_for(held, 10)

    asyncio.run(story())
