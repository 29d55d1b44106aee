"""Which actions the native core reads: by their tenant, subject, time and policies, and by what is remembered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import TIME_END_US, format_time
from stepwatch.schemas.topics import EVENT_BYTES_MAX
from stepwatch.streams import limits
from tests.bench.native import actions, fetches, no_codec
from tests.core.chunks import as_chunk
from tests.core.driver import T0_US, Record, Row, an_event
from tests.core.given import US, S
from tests.core.native_reader import FOREVER, REST, by_python, is_read, native, nothing_concerns, reader, row_of
from tests.core.raw_events import event, raw

Names = tuple[str, ...]


def test_the_bounds_of_the_core_are_those_of_the_product() -> None:
    assert native.EVENT_BYTES_MAX == EVENT_BYTES_MAX
    assert native.EVENT_DEPTH_MAX == limits.EVENT_DEPTH_MAX
    assert native.AHEAD_MAX_US == limits.AHEAD_MAX_US


def test_every_plain_action_of_the_benchmark_is_read() -> None:
    plain = reader()
    count = 0
    for offset, data in fetches(actions(3_000, mixed=False)):
        for chunk in native.read_chunks(data, offset, [], 4_000, no_codec)[0]:
            rows = native.Rows(1 << 20)
            stop, _ = plain.read(chunk, 0, -1, REST, rows)
            assert stop == len(chunk) == len(rows)
            for (_, value), its in zip(rows, chunk, strict=True):
                assert value == by_python(its, json.loads(value)["subject"], its.timestamp * 1000)
            count += stop
    assert count > 2_600


# tenant and subject


@pytest.mark.parametrize("tenant", ["a", "A-Z_0.9", "x" * 64])
def test_a_tenant_of_its_characters_is_read(tenant: str) -> None:
    assert is_read(event(data={"tenant": tenant}))


@pytest.mark.parametrize("tenant", ["x" * 65, "a b", "a/b", "ä", "*", " "])
def test_any_other_tenant_is_left_to_python(tenant: str) -> None:
    assert not is_read(event(data={"tenant": tenant}))


def test_a_subject_of_another_partition_is_left_to_python() -> None:
    plain = [reader(partition=number, partitions=7) for number in range(7)]
    for number in range(100):
        subject = f"subject-{'x' * (number % 5)}{number}ë"
        home = partition_of(subject_key("default", subject), 7)
        read = [is_read(event(subject=subject), each) for each in plain]
        assert read == [each == home for each in range(7)]


def test_an_alias_is_read_as_its_subject_in_the_partition_of_that() -> None:
    def canonical(tenant: str, subject: str) -> str:
        return {("default", "al"): "alice"}.get((tenant, subject), subject)

    home = partition_of(b"default/alice", 16)
    for _ in range(2):
        row = row_of(event(subject="al"), reader(canonical=canonical, partition=home, partitions=16))
        assert row is not None
        assert row["subject"] == "alice"
    assert not is_read(event(subject="al"), reader(canonical=canonical, partition=(home + 1) % 16, partitions=16))


@pytest.mark.parametrize("canonical", ['a"b', "a\\b", "a\nb", "\x00"])
def test_a_canonical_subject_that_needs_escapes_is_left_to_python(canonical: str) -> None:
    assert not is_read(event(), reader(canonical=lambda tenant, subject: canonical))
    assert is_read(event(), reader(canonical=lambda tenant, subject: "\x7fë/'"))


# time


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T09:00:00Z",
        "2026-11-24T09:00:00.1Z",
        "2026-11-24T09:00:00.1234567899Z",
        "2026-11-24T10:00:00+01:00",
        "2026-11-23T09:01:00.5-23:59",
        "2024-02-29T23:59:59Z",
        "1970-01-01T00:00:00Z",
    ],
)
def test_a_time_is_read_with_any_zone_and_fraction(text: str) -> None:
    assert is_read(event(time=text))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24t09:00:00Z",
        "2026-11-24T09:00:00z",
        "2026-11-24 09:00:00Z",
        "2016-12-31T23:59:60Z",
        "2026-02-29T00:00:00Z",
        "2026-11-24T09:00:00",
        "2026-11-24T09:00Z",
        "2026-11-24T09:00:00.Z",
        "٢026-11-24T09:00:00Z",
        "1969-12-31T23:59:59Z",
        "soon",
    ],
)
def test_any_other_time_is_left_to_python(text: str) -> None:
    assert not is_read(event(time=text))


def test_a_time_10_minutes_after_arrival_is_read_and_one_microsecond_more_is_left_to_python() -> None:
    edge_us = T0_US + limits.AHEAD_MAX_US
    assert is_read(event(time=format_time(edge_us)))
    assert not is_read(event(time=format_time(edge_us + 1)))


def test_only_the_times_at_which_the_set_is_in_force_are_read() -> None:
    plain = reader(from_us=T0_US, until_us=T0_US + 5)
    read = [is_read(event(time=format_time(T0_US + at)), plain) for at in (-1, 0, 4, 5)]
    assert read == [False, True, True, False]


def test_a_record_without_a_sound_append_time_is_left_to_python() -> None:
    for at_ms in (-1, TIME_END_US // 1000, 2**62):
        assert not is_read(Record(7, at_ms, None, raw(event(time="1970-01-01T00:00:00Z"))))
    assert is_read(Record(7, TIME_END_US // 1000 - 1, None, raw(event())))


def test_the_arrival_is_the_greatest_append_time_so_far() -> None:
    chunk = as_chunk([Record(at, (T0_US + us) // 1000, None, raw(event())) for at, us in enumerate((S, 0, 2 * S))])
    rows = native.Rows(1 << 20)
    assert reader().read(chunk, 0, T0_US + 5, REST, rows) == (3, T0_US + 2 * S)
    arrivals = [json.loads(value)["arrival"] for _, value in rows]
    assert arrivals == [format_time(T0_US + us) for us in (S, S, 2 * S)]
    assert row_of(event(), log_time_us=T0_US + 3 * US) is not None


# policies


def test_an_action_that_a_policy_may_concern_is_left_to_python() -> None:
    asked: list[Names] = []

    def may_concern(*names: str) -> bool:
        asked.append(names)
        return names[1] == "pay"

    plain = reader(may_concern)
    made = event(data={"tenant": "t", "action": "read", "resource": {"type": "é", "sensitivity": "odd"}})
    assert [is_read(made, plain), is_read(made, plain)] == [True, True]
    assert [is_read(event(data={"action": "pay"}), plain) for _ in range(2)] == [False, False]
    assert asked == [("t", "read", "é", ""), ("default", "pay", "", "")], "each is asked for once"


def test_names_that_join_to_the_same_text_are_told_apart() -> None:
    plain = reader(lambda tenant, action, kind, sensitivity: (action, kind) == ("ab", "c"))
    assert not is_read(event(data={"action": "ab", "resource": {"type": "c"}}), plain)
    assert is_read(event(data={"action": "a", "resource": {"type": "bc"}}), plain)
    assert is_read(event(data={"action": "abc"}), plain)


def test_a_long_name_is_asked_for_each_time() -> None:
    asked: list[Names] = []
    plain = reader(lambda *names: bool(asked.append(names)))
    for length, times in ((256, 1), (257, 2)):
        asked.clear()
        for _ in range(2):
            assert is_read(event(data={"action": "x" * length}), plain)
        assert len(asked) == times


def test_another_set_is_asked_anew() -> None:
    plain = reader()
    assert is_read(event(), plain)
    plain.use(0, FOREVER, lambda *names: True, None)
    assert not is_read(event(), plain)
    plain.use(0, FOREVER, nothing_concerns, lambda tenant, subject: "bob")
    assert is_read(event(), plain)
    plain.use(0, FOREVER, nothing_concerns, lambda tenant, subject: "eve")
    row = row_of(event(), plain)
    assert row is not None
    assert row["subject"] == "eve"


def test_before_a_set_is_in_use_everything_is_left_to_python() -> None:
    assert not is_read(event(), native.PlainActions(0, 1))


@pytest.mark.parametrize(
    ("data", "read"),
    [
        ({"resource": {"sensitivity": "high"}}, False),
        ({"resource": {"sensitivity": "critical"}, "outcome": "failure"}, False),
        ({"resource": {"sensitivity": "High"}}, True),
        ({"resource": {"sensitivity": "moderate"}}, True),
        ({"decision": {"result": "required"}}, False),
        ({"decision": {"result": "Required"}}, True),
        ({"decision": {"reason": "required"}}, True),
    ],
)
def test_what_may_be_a_policy_gap_is_left_to_python(data: Row, read: bool) -> None:
    assert is_read(event(data=data)) == read


# what is remembered


def test_a_remembered_key_is_left_to_python_until_it_is_forgotten() -> None:
    plain = reader()
    key = ("default", "alice", "/app", "e-1")
    plain.remember(*key)
    plain.remember(*key)
    assert not is_read(event(), plain)
    assert is_read(event(id="e-2"), plain)
    assert is_read(event(subject="alice2"), plain)
    plain.forget(*key)
    assert not is_read(event(), plain)
    plain.forget(*key)
    assert is_read(event(), plain)
    plain.forget(*key)
    assert is_read(event(), plain)


def test_a_key_is_remembered_by_its_canonical_subject() -> None:
    plain = reader(canonical=lambda tenant, subject: "bob")
    plain.remember("default", "bob", "/app", "e-1")
    assert not is_read(event(), plain)
    plain.forget("default", "bob", "/app", "e-1")
    plain.remember("default", "alice", "/app", "e-1")
    assert is_read(event(), plain)


# a chunk


def chunk_of(*events: Row) -> Any:
    """Records of these events, a second apart."""
    return as_chunk([Record(at, T0_US // 1000 + at * 1000, None, raw(made)) for at, made in enumerate(events)])


def an_action(name: str) -> Row:
    """An action of that id; `pay` is of a policy's concern."""
    return an_event("action.performed", name, action="pay" if name == "pay" else "read")


def test_reading_stops_at_the_first_record_that_is_none_and_goes_on_behind_it() -> None:
    plain = reader(lambda tenant, action, kind, sensitivity: action == "pay")
    chunk = chunk_of(*map(an_action, ("a", "b", "pay", "c")))
    rows = native.Rows(1 << 20)
    assert plain.read(chunk, 0, -1, REST, rows) == (2, T0_US + S)
    assert plain.read(chunk, 2, T0_US + S, REST, rows) == (2, T0_US + S)
    assert plain.read(chunk, 3, T0_US + 2 * S, REST, rows) == (4, T0_US + 3 * S)
    assert plain.read(chunk, 4, T0_US + 3 * S, REST, rows) == (4, T0_US + 3 * S)
    assert [json.loads(value)["action_id"] for _, value in rows] == ["a", "b", "c"]
    with pytest.raises(IndexError):
        plain.read(chunk, 5, 0, REST, rows)


def test_what_a_callback_raises_is_raised_and_the_rows_before_it_stay() -> None:
    def may_concern(tenant: str, action: str, kind: str, sensitivity: str) -> bool:
        if action == "pay":
            raise RuntimeError("a bug")
        return False

    rows = native.Rows(1 << 20)
    with pytest.raises(RuntimeError, match="a bug"):
        reader(may_concern).read(chunk_of(*map(an_action, ("a", "pay"))), 0, -1, REST, rows)
    assert len(rows) == 1
    with pytest.raises(TypeError):
        is_read(event(), reader(lambda *names: "yes"))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("rest", [b"", b",", b"}", b'"a":1}', b',"a":1'])
def test_a_rest_that_ends_no_row_is_refused(rest: bytes) -> None:
    with pytest.raises(ValueError, match="rest of a row"):
        reader().read(chunk_of(an_action("a")), 0, -1, rest, native.Rows(100))


@pytest.mark.parametrize(("partition", "partitions"), [(0, 0), (4, 4), (5, 4)])
def test_a_partition_that_does_not_exist_is_refused(partition: int, partitions: int) -> None:
    with pytest.raises(ValueError, match="no partition"):
        native.PlainActions(partition, partitions)


def test_a_reader_that_only_its_own_callback_holds_is_let_go() -> None:
    import gc
    import weakref

    class Set:
        def may_concern(self, tenant: str, action: str, kind: str, sensitivity: str) -> bool:
            return False

    policy_set: Any = Set()
    policy_set.reader = reader(policy_set.may_concern)
    gone = weakref.ref(policy_set)
    del policy_set
    gc.collect()
    assert gone() is None
