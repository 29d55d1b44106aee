"""The parts that every adapter is made of."""

from __future__ import annotations

import json

import pytest

from stepwatch.schemas.times import format_time
from stepwatch.sources import base
from stepwatch.sources.actions import camel_words, parse_table
from stepwatch.sources.amr import RFC_8176, TABLE, key_words, lookup
from stepwatch.sources.envelopes import unwrap

NOON = "2026-03-02T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T12:00:00Z", NOON),
        ("2026-03-02T12:00:00.000Z", NOON),
        ("2026-03-02T14:00:00+02:00", NOON),
        ("2026-03-02 23:00:00+11:00", NOON),
        ("2026-03-02T07:00:00-0500", NOON),
        ("2026-03-02 12:00:00", NOON),
        ("2026-03-02 12:00:00.000", NOON),
        ("20260302T120000Z", NOON),
        ("2026-03-02T12:00:00,000Z", NOON),
        ("1772452800", NOON),
        (1772452800, NOON),
        (1772452800000, NOON),
        (1772452800.25, "2026-03-02T12:00:00.250000Z"),
        ("2024-08-15 15:05:09.154000000", "2024-08-15T15:05:09.154000Z"),
        ("2026-03-02T12:00:00.1234567Z", "2026-03-02T12:00:00.123456Z"),
        ("2026-03-02T12:00:00.123456789+00:00", "2026-03-02T12:00:00.123456Z"),
        ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00.000000Z"),
    ],
)
def test_a_time_is_read_in_every_shape_that_logs_have(text: object, expected: str) -> None:
    time_us = base.read_time(text)
    assert time_us is not None
    assert format_time(time_us) == expected


UNREADABLE: list[object] = [
    None,
    "",
    "...",
    "yesterday",
    "2026-02-30T00:00:00Z",
    "2026-03-02",
    0,
    -1,
    123,
    1e300,
]
UNREADABLE += [
    True,
    float("nan"),
    [],
    {},
    "1969-12-31T23:59:59Z",
    "2262-01-01T00:00:00Z",
    "2026-03-02T12:00:00Z" * 9,
]
UNREADABLE += ["11/14/2025 1:48:53 AM"]


@pytest.mark.parametrize("value", UNREADABLE)
def test_an_unreadable_time_is_none_and_never_now_or_1970(value: object) -> None:
    assert base.read_time(value) is None


def test_a_whole_second_is_written_without_a_fraction() -> None:
    assert base.time_text(1_772_452_800_000_000) == "2026-03-02T12:00:00Z"
    assert base.time_text(1_772_452_800_000_001) == "2026-03-02T12:00:00.000001Z"


@pytest.mark.parametrize(
    "value", ["unknown", "UNKNOWN", "-", "...", "", " ", "<masked>", "null", None, True, 1.5, [], {}]
)
def test_a_placeholder_names_nobody(value: object) -> None:
    assert base.ident(value) == ""


def test_an_id_longer_than_any_id_names_nothing() -> None:
    assert base.ident("x" * base.TEXT_MAX) != ""
    assert base.ident("x" * (base.TEXT_MAX + 1)) == ""


@pytest.mark.parametrize("value", ["rds.amazonaws.com", "AWS Internal", "0.0.0.0", "::", "", None, 7, "1.2.3", "<ip>"])
def test_what_is_no_address_of_anyone_is_no_address(value: object) -> None:
    assert base.address(value) == ""


def test_a_byte_that_is_no_text_does_not_hide_the_row() -> None:
    assert base.decode_line(b'{"agent": "\\ud800", "call": "StopLogging"}') == {
        "agent": "?",
        "call": "StopLogging",
    }
    assert base.decode_line(b'{"agent": "\xff", "call": "StopLogging"}')["call"] == "StopLogging"
    assert base.decode_line(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_an_envelope_is_opened_as_deep_as_any_collector_nests_and_a_row_never() -> None:
    row = {"sign": 1, "message": '{"sign": 2}'}
    assert list(unwrap([row, 7], ("message",), ("sign",))) == [(row, None), (base.NOT_JSON, None)]
    value: object = row
    for _ in range(3):
        value = {"message": json.dumps([value]), "@timestamp": NOON}
    assert list(unwrap(value, ("message",), ("sign",))) == [(row, NOON)]
    for _ in range(1000):
        value = {"message": value}
    assert len(list(unwrap(value, ("message",), ("sign",)))) == 1
    assert list(unwrap({"message": "text"}, ("message",), ("sign",))) == [({"message": "text"}, None)]
    assert list(unwrap({"message": "{"}, ("message",), ("sign",))) == [(base.NOT_JSON, None)]


@pytest.mark.parametrize("line", [b"{", b"NaN", b'{"a": NaN}', b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000])
def test_what_is_no_json_is_said_to_be_none(line: bytes) -> None:
    assert base.decode_line(line) == base.NOT_JSON


def test_a_row_without_an_id_is_the_same_event_each_time_it_is_read() -> None:
    row = {"b": 1, "a": "é"}
    assert base.row_digest(row) == base.row_digest(json.loads(json.dumps(dict(reversed(row.items())))))
    assert base.row_digest(row) != base.row_digest({"b": 2, "a": "é"})


def test_every_word_for_a_factor_is_one_of_rfc_8176_and_has_its_source() -> None:
    for words in TABLE.values():
        for name, word in words.items():
            assert set(word.amr) <= RFC_8176, name
            assert word.source
            assert name == name.lower()


def test_a_vendor_word_is_found_in_any_spelling() -> None:
    assert lookup("okta", "FIDO_WEBAUTHN") == lookup("okta", "fido webauthn") is not None
    assert lookup("okta", "token:software:totp") is not None
    assert lookup("okta", "CARRIER_PIGEON") is None
    assert lookup("okta", "") is None


def test_the_verified_properties_of_a_key_decide_between_hardware_and_software() -> None:
    word = lookup("okta", "FIDO_WEBAUTHN")
    assert word is not None
    assert key_words(word, frozenset()) == ["hwk"]
    assert key_words(word, frozenset({"USER_PRESENCE"})) == ["swk"]
    assert key_words(word, frozenset({"HARDWARE_PROTECTED", "USER_VERIFYING"})) == ["hwk", "user"]


def test_camel_case_is_read_as_words() -> None:
    assert camel_words("CreateDBSnapshot") == ["create", "db", "snapshot"]
    assert camel_words("ListWebACLs") == ["list", "web", "acls"]
    assert camel_words("Décrypt!") == ["d", "crypt"]


def test_a_table_with_one_name_twice_is_refused() -> None:
    assert list(parse_table("a b | x.y | - | low | p\n    q\n# c\n")["b"].where) == ["p", "q"]
    with pytest.raises(ValueError, match="twice"):
        parse_table("a | x.y | - | low |\na | x.z | - | low |")
