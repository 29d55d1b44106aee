"""From a request's bytes to its events, and to the records that they become: each mode, each bound at and past it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from stepwatch.ingest import modes
from stepwatch.ingest.accepting import Accepting, Taken
from stepwatch.ingest.bodies import BODY_BYTES_MAX, MEMBERS_MAX, Held, unpack
from stepwatch.ingest.modes import EVENTS_MAX, read_events
from stepwatch.ingest.problems import Problem
from stepwatch.ingest.tokens import Token
from stepwatch.schemas.keys import partition_of
from stepwatch.schemas.times import MINUTE_US, format_time, parse_time
from stepwatch.schemas.topics import Topics
from stepwatch.streams.sets import PolicySets, build_set

NOW = "2026-11-24T09:15:02.000000Z"
NOW_US = parse_time(NOW) or 0
PARTITIONS = 4
ALIASES = "version: 1\nidentities: [{subject: alice, aliases: [a@corp]}]\npolicies: []\n"
SETS = PolicySets([build_set([("p.yaml", ALIASES)], None)])


def event(id: str = "e1", kind: str = "action.performed", **changes: Any) -> dict[str, Any]:
    """One event of now."""
    data = {"tenant": "acme", "action": "payments.payout.approve"}
    base = {"specversion": "1.0", "id": id, "source": "/app", "type": f"stepwatch.{kind}", "time": NOW}
    return {**base, "subject": "alice", "data": data, **changes}


def token(**changes: Any) -> Token:
    """A token of tenant acme and source /app."""
    made = {"name": "t", "hash": "0" * 64, "tenants": ["acme"], "sources": ["/app"], "may": ["post"], "created_at": NOW}
    return Token.model_validate({**made, **changes})


def take(*events: dict[str, Any], by: Token | None = None) -> Taken:
    texts = [json.dumps(one).encode() for one in events]
    return Accepting(Topics(), PARTITIONS).take(texts, by or token(), SETS, NOW_US)


ONE, TWO = (json.dumps(event(id)).encode() for id in ("e1", "e2"))


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("application/cloudevents+json; charset=utf-8", ONE, [ONE]),
        ("application/cloudevents-batch+json", b"[" + ONE + b" , " + TWO + b"]", [ONE, TWO]),
        ("application/x-ndjson", ONE + b"\n\n" + TWO + b"\n", [ONE, TWO]),
        ("application/json", ONE, [ONE]),
        ("Application/JSON", b" [" + ONE + b"]", [ONE]),
    ],
)
def test_each_content_type_holds_its_events_as_their_producer_wrote_them(
    kind: str, body: bytes, expected: list[bytes]
) -> None:
    assert read_events([], kind, body) == expected


def test_binary_mode_takes_attributes_from_headers_and_data_from_the_body() -> None:
    said = {"id": "e1", "source": "/app", "type": "stepwatch.action.performed", "time": NOW, "subject": "J%C3%BCrgen"}
    headers = [(b"ce-" + name.encode(), value.encode()) for name, value in said.items()]
    (text,) = read_events(headers, "application/json", b'{"tenant":"acme","action":"a.b"}')
    read = json.loads(text)
    assert read["subject"] == "Jürgen"
    assert read["data"] == {"tenant": "acme", "action": "a.b"}
    with pytest.raises(Problem) as refused:
        read_events(headers, "text/plain", b"x")
    assert refused.value.status == 415


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain", ONE, 415),
        ("", ONE, 415),
        ("application/json", b"", 400),
        ("application/json", b"[]", 400),
        ("application/json", b"[" + ONE, 400),
        ("application/cloudevents-batch+json", ONE, 400),
        ("application/x-ndjson", b"\n \n", 400),
        ("application/json", b"[" * 100_000, 400),
    ],
)
def test_a_body_that_is_none_is_refused_with_its_status(kind: str, body: bytes, status: int) -> None:
    with pytest.raises(Problem) as refused:
        read_events([], kind, body)
    assert refused.value.status == status


@pytest.mark.parametrize("name", [b"stepwatch-first-arrival", b"stepwatch-moves"])
def test_headers_that_only_workers_write_are_refused(name: bytes) -> None:
    with pytest.raises(Problem, match="written by workers only"):
        read_events([(name, b"1")], "application/json", ONE)


def test_a_thousand_events_are_taken_and_one_more_is_not() -> None:
    lines = (ONE + b"\n") * EVENTS_MAX
    assert len(read_events([], "application/x-ndjson", lines)) == EVENTS_MAX
    with pytest.raises(Problem) as refused:
        read_events([], "application/x-ndjson", lines + ONE)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"[" + b"0," * 500_000 + b"0]"),
        ("application/json", b" [ " + b'{"a":[1,2]} , ' * 20_000 + b"0]"),
        ("application/x-ndjson", b"\n" * 1_000_000),
        ("application/x-ndjson", b"0\n" * 500_000),
    ],
)
def test_what_holds_far_too_many_is_refused_before_it_is_taken_apart(
    kind: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: bytes) -> list[bytes]:
        raise AssertionError("all of it was taken apart")

    monkeypatch.setattr(modes, "_decode_array", never)
    with pytest.raises(Problem) as refused:
        read_events([], kind, body)
    assert refused.value.status == 413


def test_an_array_of_few_events_may_hold_any_number_of_commas() -> None:
    wide = json.dumps(event(extra=list(range(30_000)))).encode()
    assert read_events([], "application/json", b"[" + wide + b" ,\n" + ONE + b"]") == [wide, ONE]
    with pytest.raises(Problem, match="no JSON array"):
        read_events([], "application/json", b"[" + wide + b" ,\n" + ONE + b"}")


def test_a_ce_header_by_chance_leaves_lines_what_they_are() -> None:
    assert read_events([(b"ce-ray", b"x")], "application/x-ndjson", ONE + b"\n" + TWO) == [ONE, TWO]


def test_data_in_binary_mode_may_have_a_member_of_any_name() -> None:
    headers = [(b"ce-id", b"e1"), (b"ce-type", b"stepwatch.action.performed")]
    (text,) = read_events(headers, "application/json", b'{"specversion":"2","action":"a.b"}')
    assert json.loads(text)["data"] == {"specversion": "2", "action": "a.b"}


def test_gzip_unpacks_to_one_mebibyte_and_not_to_one_byte_more() -> None:
    with Held(8 << 20).hold() as hold:
        assert len(unpack(gzip.compress(bytes(BODY_BYTES_MAX)), hold)) == BODY_BYTES_MAX
        with pytest.raises(Problem) as refused:
            unpack(gzip.compress(bytes(BODY_BYTES_MAX + 1)), hold)
    assert refused.value.status == 413


def test_a_gzip_bomb_is_never_unpacked() -> None:
    held = Held(64 << 20)
    bomb = gzip.compress(bytes(256 << 20))
    with held.hold() as hold:
        with pytest.raises(Problem) as refused:
            unpack(bomb, hold)
        assert hold.bytes <= BODY_BYTES_MAX + 64 * 1024
    assert refused.value.status == 413
    assert held.bytes == 0


@pytest.mark.parametrize("packed", [b"no gzip", gzip.compress(ONE)[:-9], gzip.compress(ONE) + b"rest"])
def test_what_is_no_gzip_or_is_cut_off_is_refused(packed: bytes) -> None:
    with Held(1 << 20).hold() as hold, pytest.raises(Problem) as refused:
        unpack(packed, hold)
    assert refused.value.status == 400


def test_two_members_of_gzip_are_one_body() -> None:
    with Held(1 << 20).hold() as hold:
        assert unpack(gzip.compress(ONE) + gzip.compress(TWO), hold) == ONE + TWO


def test_sixteen_members_of_gzip_are_taken_and_one_more_is_not() -> None:
    member = gzip.compress(b"")
    with Held(1 << 20).hold() as hold:
        assert unpack(member * (MEMBERS_MAX - 1) + gzip.compress(ONE), hold) == ONE
        with pytest.raises(Problem, match="more than 16 members"):
            unpack(member * MEMBERS_MAX + gzip.compress(ONE), hold)


def test_what_all_requests_hold_is_bounded_and_given_back() -> None:
    held = Held(100)
    with held.hold() as first, held.hold() as second:
        first.take(60)
        second.take(40)
        with pytest.raises(Problem) as refused:
            second.take(1)
    assert refused.value.status == 503
    assert refused.value.headers["Retry-After"] == "1"
    assert held.bytes == 0


def test_an_event_goes_to_its_topic_by_the_key_of_its_canonical_subject() -> None:
    taken = take(event("a", subject="a@corp"), event("b", "session.started"))
    action, login = taken.records
    assert (action.topic, login.topic) == ("stepwatch.actions", "stepwatch.authentications")
    assert action.key == login.key == b"acme/alice"
    assert action.partition == login.partition == partition_of(b"acme/alice", PARTITIONS)
    assert json.loads(action.value)["subject"] == "a@corp"


def test_a_heartbeat_goes_to_every_partition_of_the_authentications() -> None:
    taken = take(event("h", "heartbeat"))
    assert [(record.topic, record.partition) for record in taken.records] == [
        ("stepwatch.authentications", number) for number in range(PARTITIONS)
    ]
    assert taken.counts.total() == 1


def test_an_unknown_type_of_ours_is_named_and_stored_with_the_authentications_of_its_subject() -> None:
    enrolled = event("n", "biometric.enrolled", subject="a@corp", data={"tenant": "acme", "new": [1]})
    taken = take(enrolled, event("m", "action.perfomed"), event("o", "action.perfomed"), event("a"))
    assert (taken.counts.total(), taken.skipped.total()) == (1, 3)
    assert [(one.type, one.count, one.hint) for one in taken.skipped_types()] == [
        ("stepwatch.action.perfomed", 2, "did you mean stepwatch.action.performed?"),
        ("stepwatch.biometric.enrolled", 1, "is it from a newer version?"),
    ]
    assert [record.topic for record in taken.records] == ["stepwatch.authentications"] * 3 + ["stepwatch.actions"]
    stored = taken.records[0]
    assert (stored.key, stored.partition) == (b"acme/alice", partition_of(b"acme/alice", PARTITIONS))
    assert json.loads(stored.value) == enrolled


def test_an_answer_names_ten_unknown_types_and_counts_all() -> None:
    taken = take(*(event(f"e{number}", f"new.kind{number}") for number in range(11)))
    assert (len(taken.skipped_types()), taken.skipped.total(), len(taken.records)) == (10, 11, 11)


@pytest.mark.parametrize("changes", [{"data": None, "subject": 7, "time": "soon"}, {"data": [1], "subject": ""}])
def test_of_an_unknown_type_only_tenant_and_source_must_be_clear(changes: dict[str, Any]) -> None:
    (record,) = take(event("n", "new.kind", **changes), by=token(tenants=["default"])).records
    assert record.key == b"default/"
    with pytest.raises(Problem) as refused:
        take(event("n", "new.kind", data={"tenant": ["acme"]}))
    assert (refused.value.status, refused.value.errors[0].field) == (400, "data.tenant")


def test_each_bad_event_is_named_by_its_index_and_field_and_none_is_taken() -> None:
    with pytest.raises(Problem) as refused:
        take(event("a"), event("b", time="yesterday"), event("c", data={"tenant": "acme"}), event("d", source=""))
    assert refused.value.status == 400
    assert [(error.index, error.field) for error in refused.value.errors] == [
        (1, "time"),
        (2, "data.action"),
        (3, "source"),
    ]
    assert "RFC 3339" in refused.value.errors[0].hint


def test_a_time_ten_minutes_ahead_is_taken_and_a_microsecond_more_is_not() -> None:
    assert take(event(time=format_time(NOW_US + 10 * MINUTE_US))).counts.total() == 1
    with pytest.raises(Problem) as refused:
        take(event(time=format_time(NOW_US + 10 * MINUTE_US + 1)))
    assert refused.value.errors[0].field == "time"


@pytest.mark.parametrize("kind", ["action.performed", "heartbeat", "new.kind"])
def test_the_source_of_the_workers_pulses_is_refused_whoever_posts(kind: str) -> None:
    with pytest.raises(Problem) as refused:
        take(event("p", kind, source="stepwatch"), by=token(sources=["*"]))
    assert (refused.value.status, refused.value.errors[0].field) == (400, "source")


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (event(data={"tenant": "other", "action": "a.b"}), "data.tenant"),
        (event(data={"action": "a.b"}), "data.tenant"),
        (event(source="/other"), "source"),
        (event("h", "heartbeat", source="/other"), "source"),
        (event("n", "new.kind", data={"tenant": "other"}), "data.tenant"),
        (event("n", "new.kind", source="/other"), "source"),
    ],
)
def test_what_a_token_is_not_bound_to_is_forbidden_and_nothing_is_taken(sent: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as refused:
        take(event("a"), sent)
    assert refused.value.status == 403
    assert [(error.index, error.field) for error in refused.value.errors] == [(1, field)]
