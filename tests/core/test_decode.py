"""What is a dead letter and what is read: the record and its envelope (contract section 3)."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwatch.schemas.events import EVENT_TYPES
from stepwatch.schemas.times import MINUTE_US, SECOND_US, format_time
from stepwatch.schemas.topics import EVENT_BYTES_MAX
from stepwatch.streams.decode import Event, Fault, Heartbeat, Skipped, decode
from tests.core.driver import T0_US
from tests.core.raw_events import (
    ACTION,
    GONE,
    STARTED,
    VERIFIED,
    accepted,
    event,
    field_at_fault,
    heard,
    nested,
    of_size,
    raw,
    read,
)

HEARTBEAT = "heartbeat"


@pytest.mark.parametrize("kind", sorted(kind.removeprefix("stepwatch.") for kind in EVENT_TYPES))
def test_every_type_of_the_contract_is_read_in_structured_mode(kind: str) -> None:
    outcome = read(event(kind))
    if kind == HEARTBEAT:
        assert outcome == Heartbeat("/app", "e-1", T0_US, T0_US, 0)
    else:
        assert isinstance(outcome, Event)
        assert (outcome.type, outcome.subject, outcome.source) == (f"stepwatch.{kind}", "alice", "/app")
        assert (outcome.id, outcome.time_us, outcome.arrival_us) == ("e-1", T0_US, T0_US)


def test_unknown_fields_are_kept_and_ignored_in_the_envelope_in_data_and_in_its_parts() -> None:
    data = {"zz": [1, {"deep": None}], "client": {"ip": "203.0.113.7", "asn": 64500, "os": {"name": "x"}}}
    outcome = accepted(event(ACTION, data, datacontenttype="application/json", traceparent=7))
    assert outcome.raw_data == raw({"action": "payments.payout.approve", **data})
    assert outcome.data.client.ip == "203.0.113.7"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"{",
        b"}",
        b"null",
        b"true",
        b"5",
        b'"text"',
        b"[]",
        b"[{}]",
        b"{}{}",
        b"{} x",
        b"\xef\xbb\xbf{}",
        b"\x00",
        raw(event()) + b",",
        raw(event())[:-1],
        raw(event()).replace(b'"', b"'"),
        raw(event()).replace(b"}", b",}"),
        raw(event()).decode().encode("utf-16"),
    ],
)
def test_what_is_no_json_object_is_a_dead_letter(value: bytes) -> None:
    assert field_at_fault(value) == "json"


@pytest.mark.parametrize("where", ["known", "unknown", "envelope", "key"])
@pytest.mark.parametrize(
    "text",
    [
        rb"\ud800",
        rb"\uDFFF",
        rb"\udc00\ud800",
        rb"\ud800x",
        rb"\uD83d\u0041",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xc0\xaf",
        b"\xf4\x90\x80\x80",
        b"\n",
        b"\x1f",
        rb"\x41",
        rb"\u12",
        rb"\u12G4",
    ],
)
def test_bad_utf_8_a_lone_surrogate_or_a_bad_escape_is_a_dead_letter_wherever_it_stands(
    where: str, text: bytes
) -> None:
    made = {
        "known": event(ACTION, {"session": "HERE"}),
        "unknown": event(ACTION, {"zz": ["HERE"]}),
        "envelope": event(ACTION, zz="HERE"),
        "key": event(ACTION, {"HERE": 1}),
    }[where]
    assert field_at_fault(raw(made)) is None
    assert field_at_fault(raw(made).replace(b"HERE", text)) == "json"


@pytest.mark.parametrize("text", [rb"\ud83d\ude00", rb"\uD83D\uDE00", "😀".encode(), rb"\u0000", rb"\\ud800", b"\x7f"])
def test_a_pair_of_surrogates_and_any_other_character_is_read(text: bytes) -> None:
    outcome = accepted(raw(event(ACTION, {"session": "HERE"})).replace(b"HERE", text))
    assert outcome.data.session in ("😀", "\0", "\\ud800", "\x7f")


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"01", b"1.", b".5", b"+1", b"-", b"1e", b"0x1"])
@pytest.mark.parametrize("where", ["auth_time", "zz", "token"])
def test_nan_infinity_and_what_is_no_number_of_json_is_a_dead_letter_even_in_an_unknown_field(
    number: bytes, where: str
) -> None:
    value: Any = {"x": "HERE"} if where == "token" else "HERE"
    assert field_at_fault(raw(event(VERIFIED, {where: value})).replace(b'"HERE"', number)) == "json"


def test_an_event_of_256_kib_is_read_and_one_of_a_byte_more_is_a_dead_letter() -> None:
    assert len(of_size(EVENT_BYTES_MAX)) == EVENT_BYTES_MAX == 262_144
    assert field_at_fault(of_size(EVENT_BYTES_MAX)) is None
    assert field_at_fault(of_size(EVENT_BYTES_MAX + 1)) == "json"


def test_the_size_is_counted_in_bytes_and_not_in_characters() -> None:
    assert field_at_fault(of_size(EVENT_BYTES_MAX - 2, "é")) is None
    assert field_at_fault(of_size(EVENT_BYTES_MAX + 2, "é")) == "json"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_an_event_16_deep_is_read_and_one_17_deep_is_a_dead_letter(opening: str, closing: str) -> None:
    assert field_at_fault(nested(16, opening, closing)) is None
    assert field_at_fault(nested(17, opening, closing)) == "json"


@pytest.mark.parametrize("depth", [100, 400, 700, 900, 970, 990, 1_000, 5_000, 60_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"":', "}")])
def test_no_depth_brings_the_reader_down(depth: int, opening: str, closing: str) -> None:
    if depth * len(opening + closing) < EVENT_BYTES_MAX:
        assert field_at_fault(nested(depth, opening, closing)) == "json"


def test_depth_counts_what_is_nested_and_not_how_many_parts_there_are() -> None:
    assert field_at_fault(event(ACTION, {"zz": [[], {}, [[]]] * 40, "token": {"a": [{}] * 40}})) is None
    assert field_at_fault(event(ACTION, {"zz": "[[[[[[[[[[[[[[[[[[[[{{{{{{{{{{"})) is None


@pytest.mark.parametrize("name", ["id", "source", "type", "time", "subject"])
@pytest.mark.parametrize("value", [GONE, None, "", 5, 0, True, False, [], ["a"], {}, {"a": "b"}, 1.5])
def test_an_envelope_field_that_is_missing_or_no_filled_string_is_named(name: str, value: Any) -> None:
    assert field_at_fault(event(ACTION, **{name: value})) == name
    assert field_at_fault(event(VERIFIED, **{name: value})) == name


@pytest.mark.parametrize("value", [GONE, None, "", 5, ["a"]])
def test_a_heartbeat_needs_no_subject(value: Any) -> None:
    assert heard(event(HEARTBEAT, subject=value)).source == "/app"


@pytest.mark.parametrize("name", ["id", "source", "time"])
@pytest.mark.parametrize("value", [GONE, None, "", 5])
def test_a_heartbeat_needs_the_rest_of_its_envelope(name: str, value: Any) -> None:
    assert field_at_fault(event(HEARTBEAT, **{name: value})) == name


@pytest.mark.parametrize(
    "kind",
    ["action.performed", "Stepwatch.action.performed", "stepwatch", "com.example.order", "xstepwatch.heartbeat"],
)
def test_a_type_that_does_not_begin_with_stepwatch_dot_is_a_dead_letter(kind: str) -> None:
    assert field_at_fault(event(ACTION, type=kind)) == "type"


@pytest.mark.parametrize(
    "kind", ["stepwatch.", "stepwatch.action.undone", "stepwatch.action.performed.v2", "stepwatch.Heartbeat"]
)
def test_an_unknown_type_of_ours_is_skipped_whatever_the_rest_of_it_holds(kind: str) -> None:
    assert read(event(ACTION, type=kind)) == Skipped(kind)
    wrong: dict[str, Any] = {"time": 5, "subject": None}
    assert read(event(ACTION, {"tenant": "*"}, type=kind, **wrong)) == Skipped(kind)
    assert read(event(ACTION, type=kind, id=GONE), family="action") == Fault("id", "missing")
    assert field_at_fault(raw(event(ACTION, {"zz": "HERE"}, type=kind)).replace(b'"HERE"', b"NaN")) == "json"


@pytest.mark.parametrize("kind", sorted(EVENT_TYPES - {"stepwatch.heartbeat"}))
def test_an_event_in_the_topic_of_the_other_family_is_a_dead_letter_that_names_its_type(kind: str) -> None:
    own, other = "action", "authentication"
    if kind != "stepwatch.action.performed":
        own, other = other, own
    made = event(kind.removeprefix("stepwatch."))
    assert field_at_fault(made, family=own) is None
    assert field_at_fault(made, family=other) == "type"


def test_a_heartbeat_belongs_into_either_topic() -> None:
    assert field_at_fault(event(HEARTBEAT), family="action") is None
    assert field_at_fault(event(HEARTBEAT), family="authentication") is None


@pytest.mark.parametrize("kind", [ACTION, VERIFIED, HEARTBEAT])
def test_a_time_10_minutes_after_arrival_is_read_and_one_microsecond_more_is_a_dead_letter(kind: str) -> None:
    edge_us = T0_US + 10 * MINUTE_US
    assert field_at_fault(event(kind, time=format_time(edge_us))) is None
    assert field_at_fault(event(kind, time=format_time(edge_us + 1))) == "time"


def test_a_time_any_while_before_arrival_is_read() -> None:
    assert accepted(event(time="1970-01-01T00:00:00Z")).time_us == 0


@pytest.mark.parametrize("text", ["2026-11-24T09:00:00", "2262-01-01T00:00:00Z", "yesterday", "2026-11-24T09:00:60Z"])
def test_a_time_that_is_none_is_a_dead_letter(text: str) -> None:
    assert field_at_fault(event(time=text)) == "time"


def test_a_file_says_the_arrival_beside_the_envelope_and_where_it_does_not_the_time_is_it() -> None:
    assert accepted(event(arrival=format_time(T0_US + 5)), None).arrival_us == T0_US + 5
    for value in (GONE, None, ""):
        assert accepted(event(time=format_time(T0_US + 3), arrival=value), None).arrival_us == T0_US + 3


@pytest.mark.parametrize("value", [5, True, {}, "soon", "2026-11-24T09:00:00", "2262-01-01T00:00:00Z"])
def test_an_arrival_in_a_file_that_is_no_time_is_a_dead_letter(value: Any) -> None:
    assert field_at_fault(event(arrival=value), None) == "arrival"


@pytest.mark.parametrize("value", [5, {}, "soon", format_time(T0_US - 3600 * SECOND_US)])
def test_in_a_partition_the_broker_alone_says_the_arrival(value: Any) -> None:
    assert accepted(event(arrival=value)).arrival_us == T0_US


@pytest.mark.parametrize("value", [GONE, None, ""])
def test_absent_data_is_an_empty_object(value: Any) -> None:
    made = event("session.revoked")
    made["data"] = value
    if value is GONE:
        del made["data"]
    outcome = accepted(made)
    assert (outcome.tenant, outcome.data.session) == ("default", None)
    made["type"] = "stepwatch.action.performed"
    assert field_at_fault(made) == "data.action"
    made["type"] = "stepwatch.heartbeat"
    assert heard(made).lag_us == 0


@pytest.mark.parametrize("kind", [ACTION, STARTED, HEARTBEAT])
@pytest.mark.parametrize("value", [5, 0, False, True, "text", [], [{}]])
def test_data_that_is_no_object_is_a_dead_letter(kind: str, value: Any) -> None:
    made = event(kind)
    made["data"] = value
    assert field_at_fault(made) == "data"


@pytest.mark.parametrize("tenant", ["a", "A-Z_0.9", "-", ".", "x" * 64])
def test_a_tenant_of_its_characters_up_to_64_is_read(tenant: str) -> None:
    assert accepted(event(ACTION, {"tenant": tenant})).tenant == tenant


@pytest.mark.parametrize("tenant", ["x" * 65, "a b", "a/b", "ä", "a\n", "*", "٣", " ", "a\0", 5, True, [], {}])
def test_a_tenant_of_other_characters_or_longer_is_a_dead_letter(tenant: Any) -> None:
    for kind in (ACTION, VERIFIED):
        assert field_at_fault(event(kind, {"tenant": tenant})) == "data.tenant"


@pytest.mark.parametrize("tenant", [GONE, None, ""])
def test_the_tenant_is_default_where_none_is_named(tenant: Any) -> None:
    assert accepted(event(ACTION, {"tenant": tenant})).tenant == "default"


def test_of_a_field_given_twice_the_last_one_counts() -> None:
    value = raw(event(ACTION, {"session": "s-1"})).replace(b'"session"', b'"session":5,"session"')
    assert accepted(value).data.session == "s-1"


@given(st.binary(max_size=300))
def test_no_bytes_bring_the_reader_down(value: bytes) -> None:
    assert isinstance(decode(value, T0_US), Event | Heartbeat | Skipped | Fault)


@given(st.integers(0, len(raw(event())) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_no_damage_to_a_right_event_brings_the_reader_down(at: int, put: bytes, cut: int) -> None:
    value = raw(event())
    outcome = decode(value[:at] + put + value[at + cut :], None)
    assert isinstance(outcome, Event | Heartbeat | Skipped | Fault)


def test_a_dead_letter_names_the_event_where_its_id_can_be_read() -> None:
    assert read(event(time="x")).id == "e-1"
    assert read(event(id=5)).id is None
    assert read(event(id="")).id is None
    assert read(b"{").id is None


def test_reading_needs_little_of_the_stack_so_a_deep_caller_is_no_danger() -> None:
    def call(frames: int) -> str | None:
        return call(frames - 1) if frames else field_at_fault(nested(17))

    assert call(sys.getrecursionlimit() // 2) == "json"


@pytest.mark.parametrize("hidden", [rb'"\ud800"', b"NaN", b"[" * 40 + b"]" * 40, b"5", b"1e400", b"{}", b"null"])
@pytest.mark.parametrize("name", ["id", "time", "data", "session", "zz"])
def test_what_a_later_field_of_the_same_name_hides_brings_nobody_down(hidden: bytes, name: str) -> None:
    made = event(ACTION, {"session": "s-1", "zz": 1})
    value = raw(made).replace(f'"{name}":'.encode(), f'"{name}":'.encode() + hidden + f',"{name}":'.encode(), 1)
    expected = "json" if hidden == b"NaN" else None
    assert field_at_fault(value) in ("json", expected)
