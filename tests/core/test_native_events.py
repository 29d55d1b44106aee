"""Which event texts the native core reads as plain actions, and which it leaves to Python: each rule at its edge."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.schemas import events as ev
from stepwatch.schemas.topics import EVENT_BYTES_MAX
from tests.core.driver import Row
from tests.core.native_reader import is_read, record, row_of
from tests.core.raw_events import GONE, event, nested, of_size, raw

FULL: Row = {
    "tenant": "acme",
    "session": "s",
    "root_session": "r",
    "client": {"ip": "::1", "device": "d", "user_agent": "ua", "country": "NO", "asn": 5, "more": [1.5, None]},
    "action": "docs.file.read",
    "on_behalf_of": "bob",
    "resource": {"type": "file", "id": "f", "sensitivity": "moderate", "owner": {"a": 1}},
    "outcome": "failure",
    "transaction": "t",
    "token": {"acr": "x", "amr": ["hwk"], "auth_time": 1795511000, "deep": [{"a": {}}]},
    "decision": {"result": "not_required", "reason": "none", "policy": "p", "more": True},
    "verification": "v",
    "challenge": "c",
    "bound_action": "b",
    "acr": "a",
    "credential": "cr",
    "change": "created",
    "reason": "why",
    "failure": "f",
    "approver": "ap",
    "approver_verification": "av",
    "more": {"a": [1, -2.5, "x", None, True, False]},
}


# what is ordinary is read


def test_every_known_field_is_read_and_shown_where_its_column_is() -> None:
    row = row_of(event(data=FULL, more=5, arrival="5"))
    assert row is not None
    assert (row["resource_type"], row["client_country"], row["claimed_verification"]) == ("file", "NO", "v")
    assert (row["sensitivity"], row["outcome"], row["decision_reason"]) == ("moderate", "failure", "none")
    assert json.loads(row["event_data"]) == FULL


@pytest.mark.parametrize("name", [name for name in FULL if name != "action"])
def test_a_field_that_is_null_or_missing_is_absent(name: str) -> None:
    for value in (None, GONE):
        assert is_read(event(data={**FULL, name: value}))


@pytest.mark.parametrize("name", [name for name, value in FULL.items() if isinstance(value, str) and name != "action"])
def test_a_string_that_is_empty_is_absent(name: str) -> None:
    assert is_read(event(data={**FULL, name: ""}))


@pytest.mark.parametrize("text", ["zoë", "😀\u2028", "\x7f", "a/b", "x" * 5_000, "'"])
def test_any_text_without_escapes_is_read_in_every_field(text: str) -> None:
    said: Row = {name: text for name, value in FULL.items() if isinstance(value, str) and name != "tenant"}
    said["client"] = dict.fromkeys(("ip", "device", "user_agent", "country"), text)
    said["resource"] = {"type": text, "id": text, "sensitivity": text}
    said["decision"] = {"result": text, "reason": text}
    row = row_of(event(data=said, id=text, source=text, subject=text))
    assert row is not None
    assert (row["action_id"], row["sensitivity"], row["outcome"]) == (text, "", "unknown")


def test_space_around_everything_is_read_and_kept_in_the_data() -> None:
    value = raw(event(data=FULL))
    for space in (b" ", b"\n", b"\t\r\n  "):
        spaced = (
            value.replace(b",", space + b"," + space).replace(b"{", space + b"{" + space).replace(b"}", space + b"}")
        )
        assert is_read(space + spaced + space)


def test_escapes_are_read_where_nobody_needs_the_text() -> None:
    said = {"transaction": 'a"\\\n\x00é', "more": "\x1f/", "token": {"a": '"'}, "decision": {"policy": "\t"}}
    assert is_read(json.dumps(event(data=said)).encode())


def test_headers_of_others_do_not_matter() -> None:
    assert is_read(record(event(), headers=[("traceparent", b"00-1"), ("cee", b""), ("", b"")]))


@pytest.mark.parametrize("outcome", [*ev.OUTCOMES, "unknown", "Success", "", None])
def test_every_outcome_is_shown_as_python_shows_it(outcome: str | None) -> None:
    assert is_read(event(data={"outcome": outcome}))


# what is not clearly right is left to Python


@pytest.mark.parametrize("name", [name for name, value in FULL.items() if isinstance(value, str)])
@pytest.mark.parametrize("wrong", [5, True, [], {}, 1.5])
def test_a_known_string_of_another_type_is_left_to_python(name: str, wrong: Any) -> None:
    assert not is_read(event(data={**FULL, name: wrong}))


@pytest.mark.parametrize("name", ["client", "resource", "decision", "token"])
@pytest.mark.parametrize("wrong", [5, True, [], "", "x"])
def test_a_known_object_of_another_type_is_left_to_python(name: str, wrong: Any) -> None:
    assert not is_read(event(data={**FULL, name: wrong}))


MEMBERS = [
    (part, name)
    for part, model in (("client", ev.Client), ("resource", ev.Resource), ("decision", ev.Decision))
    for name in model.model_fields
]


@pytest.mark.parametrize(("part", "name"), MEMBERS)
def test_a_member_of_another_type_is_left_to_python(part: str, name: str) -> None:
    for wrong in (5, True, [], {}):
        assert not is_read(event(data={**FULL, part: {**FULL[part], name: wrong}}))
    assert is_read(event(data={**FULL, part: {**FULL[part], name: None}}))


@pytest.mark.parametrize("name", ["amr", "auth_time", "otp_step"])
def test_what_only_a_proof_has_is_left_to_python(name: str) -> None:
    for value in ([], [""], ["hwk"], 0, 1.5, "", "x", {}):
        assert not is_read(event(data={name: value}))
    assert is_read(event(data={name: None}))


def test_every_field_of_the_model_is_known_to_the_core() -> None:
    """A field that is added to the model must be added to the core, or it would take any type of it."""
    for name in ev.Data.model_fields:
        assert not is_read(event(data={**FULL, name: 5})), name


@pytest.mark.parametrize("name", ["id", "source", "type", "time", "subject", "data"])
@pytest.mark.parametrize("wrong", [GONE, None, "", 5, [], True])
def test_an_envelope_with_a_field_that_is_absent_or_wrong_is_left_to_python(name: str, wrong: Any) -> None:
    made = event(data=FULL)
    if wrong is GONE:
        del made[name]
    else:
        made[name] = wrong
    assert not is_read(made)


@pytest.mark.parametrize("kind", [*sorted(ev.EVENT_TYPES - {ev.ACTION_PERFORMED}), "stepwatch.new", "x", "stepwatch"])
def test_another_type_is_left_to_python(kind: str) -> None:
    assert not is_read(event(type=kind))


def test_an_action_without_a_name_is_left_to_python() -> None:
    for value in (GONE, None, ""):
        assert not is_read(event(data={"action": value}))


def twice(value: bytes, name: str, again: bytes) -> bytes:
    """The event with one key given twice: something else before what it had."""
    key = f'"{name}":'.encode()
    assert key in value
    return value.replace(key, key + again + b"," + key, 1)


@pytest.mark.parametrize(
    "name",
    [
        *("id", "source", "type", "time", "subject", "data", "ip", "sensitivity", "result", "policy"),
        *(name for name in FULL if name != "more"),
    ],
)
def test_a_known_key_given_twice_is_left_to_python(name: str) -> None:
    value = raw(event(data={**{name: value for name, value in FULL.items() if name != "more"}, "token": {"a": 1}}))
    for again in (b"null", b'"x"', b"{}"):
        assert not is_read(twice(value, name, again))


def test_an_unknown_key_given_twice_is_read() -> None:
    assert is_read(twice(raw(event(data={"zz": 1, "token": {"a": 1}})), "zz", b"[]"))
    assert is_read(twice(raw(event(data={"token": {"acr": 1}})), "acr", b"[]"))


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, value in FULL.items()
        if isinstance(value, str)
        and name
        not in {
            "transaction",
            "bound_action",
            "acr",
            "credential",
            "change",
            "reason",
            "failure",
            "approver",
            "approver_verification",
        }
    ],
)
def test_an_escape_in_a_text_that_is_shown_is_left_to_python(name: str) -> None:
    for escape in (rb"\n", rb"\u0061", rb"\"", rb"\\", rb"\/"):
        assert not is_read(raw(event(data={**FULL, name: "ESCAPE"})).replace(b"ESCAPE", escape))


@pytest.mark.parametrize("key", [rb"\u0061ction", rb"a\n", rb"\\"])
def test_an_escape_in_a_key_is_left_to_python(key: bytes) -> None:
    for place in ("more", "token"):
        assert not is_read(raw(event(data={place: {"KEY": 1}})).replace(b"KEY", key))


@pytest.mark.parametrize("escape", [rb"\ud83d\ude00", rb"\uD800", rb"\udfff"])
def test_halves_of_a_pair_are_left_to_python(escape: bytes) -> None:
    assert not is_read(raw(event(data={"more": "ESCAPE"})).replace(b"ESCAPE", escape))


@pytest.mark.parametrize(
    "number", [b"1e3", b"1E400", b"-1e-5", b"1" * 19, b"1." + b"5" * 17, b"1e", b"01", b"+1", b"NaN", b"1."]
)
def test_a_number_that_may_be_read_in_two_ways_or_none_is_left_to_python(number: bytes) -> None:
    assert not is_read(raw(event(data={"more": 77})).replace(b"77", number))


@pytest.mark.parametrize(
    "junk", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf", b"\x0b", b"x", b"{}", b","]
)
def test_what_is_no_json_is_left_to_python(junk: bytes) -> None:
    value = raw(event(data={"more": "HERE"}))
    assert not is_read(junk + value)
    assert not is_read(value + junk)
    if junk != b"\xef\xbb\xbf" and not 0x20 <= junk[0] < 0x80:
        assert not is_read(value.replace(b"HERE", junk))


def test_every_cut_of_an_event_is_left_to_python() -> None:
    value = raw(event(data=FULL))
    assert not any(is_read(value[:length]) for length in range(len(value)))


def test_a_tombstone_is_left_to_python() -> None:
    assert not is_read(None)


def test_an_event_of_the_most_bytes_is_read_and_one_more_is_left_to_python() -> None:
    assert is_read(of_size(EVENT_BYTES_MAX))
    assert not is_read(of_size(EVENT_BYTES_MAX + 1))


def test_an_event_with_sixteen_objects_is_read_and_one_more_is_left_to_python() -> None:
    assert is_read(nested(16))
    assert not is_read(nested(17))
    assert is_read(nested(16, '{"a":', "}"))
    assert not is_read(nested(17, '{"a":', "}"))


@pytest.mark.parametrize("name", ["ce_id", "ce_", "stepwatch-first-arrival", "stepwatch-moves", "stepwatch-"])
def test_a_header_that_belongs_to_the_event_leaves_it_to_python(name: str) -> None:
    assert not is_read(record(event(), headers=[("a", b""), (name, b"x")]))
