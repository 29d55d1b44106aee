"""`stepwatch events check`: the worker's own decision, line by line, in words that help."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwatch.cli.events_check import Checker
from stepwatch.cli.events_findings import GROUPS_MAX, Finding, Sums, warning
from stepwatch.cli.events_seen import Seen
from stepwatch.cli.lines import Origin
from stepwatch.streams.decode import Event, decode
from stepwatch.streams.replay import replay
from stepwatch.streams.sets import PolicySets, build_set
from tests.cli.console import event, payout, run, write_events, write_policy
from tests.core.driver import T0_US
from tests.core.json_texts import any_event, broken_event, clean_event
from tests.core.raw_events import GONE, nested, of_size, raw
from tests.core.raw_events import event as core_event

SETS = PolicySets([build_set([("p.yaml", "version: 1\npolicies: [{id: all}]")], None)])


def findings_of(value: bytes, now_us: int = T0_US) -> list[Finding]:
    return Checker(None, now_us).look(value, Origin("", 1))[1]


def the_error(value: bytes | dict[str, Any]) -> Finding:
    """The one error of a line; the test fails where it has none or another finding beside it."""
    (found,) = findings_of(value if isinstance(value, bytes) else raw(value))
    assert found.level == "error"
    return found


@settings(max_examples=300, deadline=None)
@given(st.one_of(any_event(), broken_event(), clean_event()))
def test_a_line_is_an_error_by_the_same_field_and_id_as_replay_rejects_it_and_no_other_is(value: bytes) -> None:
    line = value.replace(b"\n", b" ").strip()
    rejected = [(row["field"], row["id"]) for row in replay([line], SETS) if row["kind"] == "rejected"]
    event_id, found = Checker(None, T0_US).look(line, Origin("", 1)) if line else (None, [])
    assert [(f.field, event_id) for f in found if f.level == "error"] == rejected


ERRORS: dict[str, tuple[bytes | dict[str, Any], str, str, str]] = {
    "no JSON": (b"{no", "json", "json", "one event a line"),
    "no UTF-8": (b'{"id":"\xff"}', "json", "json", "no UTF-8"),
    "an array": (b"[1]", "json", "json", "expected a JSON object, got list"),
    "NaN": (b'{"id":NaN}', "json", "json", "NaN is no JSON"),
    "too deep": (nested(17), "json", "json", "nested deeper than 16"),
    "too large": (of_size(256 * 1024 + 1), "json", "json", "the limit is 262144"),
    "no id": (core_event(id=GONE), "id", "missing", "an id of its own"),
    "a number as id": (core_event(id=4711), "id", "wrong_type", "in quotes: ids are texts"),
    "no source": (core_event(source=""), "source", "missing", "as the policy file lists it"),
    "no type": (core_event(type=None), "type", "missing", "events example --list"),
    "a type without its prefix": (
        core_event(type="stepup.verified"),
        "type",
        "foreign_type",
        "stepwatch.stepup.verified",
    ),
    "a type of another system": (core_event(type="com.okta.x"), "type", "foreign_type", "--from SOURCE"),
    "no time": (core_event(time=GONE), "time", "missing", "when it happened"),
    "a time without a zone": (core_event(time="2026-11-24T09:00:00"), "time", "time_form", "add the zone"),
    "a time with a space": (core_event(time="2026-11-24 09:00:00Z"), "time", "time_form", "put a T between"),
    "a time with neither": (core_event(time="2026-11-24 09:00:00"), "time", "time_form", "and add the zone"),
    "a time in words": (core_event(time="yesterday"), "time", "time_form", "like 2026-11-24T09:15:02.120Z"),
    "a time as a number": (core_event(time=1795510800), "time", "wrong_type", "not as a number"),
    "a time ahead of its arrival": (
        core_event(time="2026-11-24T09:20:00Z", arrival="2026-11-24T09:00:00Z"),
        "time",
        "ahead",
        "the clock",
    ),
    "an arrival that is none": (core_event(arrival="x"), "arrival", "time_form", "like 2026"),
    "no subject": (core_event(subject=GONE), "subject", "missing", "canonical id"),
    "a subject inside data": (core_event(subject=GONE, data={"subject": "a"}), "subject", "missing", "beside data"),
    "a misspelt subject": (core_event(subject=GONE, subjct="a"), "subject", "missing", "by `subjct`"),
    "data as a text": (core_event() | {"data": "{}"}, "data", "wrong_type", "the object itself, not its text"),
    "data as an array": (core_event() | {"data": []}, "data", "wrong_type", "write an object"),
    "a tenant with a space": (core_event(data={"tenant": "Acme Inc"}), "data.tenant", "tenant_form", "a short name"),
    "a number as session": (core_event(data={"session": 4711}), "data.session", "wrong_type", "in quotes"),
    "a list as session": (core_event(data={"session": []}), "data.session", "wrong_type", "one text"),
    "a member of client": (core_event(data={"client": {"ip": 7}}), "data.client.ip", "wrong_type", "in quotes"),
    "client as a text": (core_event(data={"client": "1.2.3.4"}), "data.client", "wrong_type", "write an object"),
    "amr as a text": (core_event(data={"amr": "otp"}), "data.amr", "wrong_type", 'like ["otp"]'),
    "auth_time in quotes": (core_event(data={"auth_time": "17"}), "data.auth_time", "wrong_type", "without quotes"),
    "auth_time in milliseconds": (
        core_event(data={"auth_time": 1795510800000}),
        "data.auth_time",
        "ahead",
        "divide it by 1000",
    ),
    "auth_time ahead": (core_event(data={"auth_time": 1795511401}), "data.auth_time", "ahead", "from the future"),
    "otp_step with a fraction": (core_event(data={"otp_step": 1.5}), "data.otp_step", "wrong_type", "a number"),
    "no action": (core_event(data={"action": GONE}), "data.action", "missing", "`noun.verb`"),
    "a misspelt action": (core_event(data={"action": GONE, "acton": "x"}), "data.action", "missing", "by `acton`"),
    "an action beside data": (
        core_event(data={"action": GONE}, action="a.b"),
        "data.action",
        "missing",
        "put it into data",
    ),
    "no approver": (core_event("approval.granted", data={"approver": ""}), "data.approver", "missing", "who approved"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_names_the_field_its_case_and_what_to_do(name: str) -> None:
    value, field, code, hint = ERRORS[name]
    found = the_error(value)
    assert (found.field, found.code) == (field, code)
    assert hint in found.hint
    assert found.expected


def test_what_came_is_shown_as_json_and_shortened() -> None:
    assert the_error(core_event(data={"session": {"a": 1}})).got == '{"a": 1}'
    long = the_error(core_event(data={"amr": "x" * 5000})).got
    assert long is not None
    assert len(long) == 60
    assert the_error(core_event(id=GONE)).got is None
    digits = raw(core_event(data={"session": "N"})).replace(b'"N"', b"9" * 4500)
    assert the_error(digits).got == "Infinity"


def test_a_right_event_has_no_finding() -> None:
    data = {"resource": {"sensitivity": "high"}, "session": "s"}
    assert findings_of(raw(core_event(data=data))) == []
    assert findings_of(raw(core_event("heartbeat", subject=GONE, data={"complete_to": "2026-11-24T09:00:00Z"}))) == []


# the command


def test_findings_stand_with_file_and_line_errors_first_and_a_sum_last(tmp_path: Path) -> None:
    good = payout("p-1", "10:00:00", resource={"sensitivity": "high"})
    lines = write_events(tmp_path / "e.jsonl", good, "", "{no", payout("p-2", "10:00:00"), event("x", "e", "x"))
    done = run(tmp_path, "events", "check", lines)
    assert (done.status, done.err) == (1, "")
    out = done.out.splitlines()
    assert out[0].startswith(f"{lines}:3: error: json: expected one JSON object")
    assert out[2] == (
        f"{lines}:4: warning: data.resource.sensitivity: expected one of low, moderate, high, critical (id p-2)"
    )
    assert out[-1] == "5 lines, 3 events: 1 error, 2 warnings"


def test_what_is_said_again_and_again_is_said_once_with_the_first_places_and_how_often(tmp_path: Path) -> None:
    many = [payout(f"p-{n}", "10:00:00", session=n, resource={"sensitivity": "low"}) for n in range(1, 13)]
    done = run(tmp_path, "events", "check", write_events(tmp_path / "e.jsonl", *many))
    assert done.status == 1
    assert [line.strip() for line in done.out.splitlines()[1:]] == [
        "write it in quotes: ids are texts",
        "12 times: lines 1, 2, 3, 4, 5, …",
        "12 lines, 0 events: 12 errors, 0 warnings",
    ]


def test_as_json_each_finding_is_an_object_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = write_events(tmp_path / "e.jsonl", payout("p-1", "10:00:00", session=7), payout("p-2", "10:00:00"))
    done = run(tmp_path, "events", "check", "--json", path)
    assert done.rows[0] == {
        "line": 1,
        "id": "p-1",
        "level": "error",
        "field": "data.session",
        "code": "wrong_type",
        "expected": "a string",
        "got": "7",
        "hint": "write it in quotes: ids are texts",
    }
    assert (done.rows[1]["code"], "got" in done.rows[1]) == ("no_sensitivity", False)
    assert done.err == "2 lines, 1 event: 1 error, 1 warning\n"


@pytest.mark.parametrize(("args", "status"), [((), 0), (("--strict",), 1), (("--strict", "--json"), 1)])
def test_warnings_alone_end_with_zero_and_strictly_with_one(tmp_path: Path, args: tuple[str, ...], status: int) -> None:
    path = write_events(tmp_path / "e.jsonl", payout("p-2", "10:00:00"))
    assert run(tmp_path, "events", "check", *args, path).status == status


def test_a_file_that_is_right_ends_with_zero_strictly_too(tmp_path: Path) -> None:
    path = write_events(tmp_path / "e.jsonl", payout("p-1", "10:00:00", resource={"sensitivity": "high"}))
    done = run(tmp_path, "events", "check", "--strict", path)
    assert (done.status, done.out) == (0, "1 line, 1 event: 0 errors, 0 warnings\n")


def test_a_pipe_a_packed_file_and_a_folder_are_read_too(tmp_path: Path) -> None:
    body = json.dumps(payout("p-1", "10:00:00", session=1)).encode() + b"\n"
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(body)
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(body))
    piped = run(tmp_path, "events", "check", "-", stdin=body)
    assert piped.out.startswith("standard input:1: error: data.session")
    whole = run(tmp_path, "events", "check", folder)
    assert f"2 times: {folder}/a.jsonl:1, {folder}/b.jsonl.gz:1" in whole.out
    rows = run(tmp_path, "events", "check", "--json", folder).rows
    assert [row["file"] for row in rows] == [f"{folder}/a.jsonl", f"{folder}/b.jsonl.gz"]


def test_a_products_log_is_checked_as_what_would_be_sent_of_it(tmp_path: Path) -> None:
    row = {
        "uuid": "u-1",
        "eventType": "user.session.start",
        "published": "2026-11-24T10:00:00.000Z",
        "actor": {"id": "00u1", "type": "User"},
        "outcome": {"result": "SUCCESS"},
    }
    log = write_events(tmp_path / "okta.jsonl", row, {"no": "row"})
    done = run(tmp_path, "events", "check", "--from", "okta", log)
    assert done.status == 0
    assert "1 record is no event of ours" in done.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("none.jsonl",), "cannot be read"),
        (("e.jsonl", "--policy", "none.yaml"), "cannot be read"),
        (("e.jsonl", "--policy", "bad.yaml"), "version"),
        (("e.jsonl", "--from", "octa"), "no such source"),
    ],
)
def test_what_cannot_be_read_ends_with_two(tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    write_events(tmp_path / "e.jsonl", payout("p-1", "10:00:00"))
    write_policy(tmp_path, "version: 7", name="bad.yaml")
    done = run(tmp_path, "events", "check", *args)
    assert (done.status, done.out) == (2, "")
    assert words in done.err


def test_of_a_damaged_file_what_stands_before_the_damage_is_told(tmp_path: Path) -> None:
    lines = b"".join(json.dumps(payout(f"p-{n}", "10:00:00", session=n)).encode() + b"\n" for n in range(20_000))
    packed = tmp_path / "e.jsonl.gz"
    packed.write_bytes(gzip.compress(lines)[:-20])
    done = run(tmp_path, "events", "check", packed)
    assert done.status == 2
    assert "cannot be unpacked" in done.err
    assert done.out.startswith(f"{packed}:1: error: data.session: expected a string, got 0 (id p-0)")


def test_what_a_hostile_line_holds_moves_no_cursor(tmp_path: Path) -> None:
    path = write_events(tmp_path / "e.jsonl", payout("p\x1b[2J", "10:00:00", **{"session": 1, "\x1b]0;x": 2}))
    assert "\x1b" not in run(tmp_path, "events", "check", path).out


# memory that does not grow with the file


def test_of_findings_that_differ_a_bounded_number_is_kept_and_all_are_counted() -> None:
    sums = Sums()
    for number in range(GROUPS_MAX + 7):
        sums.add(warning("misspelt", f"data.x{number}", "x", "x"), Origin("", number), None)
    assert (len(list(sums.groups())), sums.left_out, sums.counts["warning"]) == (GROUPS_MAX, 7, GROUPS_MAX + 7)


def _decoded(event_id: str, **data: Any) -> Event:
    outcome = decode(raw(core_event(data=data, id=event_id)), None)
    assert isinstance(outcome, Event)
    return outcome


def test_of_copies_those_of_the_last_events_are_found() -> None:
    seen = Seen(events_max=2)
    for number, event_id in enumerate(("a", "b")):
        assert seen.look(_decoded(event_id), "alice", Origin("", number)) is None
    again = seen.look(_decoded("a"), "alice", Origin("", 3))
    assert again is not None
    assert again.code == "copy"
    assert not seen.forgot
    assert seen.look(_decoded("c"), "alice", Origin("", 4)) is None
    assert seen.look(_decoded("a"), "alice", Origin("", 5)) is None
    assert seen.forgot


def test_another_body_under_an_id_is_a_conflict_and_names_the_line_of_the_first() -> None:
    seen = Seen()
    seen.look(_decoded("a"), "alice", Origin("", 7))
    found = seen.look(_decoded("a", session="other"), "alice", Origin("", 9))
    assert found is not None
    assert (found.code, found.got) == ("conflict", '"a", as on line 7')
    assert seen.look(_decoded("a", tenant="other"), "alice", Origin("", 10)) is None
