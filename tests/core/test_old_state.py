"""A newer worker reads the state that an older one wrote, and goes on as the older one would have."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from stepwatch.schemas.times import format_time
from stepwatch.streams.correlator import Correlator
from stepwatch.streams.state import STATE_VERSION, StateError
from tests.core.driver import TOPICS, Driver, Record
from tests.core.old_state import FILES, Old, load
from tests.judge.judge import judge_file

VERSIONS = sorted(FILES)
KINDS_KEPT = {"fact", "action", "remembered", "alert", "member"}


def going_on(old: Old) -> Driver:
    """A worker of this version on the older one's state, that has read all that follows."""
    driver = Driver(old.policy)
    driver.state = dict(old.state)
    driver.restart()
    for topic in TOPICS.inputs:
        driver.log.records[topic] = [*old.read[topic], *old.next[topic]]
    read_in_order(driver)
    return driver


def read_in_order(driver: Driver) -> None:
    """Read one record after the other, by their append times."""
    records = [(record, topic) for topic in TOPICS.inputs for record in driver.log.records[topic]]
    for record, topic in sorted(records, key=lambda pair: (pair[0].timestamp, TOPICS.inputs.index(pair[1]))):
        driver.log.now_us = record.timestamp * 1000
        driver.take(topic, [record])


def judged(old: Old) -> dict[str, dict[str, Any]]:
    """The law: the verdict of each action by the brute-force judge, from all records, before and after."""
    lines = [line for topic in TOPICS.inputs[:2] for line in arrivals([*old.read[topic], *old.next[topic]])]
    rows = judge_file(lines, [("policies.yaml", old.policy)])
    assert [row for row in rows if row["kind"] == "rejected"] == []
    return {row["action_id"]: row for row in rows if row["kind"] == "verdict"}


def arrivals(records: list[Record]) -> list[bytes]:
    """Lines of a file, each with its arrival; our own pulses are none."""
    lines, now_ms = [], 0
    for record in records:
        now_ms = max(now_ms, record.timestamp)
        event = json.loads(record.value or b"{}")
        if event["source"] != "stepwatch":
            lines.append(json.dumps({**event, "arrival": format_time(now_ms * 1000)}).encode())
    return lines


@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_older_version_left_behind_holds_every_kind_of_record(version: int) -> None:
    old = load(version)
    assert old.version == version
    assert {value[0] for value in old.state.values()} == {version}
    named = {msgspec.msgpack.decode(key)[0] for key in old.state if not key.startswith(b"\0")}
    assert named == KINDS_KEPT
    own = {key.split(b"|")[0] for key in old.state if key.startswith(b"\0")}
    assert {b"\0position", b"\0first", b"\0feed"} <= own
    assert {state for _, state in old.alerts.values()} == {"open", "acknowledged", "resolved"}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_verdict_after_an_upgrade_is_the_one_of_the_law(version: int) -> None:
    old = load(version)
    driver = going_on(old)
    said = {row["action_id"]: row for row in driver.rows}
    law = judged(old)
    assert {name: (row["verdict"], row["reason"]) for name, row in said.items()} == {
        "a-late": ("verified", "step_up"),
        "a-void": ("unverified", "voided"),
        "a-uses": ("unverified", "over_used"),
        "a-earlier": ("verified", "step_up"),
        "a-ann": ("verified", "step_up"),
        "a-blind": ("unverified", "no_step_up"),
        "a-waiting": ("unverified", "no_step_up"),
        "a-waiting-too": ("verified", "step_up"),
        "a-rob-2": ("unverified", "no_step_up"),
    }
    for name, row in said.items():
        assert (law[name]["verdict"], law[name]["reason"]) == (row["verdict"], row["reason"])
    # Of what was said before nothing else had to change.
    assert set(law) - set(said) <= {action_id for _, action_id in old.revisions}


@pytest.mark.parametrize("version", VERSIONS)
def test_revisions_and_versions_of_alerts_go_on_counting_after_an_upgrade(version: int) -> None:
    old = load(version)
    driver = going_on(old)
    revisions = dict(old.revisions)
    for row in driver.rows:
        key = (row["source"], row["action_id"])
        revisions[key] = revisions.get(key, 0) + 1
        assert row["revision"] == revisions[key]
    versions = {alert_id: count for alert_id, (count, _) in old.alerts.items()}
    for row in driver.alerts:
        versions[row["alert_id"]] = versions.get(row["alert_id"], 0) + 1
        assert row["version"] == versions[row["alert_id"]]
    assert len(versions) > len(old.alerts), "the second half opens alerts of its own"


@pytest.mark.parametrize("version", VERSIONS)
def test_alerts_that_an_older_version_opened_resolve_reopen_and_stay(version: int) -> None:
    driver = going_on(load(version))
    last = {(row["subject"], row["kind"]): (row["state"], row["resolved_by"]) for row in driver.alerts}
    assert last["ann", "unverified_action"] == ("resolved", "late_verification")
    assert last["lou", "unverified_action"] == ("resolved", "late_verification")
    assert last["bob", "blind"] == ("resolved", "source_recovered")
    assert last["rob", "unverified_action"] == ("open", "")


@pytest.mark.parametrize("version", VERSIONS)
def test_copies_and_conflicts_of_what_an_older_version_read_are_known(version: int) -> None:
    old = load(version)
    driver = going_on(old)
    assert sorted(fault for fault in driver.faults) == [("conflict", "id"), ("conflict", "id")]
    copies = [r for topic in TOPICS.inputs[:2] for r in old.next[topic] if r.value in values(old, topic)]
    assert len(copies) == 4
    assert driver.counts["copies"] == len(copies)


def values(old: Old, topic: str) -> set[bytes | None]:
    """Every value that was read before."""
    return {record.value for record in old.read[topic]}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_upgraded_worker_ends_as_one_that_read_everything_itself(version: int) -> None:
    """The same alerts, the same state; what is not kept any more was forgotten by both."""
    old = load(version)
    upgraded = going_on(old)
    steady = Driver(old.policy)
    steady.log.records = {topic: [*old.read[topic], *old.next[topic]] for topic in TOPICS.inputs}
    read_in_order(steady)
    assert {row["alert_id"]: row["state"] for row in steady.alerts if row["alert_id"] in changed(upgraded)} == {
        row["alert_id"]: row["state"] for row in upgraded.alerts
    }
    # What the older one wrote and nobody touched since keeps its bytes, version and all.
    assert set(upgraded.state) == set(steady.state)


def changed(driver: Driver) -> set[str]:
    """Alerts that changed."""
    return {row["alert_id"] for row in driver.alerts}


def test_an_older_worker_refuses_the_state_of_a_newer_one_and_names_both_versions() -> None:
    old = load(VERSIONS[-1])
    key = next(iter(old.state))
    newer = {**old.state, key: bytes((STATE_VERSION + 1,)) + old.state[key][1:]}
    with pytest.raises(StateError) as refused:
        Correlator(partition=0, partitions=1, topics=TOPICS, sets=Driver(old.policy).sets, restored=newer.items())
    assert str(STATE_VERSION + 1) in str(refused.value)
    assert str(STATE_VERSION) in str(refused.value)
    assert "newer" in str(refused.value)
    assert not refused.value.retriable
