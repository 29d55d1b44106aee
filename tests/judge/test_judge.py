"""The judge itself, by cases small enough to be worked out by hand."""

import json
from typing import Any

import pytest

from .judge import judge_file
from .reading import parse_time

Row = dict[str, Any]
POLICY = """
version: 1
policies:
  - {id: pay, match: {action: ["pay.*"]}, require: {%s}}
"""


def event(kind: str, name: str, at: str, arrival: str | None = None, subject: str = "alice", **data: Any) -> bytes:
    """One line; `at` and `arrival` are the part after 2026-11-24T10:."""
    source = "/app" if kind.startswith("action") else "/idp"
    sent: Row = {"id": name, "source": source, "type": f"stepwatch.{kind}", "subject": subject, "data": data}
    sent["time"] = f"2026-11-24T10:{at}Z"
    return json.dumps(sent | ({"arrival": f"2026-11-24T10:{arrival}Z"} if arrival else {})).encode()


def action(name: str, at: str, arrival: str | None = None, **data: Any) -> bytes:
    return event("action.performed", name, at, arrival, **{"action": "pay.out", "session": "s"} | data)


def verified(name: str, at: str, arrival: str | None = None, **data: Any) -> bytes:
    return event("stepup.verified", name, at, arrival, **{"session": "s", "amr": ["otp"]} | data)


def judged(*lines: bytes, require: str = "", policy: str = POLICY) -> list[Row]:
    return judge_file(lines, [("policy.yaml", policy.replace("%s", require))])


def verdict(rows: list[Row], name: str) -> tuple[str, str, str | None]:
    (row,) = (row for row in rows if row.get("action_id") == name)
    return row["verdict"], row["reason"], row["verification"]


def alerts(rows: list[Row], kind: str) -> list[Row]:
    return [row for row in rows if row["kind"] == "alert" and row["alert"] == kind]


def test_a_proof_exactly_max_age_old_covers_and_one_microsecond_older_does_not() -> None:
    rows = judged(verified("v", "00:00"), action("at", "05:00"), action("past", "05:00.000001"))
    assert verdict(rows, "at") == ("verified", "step_up", "v")
    assert verdict(rows, "past") == ("unverified", "stale", None)
    (miss,) = (row["nearest_miss"] for row in rows if row.get("action_id") == "past")
    assert miss == {"verification": "v", "failed": ["stale"], "by_us": 1}


def test_a_proof_that_arrives_at_the_close_counts_and_one_microsecond_later_does_not() -> None:
    def with_arrival(arrival: str) -> bytes:
        return json.dumps(json.loads(verified("v", "00:00")) | {"arrival": f"2026-11-24T{arrival}Z"}).encode()

    close, past = with_arrival("11:00:10"), with_arrival("11:00:10.000001")  # grace 10 s, revise_within 1 h
    assert verdict(judged(action("a", "00:00"), close), "a") == ("verified", "step_up", "v")
    assert verdict(judged(action("a", "00:00"), past), "a") == ("unverified", "no_step_up", None)


def test_the_greatest_proof_by_the_time_it_was_made_is_chosen() -> None:
    older = verified("z", "00:40", auth_time=1795514400)  # proved at 10:00:00, reported later
    rows = judged(older, verified("b", "00:10"), verified("c", "00:10", verification="proof"), action("a", "01:00"))
    assert verdict(rows, "a") == ("verified", "step_up", "proof")
    (row,) = (row for row in rows if row.get("action_id") == "a")
    assert row["age_us"] == 50_000_000


def test_an_earlier_action_uses_a_proof_up_as_it_stood_at_its_own_close() -> None:
    # a1 chose v, for w arrived only after a1's close; so v is used up for a2, which falls back on nothing.
    policy = POLICY.replace("version: 1", "version: 1\ndefaults: {grace: 0s, revise_within: 1s}")
    lines = [
        verified("v", "00:00"),
        verified("w", "00:01", "00:20"),
        action("a1", "00:05"),
        action("a2", "00:10"),
    ]
    rows = judged(*lines, require="max_uses: 1", policy=policy)
    assert verdict(rows, "a1") == ("verified", "step_up", "v")
    assert verdict(rows, "a2") == ("unverified", "over_used", None)
    rows = judged(*lines, action("a3", "00:19.5", "00:19.5"), require="max_uses: 1", policy=policy)
    assert verdict(rows, "a3") == ("verified", "step_up", "w")


def test_a_recursion_of_uses_is_settled_by_order() -> None:
    names = ["a1", "a2", "a3", "a4"]
    lines = [verified("v", "00:00"), verified("w", "00:00")] + [action(name, "00:01") for name in names]
    rows = judged(*lines, require="max_uses: 1")
    proofs = [verdict(rows, name)[2] for name in names]
    assert proofs == ["w", "v", None, None]


def test_the_reason_is_the_filter_that_struck_the_last_candidate() -> None:
    lines = [
        verified("v1", "00:00", session="other"),
        verified("v2", "00:01", amr=["pwd"]),
        action("a", "00:30"),
    ]
    rows = judged(*lines, require="amr_any: [otp]")
    assert verdict(rows, "a") == ("unverified", "weak_factor", None)
    (row,) = (row for row in rows if row.get("action_id") == "a")
    assert row["nearest_miss"] == {"verification": "v2", "failed": ["weak_factor"], "by_us": None}


def test_the_last_prompt_speaks_only_where_no_candidate_is_fresh() -> None:
    denied = event("stepup.denied", "d", "00:20", session="s")
    assert verdict(judged(denied, action("a", "00:30")), "a") == ("unverified", "denied", None)
    stale = verified("v", "00:00", session="other")
    assert verdict(judged(stale, denied, action("a", "00:30")), "a") == ("unverified", "wrong_session", None)
    later = event("stepup.cancelled", "e", "00:21", session="s")
    assert verdict(judged(denied, later, action("a", "00:30")), "a") == ("unverified", "abandoned", None)


def test_a_proof_just_beyond_the_skew_is_after_the_fact() -> None:
    rows = judged(action("a", "00:00"), verified("v", "00:05.000001"))
    assert verdict(rows, "a") == ("unverified", "after_the_fact", None)
    (row,) = (row for row in rows if row["kind"] == "verdict")
    assert row["nearest_miss"] == {"verification": "v", "failed": ["after_the_fact"], "by_us": 1}
    assert verdict(judged(action("a", "00:00"), verified("v", "00:05")), "a")[0] == "verified"


def test_a_silent_source_blinds_and_its_alert_counts_from_the_first_arrival() -> None:
    policy = "sources: [{name: /idp, silent_after: 1m}]" + POLICY
    rows = judged(action("a", "00:00"), action("b", "01:00.000001"), policy=policy)
    assert verdict(rows, "a") == ("blind", "source_silent", None)
    (alert,) = alerts(rows, "source_silence")
    assert alert["alert_id"] == "al_42850120def173f54bb8f76eeb5df768"
    assert alert["first_time"] == alert["last_time"] == "2026-11-24T10:00:00.000000Z"
    beat = event("heartbeat", "h", "00:30", complete_to="2026-11-24T09:59:30Z")
    assert verdict(judged(action("a", "00:00"), beat, policy=policy), "a")[0] == "unverified"
    late = event("heartbeat", "h", "00:30", complete_to="2026-11-24T09:59:29.999999Z")
    assert verdict(judged(action("a", "00:00"), late, policy=policy), "a")[0] == "blind"


def test_members_of_one_bucket_are_one_alert_under_the_id_that_the_contract_spells() -> None:
    rows = judged(action("a2", "59:59"), action("a1", "00:00"), action("n", "00:30", outcome="denied"))
    (alert,) = alerts(rows, "unverified_action")
    assert (alert["alert_id"], alert["actions"], alert["count"]) == (
        "al_2996277f2b16abb726059484c818b8fb",
        ["a1", "a2"],
        2,
    )
    assert (alert["severity"], alert["policy"], alert["reason"]) == ("high", "pay", "no_step_up")


def test_five_challenges_are_fatigue_unless_one_was_verified_by_then() -> None:
    asked = [event("stepup.challenged", f"c{n}", f"0{n}:00", challenge=f"ch{n}") for n in range(5)]
    (alert,) = alerts(judged(*asked), "mfa_fatigue")
    assert alert["actions"] == ["c4"]
    assert alerts(judged(*asked, verified("v", "04:00", challenge="ch0")), "mfa_fatigue") == []
    after = judged(*asked, verified("v", "04:00.000001", challenge="ch0"), action("a", "05:00"))
    assert alerts(after, "mfa_fatigue")
    assert [row["severity"] for row in alerts(after, "mfa_fatigue_success")] == ["critical"]


def test_of_two_bodies_the_first_to_arrive_is_the_event() -> None:
    lines = [
        action("a", "00:00", "00:09", outcome="denied"),
        action("a", "00:00", "00:08"),
        verified("v", "00:00"),
    ]
    rows = judged(*lines)
    assert [row["kind"] for row in rows] == ["verdict"]
    assert alerts(judged(*lines[:2]), "unverified_action")
    assert not alerts(judged(lines[0]), "unverified_action")


def test_the_first_fault_is_named_and_unknown_types_of_ours_are_skipped() -> None:
    lines = [
        b"[]",
        b"",
        event("stepup.verified", "v", "00:00", amr="otp"),
        event("stepup.dreamt", "n", "99:00"),
    ]
    lines += [event("stepup.verified", "f", "10:00.000001", "00:00"), event("approval.granted", "g", "00:00")]
    rows = [(row["line"], row["id"], row["field"]) for row in judged(*lines)]
    assert rows == [(1, None, "json"), (3, "v", "data.amr"), (5, "f", "time"), (6, "g", "data.approver")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t01:30:00.1234569+01:30", 123_456),
        ("1970-01-01T23:59:60Z", 86_400_000_000),
        ("1970-01-02T00:59:60+01:00", 86_400_000_000),
        ("1970-01-01T23:58:60Z", None),
        ("1969-12-31T23:59:59-00:01", 59_000_000),
        ("1970-01-01T00:00:00+00:01", None),
        ("2262-01-01T00:00:00Z", None),
        ("1970-01-01 00:00:00Z", None),
        ("1970-01-01T00:00:00", None),
        ("1970-02-30T00:00:00Z", None),
        (7, None),
    ],
)
def test_a_time_is_read_as_the_contract_says(text: object, expected: int | None) -> None:
    assert parse_time(text) == expected
