"""PagerDuty is told in the form of its Events API v2, within its limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepwatch.notifiers.delivery import Outcome, Step
from stepwatch.notifiers.pagerduty import (
    DEDUP_KEY_CHARACTERS_MAX,
    EVENT_BYTES_MAX,
    SUMMARY_CHARACTERS_MAX,
    build_event,
    dedup_key,
)
from stepwatch.notifiers.sending import json_bytes
from tests.notifiers.deliveries import HOSTILE, KEY, LONG, deliver, delivery, of_text, receiver, secret_file
from tests.notifiers.loopback import Says, loopback

ROUTING_KEY = "0123456789abcdef0123456789abcdef"
ACCEPTED = Says(202, b'{"status":"success","message":"Event processed","dedup_key":"x"}')


def test_each_step_is_an_event_under_the_alerts_id(tmp_path: Path) -> None:
    with loopback(ACCEPTED) as server:
        pager = receiver(type="pagerduty", url=server.url, routing_key_file=secret_file(tmp_path, ROUTING_KEY))
        answers = deliver(pager, *(delivery(step) for step in Step))
    assert {answer.outcome for answer in answers} == {Outcome.DELIVERED}
    events = [got.json for got in server.got]
    assert [event["event_action"] for event in events] == ["trigger", "trigger", "acknowledge", "resolve"]
    assert {(event["routing_key"], event["dedup_key"]) for event in events} == {(ROUTING_KEY, KEY)}
    # PagerDuty takes no payload but with a trigger.
    assert ["payload" in event for event in events] == [True, True, False, False]


def test_a_trigger_says_all_that_pagerduty_has_fields_for() -> None:
    event = build_event(delivery(), ROUTING_KEY)
    payload = event["payload"]
    assert payload["summary"] == (
        "alice: payments.payout.approve on payout po_991: not verified: the last proof was too old; "
        "nearest: security key tap 42 s too old"
    )
    assert (payload["severity"], payload["source"], payload["component"]) == (
        "critical",
        "stepwatch/acme",
        "payout-approve",
    )
    assert (payload["class"], payload["group"]) == ("unverified_action", "acme")
    assert payload["timestamp"] == "2026-11-24T09:15:00.000000Z"
    assert payload["custom_details"]["nearest proof"] == "security key tap 42 s too old"
    assert payload["custom_details"]["command"].startswith("stepwatch sql ")
    assert [link["text"] for link in event["links"]] == ["Runbook", "Console"]
    assert event["client_url"].endswith(KEY)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("critical", "critical"),
        ("high", "error"),
        ("medium", "warning"),
        ("low", "info"),
        ("of the future", "critical"),
    ],
)
def test_each_severity_has_its_own_at_pagerduty(ours: str, theirs: str) -> None:
    assert build_event(delivery(severity=ours), ROUTING_KEY)["payload"]["severity"] == theirs


def test_a_summary_is_cut_at_pagerdutys_limit_and_not_before() -> None:
    whole = of_text("x" * ((SUMMARY_CHARACTERS_MAX - 2) // 2))
    assert len(build_event(whole, ROUTING_KEY)["payload"]["summary"]) == SUMMARY_CHARACTERS_MAX
    cut = build_event(of_text("x" * (SUMMARY_CHARACTERS_MAX // 2)), ROUTING_KEY)["payload"]["summary"]
    assert len(cut) == SUMMARY_CHARACTERS_MAX
    assert cut.endswith("…")


def test_a_key_that_is_too_long_becomes_its_hash_the_same_each_time() -> None:
    assert dedup_key("k" * DEDUP_KEY_CHARACTERS_MAX) == "k" * DEDUP_KEY_CHARACTERS_MAX
    long = dedup_key("k" * (DEDUP_KEY_CHARACTERS_MAX + 1))
    assert long == dedup_key("k" * (DEDUP_KEY_CHARACTERS_MAX + 1))
    assert long != dedup_key("k" * (DEDUP_KEY_CHARACTERS_MAX + 2))
    assert len(long) <= DEDUP_KEY_CHARACTERS_MAX


@pytest.mark.parametrize("text", [LONG, HOSTILE * 10_000, "\x00" * 100_000])
def test_an_event_of_any_text_stays_within_pagerdutys_size(text: str) -> None:
    assert len(json_bytes(build_event(of_text(text), ROUTING_KEY))) <= EVENT_BYTES_MAX


def test_an_invalid_event_is_refused_with_pagerdutys_reason(tmp_path: Path) -> None:
    with loopback(Says(400, b'{"status":"invalid event","errors":["summary is too long"]}')) as server:
        pager = receiver(type="pagerduty", url=server.url, routing_key_file=secret_file(tmp_path, ROUTING_KEY))
        [answer] = deliver(pager, delivery())
    assert answer.outcome is Outcome.REFUSED
    assert "summary is too long" in answer.words


def test_a_wrong_key_is_no_fault_of_the_event_and_is_not_shown(tmp_path: Path) -> None:
    body = f'{{"status":"invalid event","errors":["\'routing_key\' {ROUTING_KEY} is wrong"]}}'.encode()
    with loopback(Says(400, body)) as server:
        pager = receiver(type="pagerduty", url=server.url, routing_key_file=secret_file(tmp_path, ROUTING_KEY))
        [answer] = deliver(pager, delivery())
    assert (answer.outcome, answer.is_misset) == (Outcome.RETRY, True)
    assert "is wrong" in answer.words
    assert ROUTING_KEY not in answer.words


def test_a_key_that_was_rotated_is_used_without_a_restart(tmp_path: Path) -> None:
    path = Path(secret_file(tmp_path, "old-key"))
    with loopback(ACCEPTED) as server:
        pager = receiver(type="pagerduty", url=server.url, routing_key_file=path)
        path.write_text("new-key")
        deliver(pager, delivery())
        assert server.got[0].json["routing_key"] == "new-key"


def test_a_key_that_is_gone_is_tried_again_and_nothing_is_sent(tmp_path: Path) -> None:
    path = Path(secret_file(tmp_path, "old-key"))
    with loopback(ACCEPTED) as server:
        pager = receiver(type="pagerduty", url=server.url, routing_key_file=path)
        path.unlink()
        [answer] = deliver(pager, delivery())
        assert (answer.outcome, answer.unsent, server.got) == (Outcome.RETRY, True, [])
    assert "routing_key_file" in answer.words
