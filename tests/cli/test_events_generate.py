"""`stepwatch events generate`: a crowd at work, the same for a seed, at the rate that was asked for."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from stepwatch.cli.events_check import Checker
from stepwatch.cli.events_people import BEAT_US, RAMP_US, Crowd, Timed
from stepwatch.cli.events_policies import Demands
from stepwatch.cli.lines import Origin
from stepwatch.schemas.times import HOUR_US, SECOND_US, parse_time
from stepwatch.streams.replay import Row, replay
from stepwatch.streams.sets import PolicySets, load_files
from tests.cli.console import COMMAND, ROOT, environment, run
from tests.core.driver import T0_US

START = "2026-11-24T09:00:00Z"
"""T0 as text."""
GENERATE = ("events", "generate", "--start", START)


@pytest.fixture(scope="module")
def sets() -> PolicySets:
    return load_files(sorted((ROOT / "deploy" / "policies").glob("*.yaml")))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Ten minutes at 40 a second."""
    done = run(tmp_path_factory.mktemp("made"), *GENERATE, "--rate", "40", "--duration", "10m", "--people", "500")
    assert (done.status, done.err) == (0, "")
    return done.out.encode().splitlines()


@pytest.fixture(scope="module")
def rows(lines: list[bytes], sets: PolicySets) -> list[Row]:
    return list(replay(lines, sets))


def some(seed: int, start_us: int = T0_US, people: int = 50, rate: float = 20.0, count: int = 400) -> list[Timed]:
    return list(islice(Crowd(seed, start_us, people, rate).events(), count))


def test_what_is_made_passes_the_check_by_the_policies_of_deploy_without_a_word(
    lines: list[bytes], sets: PolicySets
) -> None:
    checker = Checker(Demands(sets), T0_US + HOUR_US)
    assert [found for line in lines for found in checker.look(line, Origin("", 1))[1]] == []


def test_it_has_verdicts_of_every_kind_but_blind_and_attacks_now_and_then(rows: list[Row]) -> None:
    verdicts = Counter((row["verdict"], row["reason"]) for row in rows if row["kind"] == "verdict")
    assert {verdict for verdict, _ in verdicts} == {"not_required", "exempt", "verified", "unverified"}
    assert {("unverified", "no_step_up"), ("unverified", "denied")} <= set(verdicts)
    assert verdicts["not_required", "no_policy"] > verdicts["verified", "step_up"] > 300
    alerts = {row["alert"] for row in rows if row["kind"] == "alert"}
    assert {"unverified_action", "mfa_fatigue_success", "denied_then_acted"} <= alerts
    assert {row["kind"] for row in rows} == {"verdict", "alert"}


def test_nobody_is_taken_for_an_attacker_because_they_work_fast() -> None:
    crowd = [timed.happening.value for timed in some(3, people=30, rate=60.0, count=15_000)]
    steps = [json.loads(value) for value in crowd if b'"otp_step"' in value]
    assert len(steps) > 5
    used = Counter((step["data"]["credential"], step["data"]["otp_step"]) for step in steps)
    assert max(used.values()) == 1


def test_some_proofs_arrive_late_and_the_file_says_when(lines: list[bytes]) -> None:
    late = [event for event in map(json.loads, lines) if "arrival" in event]
    assert late
    assert {event["type"] for event in late} == {"stepwatch.stepup.verified"}
    for event in late:
        arrival_us, time_us = parse_time(event["arrival"]), parse_time(event["time"])
        assert arrival_us is not None
        assert time_us is not None
        assert arrival_us - time_us == 23 * SECOND_US


def test_events_are_in_the_order_in_which_they_are_sent_at_the_rate_that_was_asked_for(lines: list[bytes]) -> None:
    events = [json.loads(line) for line in lines]
    sent = [parse_time(event.get("arrival", event["time"])) or 0 for event in events]
    assert sent == sorted(sent)
    assert sent[0] >= T0_US
    assert sent[-1] < T0_US + 600 * SECOND_US
    steady = [
        event
        for event, at_us in zip(events, sent, strict=True)
        if at_us >= T0_US + RAMP_US and event["type"] != "stepwatch.heartbeat"
    ]
    assert len(steady) == pytest.approx(40 * (600 - RAMP_US / SECOND_US), rel=0.05)


def test_each_source_is_alive_all_the_time(lines: list[bytes]) -> None:
    events = [json.loads(line) for line in lines]
    beats = Counter(event["source"] for event in events if event["type"] == "stepwatch.heartbeat")
    spoke = {event["source"] for event in events if event["type"] != "stepwatch.heartbeat"}
    assert spoke <= beats.keys()
    assert set(beats.values()) == {600 * SECOND_US // BEAT_US}


def test_the_same_seed_and_start_are_the_same_bytes_and_any_other_share_no_id() -> None:
    ids = {
        name: [json.loads(timed.happening.value)["id"] for timed in crowd]
        for name, crowd in {"one": some(1), "seed": some(2), "start": some(1, start_us=T0_US + 1)}.items()
    }
    assert some(1) == some(1)
    assert all(len(set(found)) == len(found) for found in ids.values())
    assert not set(ids["one"]) & set(ids["seed"])
    assert not set(ids["one"]) & set(ids["start"])


def test_people_are_as_many_as_were_asked_for_and_have_names_of_their_own() -> None:
    subjects = {t.happening.subject for t in some(1, people=20_000, rate=2000.0, count=6000) if not t.is_heartbeat}
    assert len(subjects) > 1500
    assert {t.happening.subject for t in some(1, people=1, count=2000) if not t.is_heartbeat} >= {
        "svc-settlement-eu"
    }, "a robot acts even where one person works"


@pytest.mark.parametrize(("hour", "most"), [(11, "day"), (23, "night")])
def test_by_day_those_of_the_day_work_and_at_night_those_of_the_night(hour: int, most: str) -> None:
    crowd = Crowd(1, T0_US - 9 * HOUR_US + hour * HOUR_US, 120, 100.0)
    found = [crowd._somebody(crowd._start_us).subject for _ in range(600)]
    night = {person.subject for number, person in enumerate(crowd._named) if number % 12 == 11}
    share = sum(subject in night for subject in found) / len(found)
    assert share < 0.05 if most == "day" else share > 0.3


def test_a_count_is_the_number_of_events_and_it_ends_before_now(tmp_path: Path) -> None:
    done = run(tmp_path, "events", "generate", "--count", "250", "--rate", "10")
    kinds = Counter(row["type"] == "stepwatch.heartbeat" for row in done.rows)
    assert kinds[False] == 250
    (tmp_path / "e.jsonl").write_text(done.out)
    assert run(tmp_path, "events", "check", "--strict", "e.jsonl").status == 0


def test_it_ends_quietly_when_its_reader_has_enough(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "events", "generate"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"{")
    process.stdout.close()
    assert process.wait(60) == 128 + 13
    assert process.stderr.read() == b""
    process.stderr.close()


WRONG: list[tuple[list[str], str]] = [
    (["--to", "topic"], "expected kafka, or -"),
    (["--count", "5", "--duration", "1m"], "give one"),
    (["--to", "kafka", "--start", START], "--start is for files"),
    (["--bootstrap", "x:1"], "--to kafka only"),
    (["--duration", "0s"], "more than nothing"),
    (["--duration", "1 hour"], "one whole number"),
    (["--start", "today"], "RFC 3339"),
    (["--rate", "0"], "0.001"),
    (["--people", "0"], "1"),
]


@pytest.mark.parametrize(("args", "words"), WRONG, ids=[" ".join(args) for args, _ in WRONG])
def test_a_wrong_option_ends_with_two(tmp_path: Path, args: list[str], words: str) -> None:
    done: Any = run(tmp_path, "events", "generate", *args)
    assert (done.status, done.out) == (2, "")
    assert words in done.err


def test_where_kafka_is_away_it_ends_with_three(tmp_path: Path) -> None:
    done = run(tmp_path, "events", "generate", "--to", "kafka", "--bootstrap", "127.0.0.1:1")
    assert (done.status, done.out) == (3, "")
    assert "no answer from Kafka at 127.0.0.1:1" in done.err
