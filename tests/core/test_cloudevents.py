"""CloudEvents over Kafka in binary mode: attributes in `ce_` headers, data in the value (contract section 3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.schemas.cloudevents import to_structured
from stepwatch.schemas.topics import EVENT_BYTES_MAX
from tests.core.driver import T0_US, TOPICS, Driver, Row, an_event

POLICY = 'policies: [{id: p, match: {action: ["payments.*"]}}]'
Headers = list[tuple[str, bytes]]
DATA = b'{"tenant":"acme","action":"reports.view","session":"s-1"}'


def headers(**changes: bytes | None) -> Headers:
    """The attributes of an action; None leaves one out."""
    attributes: dict[str, bytes | None] = {
        "specversion": b"1.0",
        "id": b"e-1",
        "source": b"/app",
        "type": b"stepwatch.action.performed",
        "time": b"2026-11-24T09:00:00Z",
        "subject": b"alice",
    }
    attributes.update(changes)
    return [(f"ce_{name}", value) for name, value in attributes.items() if value is not None]


def taken(value: bytes | None, sent: Any, topic: str = TOPICS.actions) -> Driver:
    driver = Driver(POLICY)
    driver.send(topic, value, key=b"acme/alice", headers=sent)
    return driver


def row_of(value: bytes, sent: Any) -> Row:
    driver = taken(value, sent)
    assert driver.faults == []
    [row] = driver.rows
    return {name: value for name, value in row.items() if name != "decided_at"}


def envelope(**changes: Any) -> Row:
    made = an_event("action.performed", "body-id", source="/body", subject="body-subject")
    return {**made, "data": json.loads(DATA), **changes}


def test_an_action_in_binary_mode_is_judged_as_the_same_in_structured_mode() -> None:
    structured = envelope(id="e-1", source="/app", subject="alice", time="2026-11-24T09:00:00Z")
    compact = json.dumps(structured, separators=(",", ":")).encode()
    assert row_of(DATA, headers()) == row_of(compact, [])


def test_an_authentication_event_in_binary_mode_is_evidence() -> None:
    driver = taken(
        b'{"session":"s-1","amr":["hwk"]}',
        headers(type=b"stepwatch.stepup.verified", id=b"v-1"),
        TOPICS.authentications,
    )
    [row] = driver.evidence_rows
    assert (row["event_id"], row["amr"], row["session"]) == ("v-1", ["hwk"], "s-1")


def test_a_heartbeat_in_binary_mode_is_heard_though_it_has_neither_data_nor_subject() -> None:
    for value in (b"", None, b"null", b"{}"):
        driver = taken(value, headers(type=b"stepwatch.heartbeat", subject=None), TOPICS.authentications)
        assert driver.counts["heartbeats"] == 1
        assert driver.faults == []


@pytest.mark.parametrize(
    ("attribute", "column", "said_in_body"),
    [("id", "action_id", "body-id"), ("source", "source", "/body"), ("subject", "subject", "body-subject")],
)
def test_a_header_wins_over_the_body_and_the_body_says_what_no_header_says(
    attribute: str, column: str, said_in_body: str
) -> None:
    value = json.dumps(envelope()).encode()
    assert row_of(value, headers())[column] == dict(headers())[f"ce_{attribute}"].decode()
    assert row_of(value, headers(**{attribute: None}))[column] == said_in_body


def test_one_header_is_enough_to_win_over_a_wrong_attribute_of_the_body() -> None:
    assert row_of(json.dumps(envelope(id=5)).encode(), [("ce_id", b"e-1")])["action_id"] == "e-1"
    assert row_of(json.dumps(envelope(type="order.placed")).encode(), headers())["action_id"] == "e-1"


def test_the_data_of_an_envelope_in_the_body_stays_its_data_whatever_a_header_says() -> None:
    row = row_of(json.dumps(envelope()).encode(), [*headers(), ("ce_data", b'{"action":"other"}')])
    assert row["action"] == "reports.view"


def test_other_headers_are_no_attributes() -> None:
    sent = [*headers(), ("content-type", b"application/json"), ("CE_ID", b"no"), ("id", b"no"), ("x", b"\xff")]
    assert row_of(DATA, sent)["action_id"] == "e-1"


def test_headers_that_are_no_attributes_leave_a_structured_record_as_it_is() -> None:
    sent = [("content-type", b"application/cloudevents+json"), ("traceparent", b"00-1"), ("x", b"\xff")]
    assert row_of(json.dumps(envelope()).encode(), sent)["action_id"] == "body-id"


def test_an_extension_in_a_header_is_an_unknown_field() -> None:
    assert row_of(DATA, [*headers(), ("ce_traceparent", b"00-1"), ("ce_", b"")])["action_id"] == "e-1"


@pytest.mark.parametrize("attribute", ["id", "source", "type", "time", "subject"])
def test_an_attribute_that_no_header_says_is_missing(attribute: str) -> None:
    assert taken(DATA, headers(**{attribute: None})).faults == [("invalid", attribute)]
    assert taken(DATA, headers(**{attribute: b""})).faults == [("invalid", attribute)]


def test_a_header_without_a_value_is_absent() -> None:
    without = [*headers(subject=None), ("ce_subject", None), ("ce_x", None)]
    assert taken(DATA, without).faults == [("invalid", "subject")]
    assert row_of(DATA, [*headers(), ("ce_x", None)])["action_id"] == "e-1"


def test_attributes_are_utf_8_and_any_other_bytes_are_a_dead_letter() -> None:
    assert row_of(DATA, headers(id="zoë-😀".encode()))["action_id"] == "zoë-😀"
    for wrong in (b"\xff", b"\xed\xa0\x80"):
        [(_, field)] = taken(DATA, headers(id=wrong)).faults
        assert field == "json"


@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        b"{",
        b"{}{}",
        b'{"action":"\xff"}',
        b'{"action":"x","zz":"\\ud800"}',
        b'{"action":"x","zz":NaN}',
        b'{"action":"x","zz":01}',
        b'{"action":"x"},"id":"smuggled"',
        b'{"action":"x"}}',
        b"[" * 200,
        b'{"zz":' + b"[" * 500 + b"]" * 500 + b"}",
        b"[" * 100_000,
        b'{"zz":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: body[:20].decode(errors="replace"),
)
def test_a_body_that_is_no_json_is_a_dead_letter_with_its_own_bytes(body: bytes) -> None:
    driver = taken(body, headers())
    [(_, field)] = driver.faults
    assert field == "json"
    [letter] = driver.dead_letters
    assert (letter.key, letter.value) == (b"acme/alice", body)


@pytest.mark.parametrize(
    ("body", "field"), [(b"[]", "data"), (b"5", "data"), (b'"text"', "data"), (b"{}", "data.action")]
)
def test_a_body_that_is_json_but_no_data_of_ours_is_named_by_its_field(body: bytes, field: str) -> None:
    assert taken(body, headers()).faults == [("invalid", field)]


@pytest.mark.parametrize("number", ["1e400", "9" * 4_500, "1.0", "1E5"])
def test_data_goes_on_record_as_it_was_sent(number: str) -> None:
    body = f'{{"action": "x",\n"token": {{"n": {number}}}}}'
    assert row_of(body.encode(), headers())["event_data"] == body


def test_a_body_as_large_as_a_structured_event_may_be_is_not_blown_up_on_the_way() -> None:
    members = ",".join(f'"m{i}":[1,2,3]' for i in range(15_900))
    body = f'{{"action":"x",{members}}}'.encode()
    assert EVENT_BYTES_MAX - 8_000 < len(body) < EVENT_BYTES_MAX - 1_000
    assert taken(body, headers()).faults == []
    too_much = f'{{"action":"x","zz":"{"z" * EVENT_BYTES_MAX}"}}'.encode()
    assert taken(too_much, headers()).faults == [("invalid", "json")]


def test_the_same_event_in_both_modes_is_one_event() -> None:
    driver = Driver(POLICY)
    data = json.loads(DATA) | {"action": "payments.payout"}
    structured = an_event("action.performed", "e-1") | {"time": "2026-11-24T09:00:00Z", "data": data}
    driver.send(TOPICS.actions, structured)
    driver.send(TOPICS.actions, json.dumps(data).encode(), T0_US, headers=headers())
    assert driver.counts["copies"] == 1
    assert driver.faults == []


def test_the_structured_form_keeps_the_bytes_of_the_body() -> None:
    assert json.loads(to_structured(b' {"a" : 1.0} ', [("ce_id", b"x")])) == {"id": "x", "data": {"a": 1.0}}
    assert b'{"a" : 1.0}' in to_structured(b' {"a" : 1.0} ', [("ce_id", b"x")])
