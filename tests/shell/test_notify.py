"""What on-call is told, when, and in which words."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from stepwatch.agents.notify import Desk
from stepwatch.agents.outputs import OutputBatch
from stepwatch.notifiers import NOTIFIERS
from stepwatch.notifiers.console import Console, build_lines, build_not_judged
from stepwatch.notifiers.notices import Happening, Notice, NotJudged, notice_of, read_alert, seen_of
from stepwatch.notifiers.plain import plain
from tests.store.rows import alert, at

AT_0 = TopicPartition("stepwatch.alerts", 0)
LETTERS_0 = TopicPartition("stepwatch.dead-letters", 0)
HOSTILE = "a\x1b[2J\x1b]0;x\x07\r\nOPENED low fake\x9b31m\u202e\u2028\u200b\ufeff\x00b"


def step(before: bytes | None, after: bytes) -> Happening | None:
    """What is told about the step from one row to another."""
    seen = None if before is None else seen_of(read_alert(before))
    notice = notice_of(seen, read_alert(after))
    return None if notice is None else notice.happening


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, {}, Happening.OPENED),
        (None, {"state": "acknowledged"}, Happening.OPENED),
        ({}, {"count": 2}, Happening.WORSE),
        ({"severity": "high"}, {"severity": "critical"}, Happening.WORSE),
        ({"severity": "high"}, {"severity": "a level of the future"}, Happening.WORSE),
        ({}, {"severity": "high"}, Happening.CHANGED),
        ({}, {"reason": "stale"}, Happening.CHANGED),
        ({"count": 3}, {"count": 2}, None),
        ({"count": 3}, {"count": 2, "reason": "stale"}, Happening.CHANGED),
        ({}, {"title": "other words"}, None),
        ({}, {"state": "acknowledged"}, Happening.ACKNOWLEDGED),
        ({"state": "acknowledged"}, {"state": "acknowledged", "count": 2}, Happening.WORSE),
        ({"state": "acknowledged"}, {"state": "resolved"}, Happening.RESOLVED),
        ({}, {"state": "resolved", "resolved_by": "late_verification"}, Happening.RESOLVED),
        ({"state": "resolved"}, {"state": "open"}, Happening.REOPENED),
        ({"state": "resolved"}, {"state": "resolved", "resolved_by": "person"}, None),
    ],
)
def test_each_step_of_an_alert_is_told_or_not(
    before: dict[str, Any] | None, after: dict[str, Any], told: Happening | None
) -> None:
    assert step(None if before is None else alert(1, **before), alert(2, **after)) is told


def test_a_version_that_is_not_newer_is_told_to_nobody() -> None:
    assert step(alert(3), alert(3, count=9)) is None
    assert step(alert(3), alert(2, count=9)) is None


def test_an_alert_that_was_over_before_anybody_was_told_is_not_told() -> None:
    assert step(None, alert(1, state="resolved")) is None


def test_a_resolution_is_told_where_the_opening_was_compacted_away() -> None:
    assert step(None, alert(2, state="resolved")) is Happening.RESOLVED


# The desk: batches of records in, notices out.


class Ear:
    """A receiver that keeps what it was told."""

    name = "ear"

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int]] = []
        self.not_judged: list[NotJudged] = []

    def tell(self, notice: Notice) -> None:
        self.told.append((notice.happening.value, notice.alert.alert_id, notice.alert.version))

    def tell_not_judged(self, notice: NotJudged) -> None:
        self.not_judged.append(notice)


def records(*values: bytes | None, start: int = 0, key: bytes = b"acme/al_1") -> list[ConsumerRecord]:
    return [
        ConsumerRecord(AT_0.topic, 0, start + n, 0, 0, key, value, None, 0, 0, ()) for n, value in enumerate(values)
    ]


def desk_of(log: list[ConsumerRecord]) -> tuple[Desk, Ear]:
    """A desk over a partition whose committed records are `log`."""
    ear = Ear()

    async def earlier(tp: TopicPartition, below: int) -> list[ConsumerRecord]:
        return [record for record in log if record.offset < below]

    return Desk([ear], earlier, LETTERS_0.topic), ear


def take(desk: Desk, batch: list[ConsumerRecord]) -> None:
    asyncio.run(desk.take(OutputBatch({AT_0: batch})))


def test_a_restarted_desk_goes_on_where_the_former_one_stood() -> None:
    log = records(alert(1), alert(2, count=2), alert(3, count=1), alert(4, count=2), alert(5, count=2))
    desk, ear = desk_of(log)
    take(desk, log[2:])
    # The falling count is silent, its rise again is told; what lay before is told to nobody.
    assert ear.told == [("worse", "al_1", 4)]


def test_a_batch_read_twice_is_told_once_by_one_desk() -> None:
    log = records(alert(1), alert(2, count=2))
    desk, ear = desk_of(log)
    take(desk, log)
    take(desk, log)
    assert ear.told == [("opened", "al_1", 1), ("worse", "al_1", 2)]


def test_a_partition_that_went_away_and_came_back_is_read_again() -> None:
    log = records(alert(1), alert(2, count=2), alert(3, count=3))
    desk, ear = desk_of(log)
    take(desk, log[:1])
    desk.forget([AT_0])
    take(desk, log[2:])
    assert ear.told == [("opened", "al_1", 1), ("worse", "al_1", 3)]


def test_after_a_tombstone_the_same_id_is_a_new_alert() -> None:
    log = records(alert(1), None, alert(1))
    desk, ear = desk_of(log)
    take(desk, log)
    assert ear.told == [("opened", "al_1", 1), ("opened", "al_1", 1)]


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"\xff", b'{"alert_id":1}', b'{"alert_id":"x"}'])
def test_a_record_that_is_no_alert_stops_nobody(value: bytes) -> None:
    log = [*records(value), *records(alert(1), start=1)]
    desk, ear = desk_of(log)
    take(desk, log)
    assert ear.told == [("opened", "al_1", 1)]


def test_a_field_of_a_newer_worker_is_passed_over() -> None:
    assert read_alert(alert()[:-1] + b',"of_the_future":[1]}').alert_id == "al_1"


# Events that nobody judged.


def letters(*errors: str, key: bytes | None = b"acme/alice", detail: str = "") -> list[ConsumerRecord]:
    """Dead letters of these kinds, from offset 0 on."""

    def headers(error: str) -> tuple[tuple[str, bytes], ...]:
        said = {"error": error, "field": "", "topic": "stepwatch.actions", "partition": "0", "offset": "1207"}
        said |= {"time": at("09:15:02"), **({"detail": detail} if detail else {})}
        return tuple((name, value.encode()) for name, value in said.items())

    return [
        ConsumerRecord(LETTERS_0.topic, 0, n, 0, 0, key, b"{}", None, 0, 0, headers(error))
        for n, error in enumerate(errors)
    ]


def test_of_the_dead_letters_each_bug_pages_once_and_no_other_does() -> None:
    desk, ear = desk_of([])
    batch = letters("json: no UTF-8", "bug", "conflict", "data.action: missing", "bug", detail="KeyError: 'x'")
    asyncio.run(desk.take(OutputBatch({LETTERS_0: batch})))
    assert [(one.letter_id, one.where, one.key, one.raised) for one in ear.not_judged] == [
        ("0@1", "stepwatch.actions-0@1207", "acme/alice", "KeyError: 'x'"),
        ("0@4", "stepwatch.actions-0@1207", "acme/alice", "KeyError: 'x'"),
    ]
    assert ear.told == []


def test_an_event_that_was_not_judged_is_told_with_where_what_was_raised_and_what_to_do() -> None:
    desk, ear = desk_of([])
    asyncio.run(desk.take(OutputBatch({LETTERS_0: letters("bug", detail="ZeroDivisionError: division by zero")})))
    assert build_not_judged(ear.not_judged[0]) == (
        "NOT JUDGED critical    acme/alice: a fault of ours on an event, which was NOT judged: ZeroDivisionError: "
        "division by zero (2026-11-24 09:15:02 UTC, stepwatch.actions-0@1207)",
        "                       do: stepwatch dead-letters show 0@0, report it; repaired: stepwatch dead-letters "
        "replay 0@0",
    )


@pytest.mark.parametrize("key", [HOSTILE.encode(), b"\xff\x1b[2J", None])
def test_a_bug_on_a_hostile_event_moves_no_cursor(key: bytes | None) -> None:
    desk, ear = desk_of([])
    asyncio.run(desk.take(OutputBatch({LETTERS_0: letters("bug", key=key, detail=HOSTILE)})))
    for line in build_not_judged(ear.not_judged[0]):
        assert line.isprintable(), ascii(line)


# The lines.


def lines(after: bytes, before: bytes | None = None) -> tuple[str, str]:
    notice = notice_of(None if before is None else seen_of(read_alert(before)), read_alert(after))
    assert notice is not None
    return build_lines(notice)


TALE = {
    "subject": "alice",
    "tenant": "acme",
    "title": "payout po_991 approved without a fresh proof",
    "explanation": "the last proof was too old; nearest: security key tap 42 s too old",
    "runbook": "https://runbooks.acme.example/payout",
    "owner": "payments-oncall",
}


def test_an_opened_alert_says_who_did_what_what_is_missing_and_what_to_do() -> None:
    assert lines(alert(1, **TALE)) == (
        "OPENED critical        alice: payout po_991 approved without a fresh proof: the last proof was too "
        "old; nearest: security key tap 42 s too old (2026-11-24 09:15:00 UTC) [acme]",
        "                       do: https://runbooks.acme.example/payout · owner payments-oncall · al_1",
    )


def test_a_worse_alert_says_what_changed() -> None:
    before, after = alert(1, **TALE), alert(2, **TALE, count=4, last_time=at("09:40:00"))
    assert lines(after, before)[0].endswith("; 1 → 4 so far (2026-11-24 09:15:00 to 09:40:00 UTC) [acme]")


def test_a_span_over_midnight_shows_both_days() -> None:
    row = alert(1, last_time="2026-11-25T00:00:01.000000Z")
    assert "(2026-11-24 09:15:00 to 2026-11-25 00:00:01 UTC)" in lines(row)[0]


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("late_verification", "nothing to do: the proof arrived late, and covers it"),
        ("revision", "nothing to do: later evidence changed the verdict"),
        ("source_recovered", "nothing to do here: the source is back"),
        ("person", "closed by a person"),
        ("expired", "nobody changed it for 30 days"),
        ("a way of the future", "resolved by a way of the future"),
    ],
)
def test_a_resolved_alert_says_by_what(by: str, words: str) -> None:
    first, second = lines(alert(2, state="resolved", resolved_by=by, **TALE), alert(1, **TALE))
    assert first.startswith("RESOLVED critical ")
    assert words in second
    assert "runbooks" not in second


def test_an_alert_without_a_runbook_still_says_what_to_do() -> None:
    assert "do: ask alice whether it was them · al_1" in lines(alert(1, subject="alice"))[1]
    assert "do: see why" in lines(alert(1, subject="", tenant="", kind="source_silence"))[1]


def test_a_subject_that_the_title_names_is_not_named_twice() -> None:
    first = lines(alert(1, subject="alice", title="alice approved payout po_991"))[0]
    assert first.count("alice") == 1


@pytest.mark.parametrize(
    "field",
    [
        "subject",
        "tenant",
        "title",
        "explanation",
        "runbook",
        "owner",
        "severity",
        "first_time",
        "alert_id",
        "kind",
    ],
)
def test_no_value_can_move_the_cursor_or_make_a_line_of_its_own(field: str) -> None:
    row = alert(1, **{"title": "", field: HOSTILE})
    for line in lines(row):
        assert line.isprintable(), ascii(line)
    before = alert(1, **{field: HOSTILE})
    for line in lines(alert(2, count=2, reason=HOSTILE), before):
        assert line.isprintable(), ascii(line)


def test_hostile_characters_are_shown_and_plain_ones_are_kept() -> None:
    assert plain("\x1b[2J\n\u202ex\U000e0001") == "\\x1b[2J\\x0a\\u202ex\\U000e0001"
    assert plain("Zoë Ångström 李 🔑 O'Brien") == "Zoë Ångström 李 🔑 O'Brien"


def test_a_value_of_any_length_stays_short() -> None:
    assert plain("x" * 300) == "x" * 300
    assert plain("x" * 301) == "x" * 299 + "…"


class Terminal(io.StringIO):
    """A stream that says it is a terminal, with an encoding."""

    def __init__(self, *, tty: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._tty = tty
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._tty


def printed(tty: bool, encoding: str = "utf-8", **environ: str) -> str:
    stream = Terminal(tty=tty, encoding=encoding)
    Console(stream, environ).tell(Notice(Happening.OPENED, read_alert(alert(1, **TALE, reason="é")), None))
    return stream.getvalue()


def test_colour_is_used_on_a_terminal_only() -> None:
    assert printed(True).startswith("\x1b[1;31mOPENED critical\x1b[0m")
    assert "\x1b" not in printed(False)


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_is_left_out_where_it_is_not_wanted(environ: dict[str, str]) -> None:
    assert "\x1b" not in printed(True, **environ)


def test_a_terminal_that_cannot_show_a_character_gets_its_number() -> None:
    text = printed(False, "ascii")
    assert text.isascii()
    assert "\\xb7" in text


def test_the_console_is_a_receiver_by_name() -> None:
    assert NOTIFIERS["console"]().name == "console"
