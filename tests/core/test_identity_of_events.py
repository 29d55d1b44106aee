"""Which records are one event, and which of them it is: copies, conflicts, ties (contract section 3)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest

from stepwatch.schemas.times import MINUTE_US, SECOND_US, format_time
from stepwatch.streams.decode import body_hash, tie_hash
from stepwatch.streams.replay import replay
from tests.core.driver import T0_US, TOPICS, Driver, Row, an_event, sets_of
from tests.core.raw_events import raw

POLICY = """
identities: [{subject: alice, aliases: ["00u1abc"]}]
policies:
  - {id: payouts, match: {action: ["payments.*"]}}
  - {id: keys, match: {action: ["keys.*"]}}
  - {id: free, match: {action: ["free.*"]}, exempt: {when: "true"}}
"""
PAYOUT, KEYS, FREE, VIEW = "payments.payout", "keys.export", "free.lunch", "reports.view"


def act(action: str, event_id: str = "a-1", arrival_us: int | None = None, **more: Any) -> Row:
    """An action at T0; in a file, with its arrival."""
    made = an_event("action.performed", event_id, action=action, **more)
    return made if arrival_us is None else {**made, "arrival": format_time(arrival_us)}


def judged(lines: Sequence[Row]) -> list[Row]:
    """The verdicts of a file."""
    rows = list(replay([raw(line) for line in lines], sets_of(POLICY)))
    assert not [row for row in rows if row["kind"] == "rejected"]
    return [row for row in rows if row["kind"] == "verdict"]


def policies_of(lines: Sequence[Row]) -> list[str]:
    return sorted(row["policy"] for row in judged(lines))


def stored(driver: Driver) -> dict[bytes, bytes]:
    """What lies in the state topic beside input positions."""
    return {key: value for key, value in driver.state.items() if not key.startswith(b"\0position|")}


DIFFERENCES = {
    "tenant": (act(PAYOUT, tenant="acme"), act(PAYOUT, tenant="globex")),
    "subject": (act(PAYOUT), act(PAYOUT, subject="bob")),
    "source": (act(PAYOUT), act(PAYOUT, source="/other")),
    "id": (act(PAYOUT), act(PAYOUT, "a-2")),
    "case of the id": (act(PAYOUT, "a-1"), act(PAYOUT, "A-1")),
}


@pytest.mark.parametrize("pair", DIFFERENCES.values(), ids=DIFFERENCES)
def test_events_that_differ_in_tenant_subject_source_or_id_are_two(pair: tuple[Row, Row]) -> None:
    assert len(judged(pair)) == 2
    driver = Driver(POLICY)
    for made in pair:
        driver.send(TOPICS.actions, made)
    driver.pulse(T0_US + 10 * SECOND_US)
    assert len(driver.rows) == 2
    assert driver.faults == []


def test_an_action_and_an_authentication_event_of_one_id_are_two_events() -> None:
    lines = [act(PAYOUT, "same", source="/x"), an_event("stepup.verified", "same", source="/x", session="s1")]
    lines[0]["data"]["session"] = "s1"
    assert [row["verdict"] for row in judged(lines)] == ["verified"]
    driver = Driver(POLICY)
    driver.evidence("stepup.verified", "same", source="/x")
    driver.action("same", source="/x")
    assert driver.verdict("same", "/x")["verdict"] == "verified"


def test_two_authentication_types_share_one_family_so_one_id_is_one_event() -> None:
    driver = Driver(POLICY)
    driver.evidence("stepup.challenged", "same")
    driver.evidence("stepup.verified", "same")
    assert driver.faults == [("conflict", "id")]
    assert [row["type"] for row in driver.evidence_rows] == ["stepup.challenged"]


def test_an_alias_and_its_subject_name_the_same_event() -> None:
    assert len(judged([act(PAYOUT), act(PAYOUT, subject="00u1abc")])) == 1
    driver = Driver(POLICY)
    driver.action("a-1")
    driver.action("a-1", subject="00u1abc")
    assert driver.faults == [("conflict", "id")], "its body names another subject"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_first_record_to_arrive_in_a_file_is_the_event_whatever_the_order_of_lines(
    order: tuple[int, ...],
) -> None:
    copies = [
        act(KEYS, arrival_us=T0_US + 1),
        act(PAYOUT, arrival_us=T0_US + 2),
        act(VIEW, arrival_us=T0_US + MINUTE_US),
    ]
    assert policies_of([copies[i] for i in order]) == ["keys"]


def test_one_microsecond_decides_which_record_of_a_file_came_first() -> None:
    for first, second in ((KEYS, PAYOUT), (PAYOUT, KEYS)):
        lines = [act(second, arrival_us=T0_US + 1), act(first, arrival_us=T0_US)]
        assert policies_of(lines) == policies_of(lines[::-1]) == ["keys" if first == KEYS else "payouts"]


def test_a_line_without_arrival_arrived_at_its_time() -> None:
    assert policies_of([act(KEYS, arrival_us=T0_US + 1), act(PAYOUT)]) == ["payouts"]
    assert policies_of([act(KEYS, arrival_us=T0_US - 1), act(PAYOUT)]) == ["keys"]


def sha_256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_hash_of_a_tie_is_over_sorted_keys_no_spaces_non_ascii_as_is_and_numbers_as_python_prints_them() -> None:
    sent = '{ "b" : [1.0, 1E2, 10000000000000000000000, 0.10, -0, "\\u00e9\\ud83d\\ude00\\n"],'
    sent += ' "arrival":"2026-11-24T09:00:00Z", "a" : {"é":null, "Z":true} }'
    canonical = '{"a":{"Z":true,"é":null},"b":[1.0,100.0,10000000000000000000000,0.1,0,"é😀\\n"]}'
    assert tie_hash(sent.encode()) == sha_256(canonical)


def test_of_records_that_arrive_together_in_a_file_the_one_with_the_smaller_hash_is_the_event() -> None:
    winners = set()
    for number in range(12):
        pair = [act(PAYOUT, resource={"id": f"po_{number}"}), act(KEYS, resource={"id": "é"})]
        canonical = [json.dumps(e, sort_keys=True, separators=(",", ":"), ensure_ascii=False) for e in pair]
        winner = "payouts" if sha_256(canonical[0]) < sha_256(canonical[1]) else "keys"
        with_arrival = [{**pair[0], "arrival": pair[0]["time"]}, pair[1]]
        for lines in (pair, pair[::-1], with_arrival, with_arrival[::-1]):
            assert policies_of(lines) == [winner]
        winners.add(winner)
    assert winners == {"payouts", "keys"}, "both outcomes were seen"


@pytest.mark.parametrize("one_batch", [True, False])
@pytest.mark.parametrize(("first", "second"), [(PAYOUT, KEYS), (KEYS, PAYOUT)])
def test_of_records_that_arrive_together_in_a_partition_the_one_with_the_lower_offset_is_the_event(
    first: str, second: str, one_batch: bool
) -> None:
    driver = Driver(POLICY)
    for action in (first, second):
        driver.log.append(TOPICS.actions, act(action), T0_US)
    driver.read(limit=None if one_batch else 1)
    driver.read()
    driver.pulse(T0_US + 10 * SECOND_US)
    assert [row["action"] for row in driver.rows] == [first]
    assert driver.faults == [("conflict", "id")]


def test_the_arrival_of_a_record_is_the_greatest_append_time_up_to_it() -> None:
    driver = Driver(POLICY)
    driver.log.append(TOPICS.actions, act(VIEW, "a-1"), T0_US + SECOND_US)
    driver.log.append(TOPICS.actions, act(VIEW, "a-2"), T0_US)
    driver.read()
    assert {row["arrival"] for row in driver.rows} == {format_time(T0_US + SECOND_US)}


@pytest.mark.parametrize("action", [PAYOUT, FREE])
@pytest.mark.parametrize("restart", [False, True])
def test_a_copy_with_the_same_body_changes_nothing(action: str, restart: bool) -> None:
    driver = Driver(POLICY)
    driver.send(TOPICS.actions, act(action))
    driver.evidence("stepup.denied", "d-1", time_us=T0_US)
    driver.pulse(T0_US + 10 * SECOND_US)
    rows, before = list(driver.rows), stored(driver)
    if restart:
        driver.restart()
    for topic in (TOPICS.actions, TOPICS.authentications):
        first = driver.log.records[topic][0]
        spaced = json.dumps(dict(reversed(json.loads(first.value or b"").items())), indent=1).encode()
        for copy in (first.value, spaced):
            driver.send(topic, copy, driver.log.now_us + SECOND_US)
            assert driver.effects.only_position
    assert driver.rows == rows
    assert stored(driver) == before
    assert driver.counts["copies"] == 4
    assert driver.faults == []


@pytest.mark.parametrize("action", [PAYOUT, FREE])
@pytest.mark.parametrize("restart", [False, True])
def test_a_copy_with_another_body_is_counted_and_dead_lettered_as_conflict(action: str, restart: bool) -> None:
    driver = Driver(POLICY)
    driver.send(TOPICS.actions, act(action))
    driver.evidence("stepup.denied", "d-1", time_us=T0_US)
    driver.pulse(T0_US + 10 * SECOND_US)
    rows, before = list(driver.rows), stored(driver)
    if restart:
        driver.restart()
    driver.send(TOPICS.actions, act(action, note="another"))
    driver.evidence("stepup.denied", "d-1", time_us=T0_US, session="s2")
    assert driver.faults == [("conflict", "id"), ("conflict", "id")]
    assert driver.counts["dead_letters.conflict"] == 2
    assert driver.dead_letters[0].value == raw_of(act(action, note="another"))
    assert driver.rows == rows
    assert stored(driver) == before


def raw_of(made: Row) -> bytes:
    """As the driver's log writes it."""
    return json.dumps(made, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("null", "5", False),
        ("1", "2", False),
        ("1e400", "null", False),
        ("1e400", "-1e400", False),
        ("1" * 4_200, "2" * 4_200, False),
        (str(2**64), str(2**64 + 1), False),
        ("true", '"true"', False),
        ("[1,2]", "[2,1]", False),
        ('{"a":1,"b":2}', '{"b":2,"a":1}', True),
        ('"\\u0061"', '"a"', True),
        ("[ 1 ,\n2 ]", "[1,2]", True),
    ],
)
def test_spaces_escapes_and_the_order_of_keys_make_no_other_body_and_all_else_does(
    one: str, other: str, same: bool
) -> None:
    hashes = [body_hash(f'{{"id":"i","data":{{"x":{text}}}}}'.encode()) for text in (one, other)]
    assert (hashes[0] == hashes[1]) is same


def test_copies_and_conflicts_of_a_file_give_no_row() -> None:
    lines = [act(PAYOUT), act(PAYOUT), act(PAYOUT, note="another", arrival_us=T0_US + 1)]
    rows = list(replay([raw(line) for line in lines], sets_of(POLICY)))
    assert [row["kind"] for row in rows] == ["verdict", "alert"]


def test_an_action_that_no_policy_matches_is_not_remembered_and_its_copy_repeats_its_row_under_the_same_key() -> None:
    driver = Driver(POLICY)
    driver.send(TOPICS.actions, act(VIEW))
    assert stored(driver) == {}
    keys = [key for key, _ in driver.effects.audit_rows()]
    driver.send(TOPICS.actions, act(VIEW))
    assert [key for key, _ in driver.effects.audit_rows()] == keys
    first, second = driver.rows
    names_of_the_row = ("tenant", "subject", "source", "action_id", "revision", "verdict", "reason", "policy")
    assert [first[name] for name in names_of_the_row] == [second[name] for name in names_of_the_row]
    assert driver.faults == []
    assert stored(driver) == {}


def test_a_later_copy_of_an_unmatched_action_whose_other_body_a_policy_matches_is_judged() -> None:
    driver = Driver(POLICY)
    driver.send(TOPICS.actions, act(VIEW))
    driver.send(TOPICS.actions, act(PAYOUT), T0_US + SECOND_US)
    driver.pulse(T0_US + 11 * SECOND_US)
    assert [row["verdict"] for row in driver.revisions("a-1")] == ["not_required", "unverified"]
    assert driver.faults == []


def test_a_file_is_judged_without_that_limit() -> None:
    lines = [act(VIEW), act(PAYOUT, arrival_us=T0_US + SECOND_US)]
    assert [row["verdict"] for row in judged(lines)] == ["not_required"]
    assert [row["verdict"] for row in judged(lines[::-1])] == ["not_required"]


@pytest.mark.parametrize("gap", [{"resource": {"sensitivity": "critical"}}, {"decision": {"result": "required"}}])
def test_an_unmatched_action_that_is_a_policy_gap_is_remembered(gap: Row) -> None:
    driver = Driver(POLICY)
    driver.send(TOPICS.actions, act(VIEW, **gap))
    driver.restart()
    driver.send(TOPICS.actions, act(VIEW, **gap))
    assert driver.counts["copies"] == 1
    assert len(driver.rows) == 1
    driver.send(TOPICS.actions, act(PAYOUT))
    assert driver.faults == [("conflict", "id")]


def test_records_below_the_position_are_no_copies_and_are_left_out() -> None:
    driver = Driver(POLICY)
    driver.send(TOPICS.actions, act(PAYOUT))
    driver.restart()
    driver.take(TOPICS.actions, driver.log.records[TOPICS.actions])
    assert driver.counts["copies"] == 0
    assert not any(driver.effects.counts.values())
