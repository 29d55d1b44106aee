"""Files in, rows out (contract section 10): each kind of row, and what makes none."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

import pytest

from stepwatch.streams.replay import explained_replay, replay
from stepwatch.streams.sets import PolicySets, build_set
from tests.core.driver import T0_US, Row, sets_of
from tests.core.given import US, D, M, S, action, alerted, event, heartbeat, judged, lines, policy, replayed, verified

VERDICT = "kind tenant subject source action_id verdict reason policy verification age_us nearest_miss"
ALERT = "kind alert_id alert tenant subject policy severity reason count actions first_time last_time"
IDP = "{name: /idp, silent_after: 5m}"


def rows_of(*said: Row | bytes, policies: str | PolicySets = "") -> list[Row]:
    """The rows of lines as they are."""
    file = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in said]
    return list(replay(file, sets_of(policies or policy())))


def rejected(*said: Row | bytes) -> list[tuple[Any, Any, Any]]:
    """(line, id, field) of every rejected row."""
    rows = [row for row in rows_of(*said) if row["kind"] == "rejected"]
    assert all(list(row) == ["kind", "line", "id", "field"] for row in rows)
    return [(row["line"], row["id"], row["field"]) for row in rows]


def canonical(rows: list[Row]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


# verdict rows


def test_a_verdict_row_of_every_verdict_has_exactly_the_keys_of_the_contract() -> None:
    exempting = policy(sources=IDP).replace("require:", "exempt: {when: \"session == 'svc'\"}, require:")
    sparse = [
        action("none", action="x.y"),
        action("exempt", session="svc"),
        action("blind", session="s2"),
        action("late", arrival=2 * D),
    ]
    rows = rows_of(verified(), heartbeat(5 * D), action("proved"), *sparse, policies=exempting)
    rows += rows_of(action("not proved"))
    verdicts = [row for row in rows if row["kind"] == "verdict"]
    assert {row["verdict"] for row in verdicts} == {"not_required", "exempt", "verified", "blind", "unverified"}
    assert {" ".join(row) for row in verdicts} == {VERDICT}


def test_a_verified_action_names_its_proof_and_its_age_and_no_nearest_miss() -> None:
    row = judged(policy(), verified(verification="p-1", at=-90 * S - US), action())["a"]
    assert (row["verification"], row["age_us"], row["nearest_miss"]) == ("p-1", 90 * S + US, None)
    assert judged(policy(), verified("v"), action())["a"]["verification"] == "v"


def test_an_action_that_is_not_proved_has_neither_proof_nor_age() -> None:
    row = judged(policy(), verified(at=-5 * M - US), action())["a"]
    assert (row["verification"], row["age_us"]) == (None, None)
    assert row["nearest_miss"] == {"verification": "v", "failed": ["stale"], "by_us": 1}


def test_a_nearest_miss_that_is_not_a_matter_of_age_has_no_by_us() -> None:
    row = judged(policy(), verified(session="s2"), action())["a"]
    assert row["nearest_miss"] == {"verification": "v", "failed": ["wrong_session"], "by_us": None}


def test_without_any_candidate_the_nearest_miss_is_null() -> None:
    assert judged(policy(), action())["a"]["nearest_miss"] is None


def test_the_policy_is_named_where_one_matches_and_empty_where_none_does() -> None:
    rows = judged(policy(), action(), action("u", action="x.y"))
    assert {action_id: row["policy"] for action_id, row in rows.items()} == {"a": "payout", "u": ""}


def test_the_subject_is_the_canonical_one() -> None:
    more = "identities: [{subject: alice, aliases: [al]}]"
    assert judged(policy(more=more), action(subject="al"))["a"]["subject"] == "alice"


# alert rows


def test_an_alert_row_has_exactly_the_keys_of_the_contract() -> None:
    rows = [row for row in rows_of(action(), policies=policy(sources=IDP)) if row["kind"] == "alert"]
    rows += [row for row in rows_of(action("b"), heartbeat(D)) if row["kind"] == "alert"]
    assert {" ".join(row) for row in rows} == {ALERT}
    assert {row["alert"] for row in rows} == {"blind", "unverified_action"}


def test_an_alert_row_says_kind_members_and_times() -> None:
    row = alerted(policy(), action("b", 7), action("a", 59 * M))["unverified_action"]
    assert (row["count"], row["actions"]) == (2, ["b", "a"])
    assert row["first_time"] == "2026-11-24T09:00:00.000007Z"
    assert row["last_time"] == "2026-11-24T09:59:00.000000Z"
    assert (row["severity"], row["reason"], row["policy"]) == ("high", "no_step_up", "payout")


def test_only_alerts_that_are_open_on_the_evidence_are_shown() -> None:
    """The proof arrives after the grace: the stream raises an alert and resolves it, the file has none."""
    rows = replayed(policy(), action(), verified(at=-M, arrival=30 * M))
    assert [row["kind"] for row in rows] == ["verdict"]


def test_a_silent_source_is_shown_at_the_greatest_arrival() -> None:
    signs = [heartbeat(0), heartbeat(M, complete_to=-D)]
    silent = [*signs, action(action="x.y", at=5 * M + US)]
    row = alerted(policy(sources=IDP), *silent)["source_silence"]
    named = ("tenant", "subject", "policy", "count", "actions", "reason", "severity")
    assert [row[name] for name in named] == ["", "", "", 1, [], "/idp", "high"]
    sign = "2026-11-24T09:00:00.000000Z"
    assert (row["first_time"], row["last_time"]) == (sign, sign)
    assert alerted(policy(sources=IDP), *signs, action(action="x.y", at=5 * M)) == {}


def test_a_source_never_seen_is_silent_since_the_first_arrival() -> None:
    file = [action(action="x.y", at=-M, arrival=S), action("b", action="x.y", at=5 * M + S + US)]
    row = alerted(policy(sources=IDP), *file)["source_silence"]
    assert row["first_time"] == row["last_time"] == "2026-11-24T09:00:01.000000Z"


def test_the_last_heartbeat_of_a_silence_is_the_last_by_arrival_time_and_id() -> None:
    def silence_id(*heartbeats: Row) -> str:
        file = [*heartbeats, action(action="x.y", at=D)]
        return str(alerted(policy(sources=IDP), *file)["source_silence"]["alert_id"])

    def beat(event_id: str, at: int, arrival: int) -> Row:
        made = event("heartbeat", event_id, at, arrival=arrival)
        del made["subject"]
        return made

    only = {name: silence_id(beat(name, 0, 0)) for name in ("a", "b")}
    assert silence_id(beat("a", 0, 1), beat("b", S, 0)) == only["a"]
    assert silence_id(beat("a", 1, S), beat("b", 0, S)) == only["a"]
    assert silence_id(beat("a", 0, 0), beat("b", 0, 0)) == only["b"]


def test_an_early_action_of_a_file_keeps_its_signs_of_life_however_many_come_later() -> None:
    """A feed slower than its `silent_after` for days: each heartbeat is an interval of signs of its own."""
    later = [heartbeat(number * 10 * M) for number in range(1000)]
    rows = judged(policy(sources=IDP), action(), *later)
    assert rows["a"]["verdict"] == "unverified"


# rejected rows


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b'"text"', b"null", b"1", b"\xff", b'{"id": NaN}', b'{"id": "\\ud800"}', b"{} {}", b"\xef\xbb\xbf"],
)
def test_a_line_that_is_no_json_object_is_rejected_with_field_json_and_no_id(line: bytes) -> None:
    assert rejected(action(), line) == [(2, None, "json")]


@pytest.mark.parametrize(
    ("event_id", "shown"), [("x", "x"), ("", None), (5, None), (None, None), ("Zoë\u2028", "Zoë\u2028")]
)
def test_a_rejected_row_shows_the_id_where_there_is_one(event_id: object, shown: str | None) -> None:
    line = {**action(), "id": event_id, "source": ""}
    assert rejected(line) == [(1, shown, "source" if shown else "id")]


def test_lines_are_counted_from_one_blank_ones_too() -> None:
    assert rejected(b"{", b"", action(), b" \t ", b"{") == [(1, None, "json"), (5, None, "json")]


def test_an_arrival_that_is_no_time_rejects_its_line() -> None:
    assert rejected({**action(), "arrival": "yesterday"}) == [(1, "a", "arrival")]


def test_a_time_ahead_of_its_arrival_rejects_the_line_ten_minutes_and_a_microsecond_after() -> None:
    assert rejected(action(at=10 * M, arrival=0)) == []
    assert rejected(action(at=10 * M + US, arrival=0)) == [(1, "a", "time")]


def test_a_rejected_line_judges_nothing_and_is_no_arrival() -> None:
    far = {**action("far", at=D), "source": ""}
    assert [row["kind"] for row in rows_of(heartbeat(0), far, policies=policy(sources=IDP))] == ["rejected"]


# what makes no row


def test_copies_conflicts_newer_types_blank_lines_and_heartbeats_are_no_rows() -> None:
    conflict = action(outcome="failure", arrival=S)
    newer = event("passkey.synced", "n")
    rows = rows_of(action(), b"", action(), b"  ", action(arrival=M), conflict, newer, heartbeat(0), b"\t")
    assert sorted(row["kind"] for row in rows) == ["alert", "verdict"]
    assert [row["action_id"] for row in rows if row["kind"] == "verdict"] == ["a"]


def test_authentication_events_are_no_rows() -> None:
    assert rows_of(verified(), event("session.revoked", "r", session="s1")) == []


@pytest.mark.parametrize("file", [[], [b""], [b"\n", b"\r\n", b"  "]])
def test_an_empty_file_has_no_rows(file: list[bytes]) -> None:
    assert list(replay(file, sets_of(policy(sources=IDP)))) == []


# lines


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \r\n", b""])
def test_the_end_of_a_line_changes_nothing(end: bytes) -> None:
    file = lines(verified(), action(), action("b", session="s2"))
    sets = sets_of(policy())
    assert canonical(list(replay([line + end for line in file], sets))) == canonical(list(replay(file, sets)))


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_the_lines_does_not_matter(seed: int) -> None:
    """With copies, conflicts of one arrival, equal times, used-up proofs, heartbeats and a pattern among them."""
    file = [action(f"a{number}", number % 3, outcome="success") for number in range(6)]
    file += [action("a1", 1, outcome="failure"), action("a2", 2, session="s2"), action("a3", 0, arrival=S)]
    file += [verified("v1", -M), verified("v2", -M, verification="p"), verified("v3", -M, verification="p")]
    file += [event("stepup.denied", "n", -S, session="s1"), heartbeat(0), heartbeat(M, complete_to=-D)]
    text = policy("max_uses: 2", sources=IDP)
    wanted = canonical(replayed(text, *file))
    random.Random(seed).shuffle(file)
    assert canonical(replayed(text, *file)) == wanted


def test_the_number_of_a_rejected_line_is_all_that_its_place_changes() -> None:
    assert rejected(b"{", action(), verified()) == [(1, None, "json")]
    assert rejected(verified(), action(), b"{") == [(3, None, "json")]


# which of several bodies is the event


def smaller_first(*bodies: Row) -> list[Row]:
    """By the SHA-256 of the event without `arrival`, as the contract writes it."""

    def tie(body: Row) -> str:
        plain = {name: value for name, value in body.items() if name != "arrival"}
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    return sorted(bodies, key=tie)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("number", range(4))
def test_of_equal_arrivals_the_body_with_the_smaller_hash_is_the_event(number: int, turned: bool) -> None:
    one = action(resource={"type": "é", "n": number}, outcome="failure", session="one", arrival=M)
    two = action(resource={"type": "é", "n": number}, outcome="success", session="two", arrival=M)
    wins = smaller_first(one, two)[0]["data"]["session"]
    proof = verified(session="one")
    row = judged(policy(), proof, *([two, one] if turned else [one, two]))["a"]
    assert row["verdict"] == ("verified" if wins == "one" else "unverified")


@pytest.mark.parametrize("turned", [False, True])
def test_of_other_arrivals_the_earlier_is_the_event_whatever_its_hash(turned: bool) -> None:
    for early, late in ((M, M + US), (M + US, M)):
        one = action(session="one", arrival=early)
        two = action(session="two", arrival=late)
        row = judged(policy(), verified(session="one"), *([two, one] if turned else [one, two]))["a"]
        assert row["verdict"] == ("verified" if early < late else "unverified")


def test_spaces_escapes_and_the_arrival_make_no_other_body() -> None:
    plain = action(session="é")
    spaced = json.dumps(plain, indent=1).replace("\n", " ").encode()
    unescaped = json.dumps({**plain, "arrival": plain["time"]}, ensure_ascii=False).encode()
    rows = rows_of(plain, spaced, unescaped)
    assert [row["kind"] for row in rows] == ["verdict", "alert"]


# times and sentences


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("2026-11-24T10:00:00+01:00", "2026-11-24T09:00:00.000000Z"),
        ("2026-11-24T09:00:00.1Z", "2026-11-24T09:00:00.100000Z"),
        ("2026-11-24T09:00:00.1234569Z", "2026-11-24T09:00:00.123456Z"),
        ("2026-11-24T00:59:60+01:00", "2026-11-24T00:00:00.000000Z"),
    ],
)
def test_times_are_utc_with_six_fractional_digits_and_z(sent: str, shown: str) -> None:
    line = {**action(), "time": sent}
    said = [row["first_time"] for row in rows_of(line) if row["kind"] == "alert"]
    assert said == [shown]


def test_every_row_has_a_sentence_beside_it_for_people() -> None:
    file = [*lines(action(), verified(at=-6 * M)), b"{"]
    sentences = {each.row["kind"]: each.sentence for each in explained_replay(file, sets_of(policy()))}
    assert sentences["verdict"] == "the last proof was too old; nearest: security key tap 1 min too old"
    assert sentences["alert"].startswith("alice: payments.payout.approve: not verified; the last proof was too old")
    assert "line 1 column 2" in sentences["rejected"]


def test_a_file_of_several_sets_is_judged_by_the_one_in_force_at_each_actions_time() -> None:
    begins = T0_US + M
    sets = PolicySets(
        [
            build_set([("a.yaml", policy("max_age: 1m"))], None),
            build_set([("a.yaml", policy("max_age: 9m"))], begins),
        ]
    )
    rows = judged(sets, verified(at=-2 * M), action("before", M - US), action("from", M))
    assert {name: row["verdict"] for name, row in rows.items()} == {"before": "unverified", "from": "verified"}
