"""`stepwatch send` to a real Kafka: cut off at any moment nothing is lost, and heartbeats come after the events."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stepwatch.agents.settings import Settings
from tests.cli.console import COMMAND, payout
from tests.live.harness import environment, new_settings, read, with_topics

pytestmark = pytest.mark.live
COUNT = 20_000


def start(settings: Settings, *args: str | Path) -> subprocess.Popen[bytes]:
    """A `send` as a process."""
    return subprocess.Popen(
        [*COMMAND, "send", *map(str, args)], env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finished(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Its exit status, and what it said."""
    out, err = process.communicate(timeout=60)
    return process.returncode, (out + err).decode()


def rows(settings: Settings, topic: str) -> list[dict[str, Any]]:
    """The events of a topic, each with its partition."""
    records = asyncio.run(read(settings, topic))
    return [{**json.loads(record.value), "partition": record.partition} for record in records]


def line(number: int) -> str:
    return json.dumps(payout(f"a-{number}", "10:00:00", subject=f"user-{number % 50}")) + "\n"


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    """Topics of their own."""
    return asyncio.run(with_topics(new_settings(kafka, tmp_path)))


def test_what_is_killed_in_the_middle_goes_on_where_kafka_acknowledged_and_nothing_is_lost(
    settings: Settings, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text("".join(map(line, range(COUNT))))
    kept = tmp_path / "data" / "sent"
    process = start(settings, "--rate", "4000", log)
    give_up = time.monotonic() + 30
    while not (kept.is_dir() and list(kept.glob("*.json"))):
        assert process.poll() is None, finished(process)
        assert time.monotonic() < give_up
        time.sleep(0.05)
    process.kill()
    process.communicate()
    at = json.loads(next(kept.glob("*.json")).read_text())["files"][0]["at"]
    assert 0 < at < log.stat().st_size
    ids = {row["id"] for row in rows(settings, settings.topics.actions)}
    acknowledged = log.read_bytes()[:at].decode().splitlines()
    assert {json.loads(one)["id"] for one in acknowledged} <= ids
    status, said = finished(start(settings, log))
    assert status == 0, said
    assert "going on where an earlier `send` stopped" in said
    assert f"sent {COUNT - len(acknowledged):,} actions" in said
    found = Counter(row["id"] for row in rows(settings, settings.topics.actions))
    assert set(found) == {f"a-{number}" for number in range(COUNT)}
    assert list(kept.glob("*.json")) == []


def test_a_log_is_followed_with_heartbeats_in_every_partition_and_goes_on_after_a_kill(
    settings: Settings, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text("".join(map(line, range(10))))

    def wait_for(count: int, beats: int) -> list[dict[str, Any]]:
        give_up = time.monotonic() + 30
        while True:
            actions, others = (
                rows(settings, topic) for topic in (settings.topics.actions, settings.topics.authentications)
            )
            if len(actions) >= count and len(others) >= beats:
                return others
            assert time.monotonic() < give_up, (len(actions), len(others))

    follower = start(settings, "--follow", "--heartbeat", "1s", log)
    beats = wait_for(10, 4)
    assert {(beat["type"], beat["source"]) for beat in beats} == {("stepwatch.heartbeat", "/app")}
    assert {beat["partition"] for beat in beats} == {0, 1}
    follower.kill()
    follower.communicate()
    log.rename(tmp_path / "log.1")
    with (tmp_path / "log.1").open("a") as file:
        file.write(line(10))
    log.write_text(line(11))
    follower = start(settings, "--follow", "--heartbeat", "0s", log)
    wait_for(12, 0)
    follower.send_signal(signal.SIGINT)
    status, said = finished(follower)
    assert status == 130
    assert "sent 2 actions, 0 authentication events" in said
    sent_bytes = sum(len(line(number)) for number in range(10))
    assert f"log.1: going on after byte {sent_bytes:,}, where an earlier `send` stopped" in said
    assert [row["id"] for row in rows(settings, settings.topics.actions) if row["id"] in ("a-10", "a-11")]


def test_positions_that_were_named_are_kept_for_the_next_time(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(line(1) + line(2) + line(3)[:20])
    status, said = finished(start(settings, "--positions", tmp_path / "p", log))
    assert (status, said.split(" to ")[0]) == (0, "sent 2 actions, 0 authentication events")
    assert "what follows its last line end is left for the next time" in said
    log.write_text(line(1) + line(2) + line(3))
    status, said = finished(start(settings, "--positions", tmp_path / "p", log))
    assert (status, said.split(" to ")[0]) == (0, "sent 1 action, 0 authentication events")
    status, said = finished(start(settings, "--positions", log / "p", log))
    assert status == 2
    assert "the positions cannot be read" in said


def test_a_folder_that_is_sent_again_sends_what_has_come_since_and_no_positions_of_another_kafka_count(
    settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "1").write_text(line(1) + line(2)[:-1])
    (folder / "2.gz").write_bytes(gzip.compress(line(3).encode() * 2000)[:-20])
    status, said = finished(start(settings, folder))
    assert (status, "1 file not read to the end" in said) == (1, True)
    (folder / "2.gz").unlink()
    (folder / "3").write_text(line(4))
    status, said = finished(start(settings, folder))
    assert (status, said.split(" to ")[0]) == (0, "sent 1 action, 0 authentication events")
    assert "going on where an earlier `send` stopped" in said
    (kept,) = (tmp_path / "data" / "sent").glob("*.json")
    assert json.loads(kept.read_bytes())["cluster"]
    elsewhere = json.loads(kept.read_bytes()) | {"cluster": "another"}
    kept.write_text(json.dumps(elsewhere))
    status, said = finished(start(settings, "--positions", kept, folder))
    assert (status, "positions in another Kafka cluster" in said) == (2, True)


def test_a_file_is_sent_though_its_positions_cannot_be_kept(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    log = tmp_path / "log"
    log.write_text("".join(map(line, range(3000))))
    status, said = finished(start(settings, "--rate", "2000", log))
    assert (status, said.count("the positions cannot be")) == (0, 1)
    assert "sent 3,000 actions" in said


def test_a_pipe_that_says_little_is_sent_as_it_speaks(settings: Settings) -> None:
    process = subprocess.Popen([*COMMAND, "send", "-"], env=environment(settings), stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(line(1).encode())
    process.stdin.flush()
    give_up = time.monotonic() + 30
    while not rows(settings, settings.topics.actions):
        assert time.monotonic() < give_up
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
