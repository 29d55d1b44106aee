"""The law: whatever the order, copies, batch borders and restarts, the last revision is the batch's verdict."""

import json
import random
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwatch.streams.decode import Event, decode, tie_hash
from stepwatch.streams.sets import PolicySets, build_set
from tests.judge.judge import judge_file
from tests.judge.worlds import World, world
from tests.laws.stream import Pair, Reader, as_topics, event_key, in_whole_ms, open_alerts_of, verdicts_of
from tests.laws.worldsets import sets_of

LAW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def batch(lines: list[bytes], some_world: World) -> tuple[list[str], list[str]]:
    """Verdicts and open alerts as the judge computes them from all records."""
    rows = judge_file(lines, some_world.policies)
    verdicts = [
        {name: value for name, value in row.items() if name not in ("kind", "age_us")}
        for row in rows
        if row["kind"] == "verdict"
    ]
    alerts = [
        {name: value for name, value in row.items() if name != "kind"}
        for row in rows
        if row["kind"] == "alert" and row["alert"] != "source_silence"
    ]
    return canonical(verdicts), canonical(alerts)


def canonical(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Rows that can be compared whatever their order."""
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def read_somehow(reader: Reader, rng: random.Random, restarts: float) -> None:
    """Any interleaving of the two partitions, any batch borders, restarts with and without the last batch."""
    whole_topic_first = rng.random() < 0.3
    while topics := reader.left():
        topic = topics[0] if whole_topic_first else rng.choice(topics)
        chance = rng.random()
        reader.read(topic, rng.choice((1, 1, 2, 3, 1000)), commit=chance >= restarts / 2)
        if chance > 1 - restarts / 2:
            reader.restart()


def run(some_world: World, seed: int, restarts: float) -> tuple[Reader, list[bytes]]:
    """Read a world in an order that the seed chooses, to the end."""
    rng = random.Random(seed)
    sets = sets_of(some_world)
    lines = in_whole_ms(some_world.lines, sets)
    reader = Reader(sets, as_topics(lines, rng, sets))
    read_somehow(reader, rng, restarts)
    reader.finish()
    return reader, lines


@LAW
@given(world(), st.integers(0, 2**32))
def test_any_order_copies_and_batch_borders_give_the_verdicts_of_the_batch(some_world: World, seed: int) -> None:
    reader, lines = run(some_world, seed, restarts=0.0)
    verdicts, alerts = batch(lines, some_world)
    assert canonical(verdicts_of(reader.outputs)) == verdicts
    assert canonical(open_alerts_of(reader.outputs)) == alerts


@LAW
@given(world(), st.integers(0, 2**32))
def test_restarts_from_encoded_state_give_the_verdicts_of_the_batch(some_world: World, seed: int) -> None:
    reader, lines = run(some_world, seed, restarts=0.6)
    verdicts, alerts = batch(lines, some_world)
    assert canonical(verdicts_of(reader.outputs)) == verdicts
    assert canonical(open_alerts_of(reader.outputs)) == alerts


@LAW
@given(world(), st.integers(0, 2**32))
def test_revisions_count_from_one_without_gap_and_each_says_something_new(some_world: World, seed: int) -> None:
    reader, _ = run(some_world, seed, restarts=0.4)
    for rows in reader.outputs.rows.values():
        if rows[0]["verdict"] == "not_required":
            # The stream does not remember these: a copy repeats its row under the same key (section 3, "one limit").
            assert {row["revision"] for row in rows} == {1}
            continue
        assert [row["revision"] for row in rows] == list(range(1, len(rows) + 1))
        assert all(row["event_data"] == "" for row in rows[1:])
        said = [(row["verdict"], row["reason"], row["verification"], row["nearest_miss"]) for row in rows]
        assert all(one != next_one for one, next_one in pairwise(said))
    for versions in reader.outputs.alerts.values():
        assert [row["version"] for row in versions] == list(range(1, len(versions) + 1))


@LAW
@given(world(), st.integers(0, 2**32))
def test_records_moved_between_partitions_give_the_verdicts_of_the_batch(some_world: World, seed: int) -> None:
    rng = random.Random(seed)
    sets = sets_of(some_world)
    lines = one_body_each(in_whole_ms(some_world.lines, sets), sets)
    pair = Pair(sets, as_topics(lines, rng, sets), rng)
    pair.read_somehow(restarts=0.3)
    outputs = pair.finish()
    verdicts, alerts = batch(lines, some_world)
    assert canonical(verdicts_of(outputs)) == verdicts
    assert canonical(open_alerts_of(outputs)) == alerts


def one_body_each(lines: list[bytes], sets: PolicySets) -> list[bytes]:
    """Without other bodies of one event: which of two is the event is not looked at again when one was moved."""
    bodies: dict[tuple[str, ...], str] = {}
    kept = []
    for line in lines:
        outcome = decode(line, None)
        if not isinstance(outcome, Event) or bodies.setdefault(event_key(outcome, sets), tie_hash(line)) == tie_hash(
            line
        ):
            kept.append(line)
    return kept


@LAW
@given(world(), st.integers(0, 2**32))
def test_a_restart_changes_nothing_of_what_follows(some_world: World, seed: int) -> None:
    """The same batches with a restart after each say the same as without any."""
    rng = random.Random(seed)
    sets = sets_of(some_world)
    topics = as_topics(in_whole_ms(some_world.lines, sets), rng, sets)
    steady = Reader(sets, {topic: list(records) for topic, records in topics.items()})
    restarted = Reader(sets, topics)
    while choices := steady.left():
        topic, count = rng.choice(choices), rng.choice((1, 2, 5))
        for reader in (steady, restarted):
            reader.read(topic, count)
        restarted.restart()
    steady.finish()
    restarted.finish()
    assert steady.outputs.rows == restarted.outputs.rows
    assert steady.outputs.alerts == restarted.outputs.alerts
    assert steady.outputs.state == restarted.outputs.state


def test_nothing_read_after_the_close_changes_the_verdict() -> None:
    sets = PolicySets([build_set([("p.yaml", "version: 1\npolicies: [{id: p, match: {action: ['*']}}]")], None)])
    action = (
        b'{"id":"a","source":"/app","type":"stepwatch.action.performed","time":"2026-11-24T10:00:00Z",'
        b'"subject":"alice","arrival":"2026-11-24T10:00:00Z","data":{"session":"s","action":"x.y"}}'
    )
    proof = (
        b'{"id":"v","source":"/idp","type":"stepwatch.stepup.verified","time":"2026-11-24T09:59:00Z",'
        b'"subject":"alice","arrival":"%s","data":{"session":"s","amr":["otp"]}}'
    )
    # close = arrival + grace 10 s + revise_within 1 h
    for arrival, verdict in (
        (b"2026-11-24T11:00:10Z", "verified"),
        (b"2026-11-24T11:00:10.001Z", "unverified"),
    ):
        reader = Reader(sets, as_topics([action, proof % arrival], random.Random(1), sets))
        reader.read("stepwatch.actions", 9)
        reader.finish()
        assert [row["verdict"] for row in verdicts_of(reader.outputs)] == [verdict]
