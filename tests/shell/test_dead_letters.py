"""Reading dead letters, and where each goes that is put back."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from stepwatch.agents.dead_letters import Letter, Wanted, letter_of, parse_id
from stepwatch.agents.putting_back import Ground, StillWrong, Target, plan
from stepwatch.agents.settings import Settings
from stepwatch.cli.letters import show_letter
from stepwatch.schemas.keys import partition_of
from stepwatch.schemas.times import DAY_US, HOUR_US, format_time, parse_time
from stepwatch.schemas.topics import Topics
from stepwatch.streams.effects import BUG, NAMED_ERRORS
from stepwatch.streams.sets import PolicySets, build_set
from tests.cli.console import COMMAND, Finished, environment, run
from tests.shell.output_roles import Sent, send, settings_for
from tests.shell.test_notify import HOSTILE

NOW_US = parse_time("2026-11-24T12:00:00Z") or 0
POLICY = """
version: 1
defaults: {accept_late: 24h}
identities: [{subject: alice, aliases: ["alice@corp.example"]}]
policies: []
"""
TOPICS = Topics()
GROUND = Ground(TOPICS, 4, PolicySets([build_set([("p.yaml", POLICY)], None)]), NOW_US)


def event(kind: str = "action.performed", /, **changes: Any) -> dict[str, Any]:
    """An event that is right, but for the changes."""
    data = {"action": "iam.role.grant"} if kind == "action.performed" else {"amr": ["hwk"]}
    said = {"id": "e-1", "source": "/app", "type": f"stepwatch.{kind}", "time": "2026-11-24T11:00:00Z", "data": data}
    return {"specversion": "1.0", "subject": "bob", **said, **changes}


def bytes_of(said: dict[str, Any]) -> bytes:
    return json.dumps(said).encode()


def a_letter(value: bytes | None = b"{", **changes: Any) -> Letter:
    """A dead letter from the second partition of the actions."""
    said = "data.action: missing"
    whole = Letter(3, 12, said, "data.action", TOPICS.actions, 1, 1207, NOW_US, "", b"default/bob", value, ())
    return replace(whole, **changes)


def planned(letter: Letter, repaired: bytes | None = None, headers: Any = (), ground: Ground = GROUND) -> Target:
    target = plan(letter, repaired, headers, ground)
    assert isinstance(target, Target), target
    return target


def wrong(letter: Letter, repaired: bytes | None = None, headers: Any = (), ground: Ground = GROUND) -> str:
    target = plan(letter, repaired, headers, ground)
    assert isinstance(target, StillWrong), target
    return target.words


def test_the_errors_that_have_a_name_are_those_of_the_core() -> None:
    assert set(NAMED_ERRORS) == {"conflict", "misrouted", "bug"}
    assert BUG == "bug"


def test_a_repaired_event_goes_to_the_partition_of_its_canonical_subject_keyed_by_it() -> None:
    target = planned(a_letter(), bytes_of(event(subject="alice@corp.example")))
    key = b"default/alice"
    assert target[:3] == (TOPICS.actions, partition_of(key, 4), key)
    assert target.warning == ""


def test_a_repaired_event_carries_no_header_of_the_one_that_was_wrong() -> None:
    headers = [("ce_id", b"x"), ("stepwatch-first-arrival", b"2026-11-24T09:00:00Z"), ("traceparent", b"t")]
    assert list(planned(a_letter(), bytes_of(event()), headers).headers) == []


def test_an_event_put_back_as_it_is_counts_from_its_new_arrival() -> None:
    headers = [("traceparent", b"t"), ("stepwatch-first-arrival", b"2026-11-24T09:00:00Z"), ("stepwatch-moves", b"3")]
    letter = a_letter(bytes_of(event()), said="misrouted", field="subject")
    assert list(planned(letter, None, headers).headers) == [("traceparent", b"t")]


@pytest.mark.parametrize(
    ("kind", "topic"), [("action.performed", TOPICS.actions), ("stepup.verified", TOPICS.authentications)]
)
def test_an_event_in_the_wrong_topic_goes_into_its_familys(kind: str, topic: str) -> None:
    other = TOPICS.authentications if topic == TOPICS.actions else TOPICS.actions
    assert planned(a_letter(bytes_of(event(kind)), said="type: x", field="type", topic=other)).topic == topic


def test_an_event_in_binary_mode_is_read_with_the_headers_of_its_record() -> None:
    said = event()
    data = bytes_of(said.pop("data"))
    headers = [(f"ce_{name}", str(value).encode()) for name, value in said.items()]
    target = planned(a_letter(data), None, headers)
    assert (target.value, list(target.headers)) == (data, headers)
    assert wrong(a_letter(data)).startswith("id: missing")


def test_what_would_be_a_dead_letter_again_is_named_by_field_and_reason() -> None:
    assert wrong(a_letter(b"{")).startswith("json: ")
    assert wrong(a_letter(None)).startswith("json: ")
    assert wrong(a_letter(), bytes_of(event(data={}))) == (
        "data.action: missing; stepwatch.action.performed must have it"
    )
    assert wrong(a_letter(), bytes_of(event(type="stepwatch.of.the.future"))).startswith("type: ")


def test_a_time_that_lay_ahead_is_right_once_it_has_come() -> None:
    letter = a_letter(bytes_of(event(time=format_time(NOW_US + HOUR_US))), said="time: ahead", field="time")
    assert wrong(letter).startswith("time: ")
    assert planned(letter, ground=replace(GROUND, now_us=NOW_US + HOUR_US)).topic == TOPICS.actions


def test_a_conflict_goes_back_only_as_another_event() -> None:
    letter = a_letter(bytes_of(event()), said="conflict", field="id")
    assert "seen with another body" in wrong(letter)
    assert "seen with another body" in wrong(letter, bytes_of(event(outcome="failure")))
    assert planned(letter, bytes_of(event(id="e-2"))).topic == TOPICS.actions
    assert planned(letter, bytes_of(event(source="/other"))).topic == TOPICS.actions


def test_a_heartbeat_goes_back_into_its_own_partition() -> None:
    beat = bytes_of({"id": "h", "source": "/idp", "type": "stepwatch.heartbeat", "time": "2026-11-24T11:00:00Z"})
    letter = a_letter(b"{}", topic=TOPICS.authentications, from_partition=2, key=None)
    assert planned(letter, beat)[:3] == (TOPICS.authentications, 2, None)


def test_a_response_goes_back_under_its_key_once_it_is_one() -> None:
    letter = a_letter(b"{}", topic=TOPICS.responses)
    assert wrong(letter).startswith("id: ")
    said = {"id": "r", "alert_id": "al_1", "seen_version": 1, "decision": "note", "by": "me", "at": "now"}
    assert planned(letter, bytes_of(said))[:3] == (TOPICS.responses, 1, b"default/bob")


@pytest.mark.parametrize(
    "changes", [{"topic": ""}, {"topic": "other.topic"}, {"from_partition": -1}, {"from_partition": 4}]
)
def test_a_letter_that_came_from_nowhere_has_no_place_to_go_back_to(changes: dict[str, Any]) -> None:
    assert wrong(a_letter(**changes), bytes_of(event())).startswith("topic: ")


def test_an_event_older_than_accept_late_is_put_back_with_a_warning() -> None:
    at, past = (format_time(NOW_US - DAY_US - us) for us in (0, 1))
    assert planned(a_letter(), bytes_of(event(time=at))).warning == ""
    assert "blind (too_late)" in planned(a_letter(), bytes_of(event(time=past))).warning
    letter = a_letter(topic=TOPICS.authentications)
    assert "no action that has closed" in planned(letter, bytes_of(event("stepup.verified", time=past))).warning


@pytest.mark.parametrize(
    "headers", [(), (("error", None),), (("partition", b"x"), ("offset", b"9" * 30), ("time", b"\xff"))]
)
def test_a_letter_with_garbled_headers_is_still_one(headers: tuple[tuple[str, bytes | None], ...]) -> None:
    letter = letter_of(ConsumerRecord("t", 1, 5, 7, 0, None, b"x", None, 0, 0, headers))
    assert (letter.id, letter.topic, letter.from_partition, letter.time_us) == ("1@5", "", -1, 7000)
    assert (letter.where, letter.error) == ("unknown", "")


@pytest.mark.parametrize("text", ["", "3", "3@", "@3", "3@x", "-1@3", "3@12 ", "3@12@1", "٣@1"])
def test_what_is_no_id_is_none(text: str) -> None:
    assert parse_id(text) is None


def test_letters_are_found_by_name_by_field_and_by_what_holds_the_field() -> None:
    letter = a_letter()
    assert [Wanted(error=said).holds(letter, "stepwatch.") for said in ("data.action", "data", "dat", "action")] == [
        True, True, False, False,
    ]  # fmt: skip
    bug = a_letter(said="bug", field="")
    assert Wanted(error="bug").holds(bug, "stepwatch.")
    assert not Wanted(error="bug").holds(letter, "stepwatch.")
    assert Wanted(topic="actions").holds(letter, "stepwatch.")
    assert not Wanted(topic="responses").holds(letter, "stepwatch.")
    assert Wanted(since_us=NOW_US).holds(letter, "stepwatch.")
    assert not Wanted(since_us=NOW_US + 1).holds(letter, "stepwatch.")


def test_nothing_in_a_letter_can_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = HOSTILE.encode() + b"\xff\xfe\x9b31m"
    letter = a_letter(hostile, said=HOSTILE, field=HOSTILE, topic=HOSTILE, key=hostile, detail=HOSTILE)
    show_letter(replace(letter, headers=((HOSTILE, hostile),)), [(HOSTILE, hostile), ("none", None)])
    said = capsys.readouterr()
    for line in (said.out + said.err).split("\n"):
        assert line.isprintable(), ascii(line)
    assert "\\xff\\xfe" in said.out


def at(settings: Settings, partition: int, value: bytes | None, time: str, **headers: str) -> Sent:
    said = {
        "error": "json: no UTF-8",
        "field": "json",
        "topic": settings.topics.actions,
        "partition": "1",
        "time": time,
    }
    named = [(name, text.encode()) for name, text in {**said, "offset": "7", **headers}.items()]
    return (settings.topics.dead_letters, partition, b"default/bob", value, named)


@pytest.mark.live
def test_the_list_is_the_newest_first_and_says_how_many_more_there_are(kafka: str, tmp_path: Path) -> None:
    settings = settings_for(kafka)
    large = bytes(range(256)) * 1200
    send(
        settings,
        [
            at(settings, 0, b"{", "2026-11-24T09:00:00Z"),
            at(settings, 1, large, "2026-11-24T11:00:00Z", error="data.action: missing", field="data.action"),
            at(settings, 0, None, "2026-11-24T10:00:00Z", error="bug", field="", detail="KeyError: 'x'"),
        ],
    )
    send(settings, [at(settings, 0, b"aborted", "2026-11-24T12:00:00Z")], commit=False)

    def letters(*words: str) -> Finished:
        env = {"STEPWATCH_PREFIX": settings.prefix, "STEPWATCH_KAFKA_BOOTSTRAP": kafka}
        return run(tmp_path, "dead-letters", *words, **env)

    said = letters("list", "--limit", "2")
    assert [line.split()[0] for line in said.out.splitlines()] == ["ID", "1@0", "0@1"]
    assert "bug: KeyError: 'x'" in said.out
    assert "  actions-1@7  " in said.out
    assert said.err == "2 dead letters, 1 more: --limit 0 shows all\n"
    assert [row["id"] for row in letters("list", "--json").rows] == ["1@0", "0@1", "0@0"]
    assert [row["bytes"] for row in letters("list", "--json").rows] == [len(large), None, 1]
    assert [row["id"] for row in letters("list", "--json", "--error", "bug").rows] == ["0@1"]
    assert [row["id"] for row in letters("list", "--json", "--since", "2026-11-24T10:00:00Z").rows] == ["1@0", "0@1"]
    assert letters("list", "--topic", "responses").err == "no dead letter\n"

    shown = letters("show", "1@0")
    assert "cut: 303,200 bytes more; --raw writes all of them" in shown.err
    assert "\\x00\\x01" in shown.out
    raw = subprocess.run(
        [*COMMAND, "dead-letters", "show", "1@0", "--raw", "--bootstrap", kafka],
        cwd=tmp_path,
        env=environment(tmp_path, STEPWATCH_PREFIX=settings.prefix),
        capture_output=True,
        check=True,
    )
    assert (raw.stdout, raw.stderr) == (large, b"")
    assert "it has no value" in letters("show", "0@1").out
    for missing in ("0@2", "0@99", "7@0"):
        done = letters("show", missing)
        assert (done.status, done.out) == (2, "")
        assert f"{missing}: no such dead letter" in done.err
    assert "expected an id like 3@12" in letters("show", "3").err
