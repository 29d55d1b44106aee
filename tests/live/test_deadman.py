"""The dead-man's beat with real workers and a real Kafka: it stops when detection stops, and goes on with it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from pytest_httpserver import HTTPServer

from stepwatch.agents.settings import Settings
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.kafka import EmbeddedKafka
from stepwatch.embedded.ports import any_free
from tests.live.harness import produce, until
from tests.live.road import Role, new_road

pytestmark = pytest.mark.live
WAIT_S = 100.0


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker that may be frozen: nobody else uses it."""
    folder = DataFolder(tmp_path / "kafka")
    with folder.lock():
        server = EmbeddedKafka(folder, port=any_free())
        server.start()
        try:
            yield server
        finally:
            server.kill()


def beating(settings: Settings, httpserver: HTTPServer, folder: Path, name: str) -> Settings:
    """The same settings, with a beat each second to an address of its own."""
    file = folder / f"{name}.url"
    file.write_text(httpserver.url_for(f"/{name}/s3cret"))
    changes = {"deadman_url_file": file, "deadman_every_ms": 1000, "correlate_web_port": any_free()}
    return Settings(**{**{key: getattr(settings, key) for key in settings.model_fields_set}, **changes})


def beats(httpserver: HTTPServer, name: str) -> int:
    return sum(request.path == f"/{name}/s3cret" for request, _ in httpserver.log)


async def until_more_beats(httpserver: HTTPServer, name: str) -> None:
    before = beats(httpserver, name)

    async def more() -> bool:
        return beats(httpserver, name) >= before + 2

    await until(more, WAIT_S, f"beats of {name}")


async def until_withheld(settings: Settings, httpserver: HTTPServer, name: str, why: str) -> None:
    """Wait until the page says why the beat is withheld; from then on two more are missed, and none comes."""

    async def said() -> bool:
        return why in page(settings, "readyz")

    async def missed_more() -> bool:
        return missed(settings) >= missed_before + 2

    await until(said, WAIT_S, f"the page says {why!r}")
    before, missed_before = beats(httpserver, name), missed(settings)
    await until(missed_more, WAIT_S, "two more beats missed")
    assert beats(httpserver, name) == before


def missed(settings: Settings) -> float:
    """Beats missed in a row, by the worker's own count."""
    counts = [line.split() for line in page(settings, "metrics").splitlines() if not line.startswith("#")]
    return max((float(value) for metric, value in counts if metric == "stepwatch_deadman_missed"), default=0.0)


def page(settings: Settings, name: str) -> str:
    try:
        with urlopen(f"http://127.0.0.1:{settings.correlate_web_port}/{name}", timeout=5) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        return error.read().decode()
    except (URLError, OSError):
        return ""


def test_no_beat_comes_while_kafka_is_frozen_and_they_go_on_when_it_is_back(
    own_kafka: EmbeddedKafka, httpserver: HTTPServer, tmp_path: Path
) -> None:
    async def story() -> tuple[Role, str]:
        httpserver.expect_request("/a/s3cret").respond_with_data("")
        # Patient with a session, and not with an answer: the worker outlives the frost.
        road = await new_road(own_kafka.bootstrap, tmp_path, session_timeout_ms=120_000, request_timeout_ms=3000)
        settings = beating(road, httpserver, tmp_path, "a")
        role = Role(settings, tmp_path / "log", "correlate")
        await until_more_beats(httpserver, "a")
        os.kill(own_kafka.pid, signal.SIGSTOP)
        try:
            await until_withheld(settings, httpserver, "a", "withheld: Kafka does not say how far we are")
        finally:
            os.kill(own_kafka.pid, signal.SIGCONT)
        await until_more_beats(httpserver, "a")
        return role, page(settings, "readyz")

    role, ready = asyncio.run(story())
    assert "dead-man" not in ready
    assert role.stop() == 0
    assert "s3cret" not in role.said


def test_one_partition_that_is_not_read_stops_the_beat_though_its_sender_is_well(
    own_kafka: EmbeddedKafka, httpserver: HTTPServer, tmp_path: Path
) -> None:
    async def story() -> None:
        road = await new_road(own_kafka.bootstrap, tmp_path, session_timeout_ms=120_000)
        both = {name: beating(road, httpserver, tmp_path, name) for name in "ab"}
        for name in both:
            httpserver.expect_request(f"/{name}/s3cret").respond_with_data("")
        roles = {name: Role(settings, tmp_path / name, "correlate") for name, settings in both.items()}

        async def shared() -> bool:
            return all("stepwatch_partitions_owned 1.0" in page(settings, "metrics") for settings in both.values())

        await until(shared, WAIT_S, "one partition each")
        at = {name: beats(httpserver, name) for name in both}

        async def one_beats() -> str | None:
            return next((name for name in both if beats(httpserver, name) >= at[name] + 3), None)

        sender = await until(one_beats, WAIT_S, "beats of one of them")
        other = "ab".replace(sender, "")
        roles[other].process.send_signal(signal.SIGSTOP)
        await produce(road, road.topics.actions, 1, [(b"x", b"{")])
        why = f"withheld: not read for 11 s or longer: {road.topics.actions}-1"
        await until_withheld(both[sender], httpserver, sender, why)
        roles[other].process.send_signal(signal.SIGCONT)
        await until_more_beats(httpserver, sender)
        for role in roles.values():
            role.kill()

    asyncio.run(story())
