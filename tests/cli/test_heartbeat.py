"""`stepwatch heartbeat` and `events generate --to kafka`: what they send lies where the worker looks."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from pathlib import Path

import pytest
from aiokafka.structs import ConsumerRecord

from stepwatch.agents.settings import Settings
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import parse_time
from stepwatch.streams.decode import ACTION, AUTHENTICATION, Event, Fault, Heartbeat, decode
from tests.cli.console import COMMAND, NOBODY, environment, run
from tests.live.harness import new_settings, read, until, with_topics

WRONG: list[tuple[list[str], str]] = [
    ([], "--source"),
    (["--source", ""], "expected the name of a feed"),
    (["--source", "stepwatch"], "Stepwatch's own"),
    (["--source", "/idp", "--complete-to", "now"], "RFC 3339"),
    (["--source", "/idp", "--complete-to", "2261-01-01T00:00:00Z"], "still to come"),
    (["--source", "/idp", "--every", "0s"], "more than nothing"),
    (["--source", "/idp", "--every", "30"], "one whole number"),
    (["--source", "/idp", "--every", "30s", "--complete-to", "2026-11-24T09:00:00Z"], "one moment"),
]


@pytest.mark.parametrize(("args", "words"), WRONG, ids=[" ".join(args) for args, _ in WRONG])
def test_a_wrong_option_ends_with_two_before_kafka_is_asked(tmp_path: Path, args: list[str], words: str) -> None:
    done = run(tmp_path, "heartbeat", *args, "--bootstrap", NOBODY)
    assert (done.status, done.out) == (2, "")
    assert words in done.err


def test_where_kafka_is_away_it_ends_with_three(tmp_path: Path) -> None:
    done = run(tmp_path, "heartbeat", "--source", "/idp", "--bootstrap", NOBODY)
    assert (done.status, done.out) == (3, "")
    assert f"no answer from Kafka at {NOBODY}" in done.err


def a_road(kafka: str, tmp_path: Path) -> Settings:
    """Topics of its own, of three partitions."""
    return asyncio.run(with_topics(new_settings(kafka, tmp_path, partitions=3)))


def where(settings: Settings) -> dict[str, str]:
    """The environment by which a command finds them."""
    return {"STEPWATCH_KAFKA_BOOTSTRAP": settings.kafka_bootstrap, "STEPWATCH_PREFIX": settings.prefix}


def records_of(settings: Settings, topic: str) -> list[ConsumerRecord]:
    return asyncio.run(read(settings, topic))


@pytest.mark.live
def test_a_heartbeat_lies_in_every_partition_and_says_up_to_when(kafka: str, tmp_path: Path) -> None:
    settings = a_road(kafka, tmp_path)
    args = ("heartbeat", "--source", "/idp")
    done = run(tmp_path, *args, "--complete-to", "2026-11-24T09:00:00+01:00", **where(settings))
    assert (done.status, done.out, done.err) == (0, "", "")
    found = records_of(settings, settings.topics.authentications)
    assert sorted(record.partition for record in found) == [0, 1, 2]
    for record in found:
        beat = decode(record.value, record.timestamp * 1000, AUTHENTICATION)
        assert isinstance(beat, Heartbeat)
        assert (beat.source, beat.arrival_us - beat.lag_us) == ("/idp", parse_time("2026-11-24T08:00:00Z"))
    assert records_of(settings, settings.topics.actions) == []


@pytest.mark.live
def test_with_every_it_goes_on_until_it_is_asked_to_end(kafka: str, tmp_path: Path) -> None:
    settings = a_road(kafka, tmp_path)
    process = subprocess.Popen(
        [*COMMAND, "heartbeat", "--source", "/idp", "--every", "100ms"],
        cwd=tmp_path,
        env=environment(tmp_path, **where(settings)),
    )

    async def three_rounds() -> bool:
        assert process.poll() is None
        return len(await read(settings, settings.topics.authentications)) >= 9

    try:
        asyncio.run(until(three_rounds))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    values = {record.value for record in records_of(settings, settings.topics.authentications)}
    complete = sorted(json.loads(value)["data"]["complete_to"] for value in values)
    assert len(complete) >= 3
    assert len(set(complete)) == len(complete), "each is complete up to its own time"


@pytest.mark.live
def test_a_generated_crowd_lies_in_its_topics_under_its_keys_at_about_its_rate(kafka: str, tmp_path: Path) -> None:
    settings = a_road(kafka, tmp_path)
    args = ("events", "generate", "--to", "kafka", "--rate", "100", "--count", "300")
    done = run(tmp_path, *args, **where(settings))
    assert done.status == 0, done.err
    assert done.out.startswith(f"sent 300 events to {settings.kafka_bootstrap} (")
    events = []
    for topic, family in ((settings.topics.actions, ACTION), (settings.topics.authentications, AUTHENTICATION)):
        for record in records_of(settings, topic):
            outcome = decode(record.value, record.timestamp * 1000, family)
            assert not isinstance(outcome, Fault), outcome
            if isinstance(outcome, Event):
                key = subject_key(outcome.tenant, outcome.subject)
                assert (record.key, record.partition) == (key, partition_of(key, 3))
                events.append(outcome)
    assert len(events) == 300
    # Nothing is sent before its time: the worker would take it for a clock that is ahead.
    assert min(event.arrival_us - event.time_us for event in events) > -1_000_000
