"""What became of each record is counted once, and kept with the positions (contract section 8, the promise)."""

from __future__ import annotations

from typing import Any

import pytest

from stepwatch.agents.trials import Gone
from stepwatch.streams import intake, settling
from stepwatch.streams.accounting import KINDS
from stepwatch.streams.failing import EventFailed
from tests.core.driver import TOPICS, Driver, Record, an_event

POLICY = 'policies: [{id: p, match: {action: ["payments.*"]}, alert: {grace: 10s}}]'
GRACE_US = 10_000_000


def of_every_kind(driver: Driver) -> None:
    """Records of which each kind is one, in both inputs, but for responses."""
    driver.action("a-1")
    driver.action("a-1", time_us=driver.log.now_us)
    driver.action("plain", action="docs.read")
    driver.evidence("stepup.verified", "v-1", amr=["hwk"])
    driver.evidence("stepup.verified", "v-1", amr=["otp"])
    driver.heartbeat("/idp")
    driver.send(TOPICS.actions, b"not json")
    driver.send(TOPICS.authentications, an_event("thing.of.tomorrow", "t-1"))
    driver.respond("al_1", "acknowledge")


def test_of_every_record_it_is_counted_once_what_became_of_it() -> None:
    driver = Driver(POLICY)
    of_every_kind(driver)
    accounts = driver.correlator.accounts
    assert accounts[TOPICS.actions] == {"audit": 2, "duplicate": 1, "dead_letter": 1}
    assert accounts[TOPICS.authentications] == {"evidence": 1, "dead_letter": 1, "heartbeat": 1, "skipped": 1}
    assert accounts[TOPICS.responses] == {"response": 1}
    for topic, account in accounts.items():
        assert sum(account.values()) == len(driver.log.records[topic])
        assert set(account) <= set(KINDS)


def test_a_record_that_is_moved_is_counted_where_it_lay() -> None:
    driver = Driver(POLICY, partition=0, partitions=64)
    driver.action("a-1")
    assert driver.correlator.accounts[TOPICS.actions] == {"moved": 1}


def test_the_account_goes_on_after_a_restart() -> None:
    driver = Driver(POLICY)
    of_every_kind(driver)
    before = {topic: dict(account) for topic, account in driver.correlator.accounts.items()}
    driver.restart()
    assert driver.correlator.accounts == before
    driver.action("a-2")
    assert driver.correlator.accounts[TOPICS.actions]["audit"] == before[TOPICS.actions]["audit"] + 1


def broken(event_id: str, accept: Any) -> Any:
    """An `accept` that raises on one event."""

    def raising(partition: Any, event: Any, *rest: Any) -> Any:
        if event.id == event_id:
            raise ZeroDivisionError("no idea")
        return accept(partition, event, *rest)

    return raising


def test_a_failure_while_reading_names_its_record_and_a_condemned_one_is_a_dead_letter_unread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake, "accept", broken("a-2", intake.accept))
    driver = Driver(POLICY)
    for event_id in ("a-1", "a-2", "a-3"):
        driver.log.append(TOPICS.actions, an_event("action.performed", event_id, action="payments.pay", session="s"))
    with pytest.raises(EventFailed) as failed:
        driver.read(TOPICS.actions)
    assert failed.value.where == (TOPICS.actions, 1)
    driver.restart()
    effects = driver.correlator.take(TOPICS.actions, driver.log.records[TOPICS.actions], 0, {1: "ZeroDivisionError"})
    [letter] = effects.dead_letters
    headers = dict(letter.headers)
    assert (headers["error"], headers["detail"], headers["offset"]) == (b"bug", b"ZeroDivisionError", b"1")
    assert driver.correlator.accounts[TOPICS.actions] == {"audit": 2, "dead_letter": 1}


def test_a_failure_long_after_an_action_was_accepted_names_that_action_and_it_can_be_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = Driver(POLICY)
    driver.action("a-1")
    driver.action("a-2")
    rows = settling.judged_row

    def raising(action: Any, *rest: Any) -> Any:
        if action.id == "a-1":
            raise LookupError("no words")
        return rows(action, *rest)

    monkeypatch.setattr(settling, "judged_row", raising)
    with pytest.raises(EventFailed) as failed:
        driver.pulse(driver.log.now_us + GRACE_US)
    assert failed.value.where == (TOPICS.actions, 0)
    driver.restart()
    first: Record = driver.log.records[TOPICS.actions][0]
    effects = driver.correlator.condemn(TOPICS.actions, first, "LookupError: no words", 0)
    assert [dict(letter.headers)["error"] for letter in effects.dead_letters] == [b"bug"]
    account = driver.correlator.accounts[TOPICS.actions]
    assert (account["audit"], account["dead_letter"]) == (1, 1)
    driver.read()
    driver.pulse(driver.log.now_us + GRACE_US)
    assert {row["action_id"] for row in driver.rows} == {"a-2"}


def test_an_action_whose_record_is_gone_is_let_go_with_its_place_alone() -> None:
    driver = Driver(POLICY)
    driver.action("a-1")
    effects = driver.correlator.condemn(TOPICS.actions, Gone(0), "LookupError: no words", 0)
    [letter] = effects.dead_letters
    assert (letter.key, letter.value, dict(letter.headers)["offset"]) == (None, None, b"0")
    assert driver.correlator.open_count == 1  # its moment is left in the heap, and nothing waits for it there
    driver.pulse(driver.log.now_us + 2 * 3600 * 1_000_000)
    assert driver.correlator.open_count == 0
    assert driver.rows == []
