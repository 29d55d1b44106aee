"""What the rows of `audit` and `authentications` say (contract section 8): the event as sent, and what was judged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwatch.schemas.audit import AuditRow, EvidenceRow
from stepwatch.schemas.compiled import encode_json
from stepwatch.streams.decode import ACTION, Event, decode
from stepwatch.streams.rows import Coordinates, action_row, outcome_of, plain_rest, plain_row, sensitivity_of
from tests.core.driver import T0_US, TOPICS, Driver, an_event, format_time
from tests.core.given import MS, PAYOUT, US, H, M, Row, S, policy

STATED = """tenant, subject, on_behalf_of, source, action_id, revision, time, arrival, decided_at, closes_at, session,
root_session, action, resource_type, resource_id, sensitivity, outcome, client_ip, client_device, client_country,
user_agent, policy, policy_version, trigger_reason, verdict, reason, failed, verification, verification_time,
verification_age_ms, amr, acr, challenge, credential, decision_result, decision_reason, claimed_verification,
nearest_miss, notes, kafka_topic, kafka_partition, kafka_offset, event_data, schema, engine_version"""
COLUMNS = STATED.replace("\n", " ").split(", ")
HOSTILE = ["\x00", "\x1b[31m", "\u2028", '"; DROP TABLE audit; --', "\\", "𝄞", "é", " ", "\t\n\r", "\x7f", "a" * 40_000]

TEXT = st.one_of(st.none(), st.sampled_from(["", "x", *HOSTILE[:-1]]), st.text(max_size=9))
DATA = st.fixed_dictionaries(
    {"action": st.one_of(st.just("other.thing"), st.text(min_size=1, max_size=9))},
    optional={
        "tenant": st.sampled_from([None, "acme", "default"]),
        **dict.fromkeys(("session", "root_session", "on_behalf_of", "challenge", "verification", "transaction"), TEXT),
        "outcome": st.one_of(TEXT, st.sampled_from(["success", "failure", "denied", "unknown"])),
        "resource": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {}, optional={"type": TEXT, "id": TEXT, "sensitivity": st.sampled_from(["low", "no"])}
            ),
        ),
        "client": st.one_of(
            st.none(),
            st.fixed_dictionaries({}, optional=dict.fromkeys(("ip", "device", "country", "user_agent"), TEXT)),
        ),
        "decision": st.one_of(st.none(), st.fixed_dictionaries({}, optional={"result": TEXT, "reason": TEXT})),
        "more": st.recursive(st.one_of(st.none(), st.integers(), TEXT), lambda inner: st.lists(inner, max_size=3)),
    },
)


def decoded(event: Row) -> Event:
    """An action as the core reads it, arrived a second later."""
    outcome = decode(json.dumps(event, ensure_ascii=False).encode(), T0_US + S, ACTION)
    assert isinstance(outcome, Event), outcome
    return outcome


def plain(event: Event, subject: str = "alice") -> Row:
    """The row of an action that no policy matches, as the hot path writes it."""
    rest = plain_rest("now", "topic", 3)
    row: Row = json.loads(plain_row(event, subject, sensitivity_of(event), outcome_of(event), 7, rest))
    return row


def full(event: Event, subject: str = "alice") -> Row:
    """The same row by the way of all other actions."""
    row = action_row(event, subject, Coordinates("topic", 3, 7))
    row.verdict, row.reason, row.decided_at, row.closes_at = "not_required", "no_policy", "now", row.arrival
    said: Row = json.loads(encode_json(row))
    return said


def judged(driver: Driver, action_id: str = "a") -> Row:
    """The row of an action whose grace is over."""
    driver.pulse(driver.log.now_us + 10 * S)
    return driver.verdict(action_id)


# the columns


def test_audit_rows_of_every_verdict_have_the_stated_columns_and_no_other() -> None:
    exempting = policy("amr_any: [hwk]").replace("require:", "exempt: {when: \"session == 'svc'\"}, require:")
    driver = Driver(exempting)
    driver.evidence("stepup.verified", "v", amr=["hwk"])
    driver.action("verified")
    driver.action("unverified", session="s2")
    driver.action("exempt", session="svc")
    driver.action("not_required", action="x")
    driver.action("blind", time_us=T0_US - 25 * H, at_us=T0_US)
    driver.pulse(T0_US + 10 * S)
    assert {row["verdict"] for row in driver.rows} == {row["action_id"] for row in driver.rows}
    assert len(driver.rows) == 5
    assert all(sorted(row) == sorted(COLUMNS) for row in driver.rows)


def test_columns_of_rows_stand_in_their_order_and_none_was_taken_away() -> None:
    """A column more is a line more here; one less, or another name, breaks a query that relies on it."""
    assert [name.removesuffix("_") for name in AuditRow.model_fields] == COLUMNS
    evidence = {name.removesuffix("_") for name in EvidenceRow.model_fields}
    assert evidence >= {"tenant", "subject", "source", "event_id", "type", "time", "arrival", "event_data", "late"}


@given(DATA, st.text(min_size=1, max_size=5))
def test_the_fast_row_of_an_unmatched_action_is_the_row_of_any_other(data: dict[str, Any], event_id: str) -> None:
    event = decoded(an_event("action.performed", event_id, **data))
    assert plain(event) == full(event)
    assert AuditRow.model_validate({("schema_" if name == "schema" else name): v for name, v in plain(event).items()})


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_any_string_comes_back_from_a_row_as_it_was_sent(hostile: str) -> None:
    sent = {"action": f"x{hostile}", "on_behalf_of": hostile, "resource": {"id": hostile}, "challenge": hostile}
    event = decoded(an_event("action.performed", f"i{hostile}", source=f"/{hostile}", **sent))
    row = plain(event, hostile)
    assert (row["action_id"], row["source"], row["subject"]) == (f"i{hostile}", f"/{hostile}", hostile)
    assert (row["action"], row["on_behalf_of"], row["resource_id"]) == (f"x{hostile}", hostile, hostile)
    assert json.loads(row["event_data"]) == sent


def test_a_row_says_where_its_record_lies() -> None:
    driver = Driver(policy(sources="{name: /idp, proves: [step_up]}"), partition=0, partitions=1)
    driver.action("first", action="x")
    driver.action("second")
    driver.evidence("stepup.verified", "v")
    rows = [driver.verdict("first"), driver.verdict("second"), driver.evidence_rows[0]]
    assert [(row["kafka_topic"], row["kafka_partition"], row["kafka_offset"]) for row in rows] == [
        (TOPICS.actions, 0, 0),
        (TOPICS.actions, 0, 1),
        (TOPICS.authentications, 0, 0),
    ]


# the event as sent

SPACED = b'{ "zz" : [1.50, 1e2,"\\u00e9\\/"], "action":"%s" ,"session":"s1", "n": 123456789012345678901234567890 }'


@pytest.mark.parametrize(("name", "verdict"), [(b"other", "not_required"), (PAYOUT.encode(), "unverified")])
def test_event_data_is_the_data_as_sent_byte_by_byte(name: bytes, verdict: str) -> None:
    driver = Driver(policy())
    envelope = json.dumps(an_event("action.performed", "a") | {"data": "DATA"}).encode()
    data = SPACED % name
    driver.send(TOPICS.actions, envelope.replace(b'"DATA"', data))
    row = judged(driver)
    assert (row["verdict"], row["event_data"].encode()) == (verdict, data)


@pytest.mark.parametrize("restarts", [False, True])
def test_event_data_is_on_revision_1_only(restarts: bool) -> None:
    driver = Driver(policy())
    driver.action("a")
    driver.pulse(T0_US + 10 * S)
    if restarts:
        driver.restart()
    driver.evidence("stepup.verified", "v", time_us=T0_US)
    first, second = driver.revisions("a")
    assert json.loads(first["event_data"]) == {"session": "s1", "action": PAYOUT}
    assert (second["revision"], second["event_data"]) == (2, "")
    assert {name: first[name] for name in COLUMNS[:8] if name != "revision"} == {
        name: second[name] for name in COLUMNS[:8] if name != "revision"
    }


def test_an_authentication_event_has_its_data_on_its_row() -> None:
    driver = Driver(policy())
    driver.evidence("stepup.verified", "v", amr=["hwk"], unknown_field={"a": [1, None]})
    assert json.loads(driver.evidence_rows[0]["event_data"]) == {
        "session": "s1",
        "amr": ["hwk"],
        "unknown_field": {"a": [1, None]},
    }


@pytest.mark.parametrize(
    ("sent", "shown"),
    [(0, 0), (-5, -5), (2**63 - 1, 2**63 - 1), (2**63, None), (2**64, None), (-(2**64), None), (10**400, None)],
)
def test_a_number_that_no_column_holds_is_null_and_still_in_the_data(sent: int, shown: int | None) -> None:
    driver = Driver(policy())
    driver.evidence("stepup.verified", "v", otp_step=sent)
    (row,) = driver.evidence_rows
    assert row["otp_step"] == shown
    assert json.loads(row["event_data"])["otp_step"] == sent


# what was judged


def test_a_proof_is_on_the_row_while_it_stands_and_gone_when_it_is_withdrawn() -> None:
    driver = Driver(policy("amr_any: [hwk]"))
    proof = {"amr": ["user", "hwk"], "acr": "phr", "challenge": "c-proof", "credential": "k", "verification": "ver-1"}
    driver.evidence("stepup.verified", "v", **proof)
    driver.action("a", time_us=T0_US + S + 1_500, challenge="c-own", verification="claimed")
    row = driver.verdict("a")
    assert (row["verification"], row["verification_time"]) == ("ver-1", format_time(T0_US))
    assert row["verification_age_ms"] == 1_001, "whole milliseconds"
    assert (row["amr"], row["acr"], row["credential"]) == (["user", "hwk"], "phr", "k")
    assert (row["challenge"], row["claimed_verification"]) == ("c-proof", "claimed")
    driver.pulse(T0_US + M)
    driver.evidence("session.revoked", "r", time_us=T0_US + S)
    row = driver.verdict("a")
    assert row["verdict"] == "unverified"
    assert (row["verification"], row["verification_time"], row["verification_age_ms"]) == ("", None, None)
    assert (row["amr"], row["acr"], row["credential"], row["challenge"]) == ([], "", "", "c-own")
    assert (row["failed"], row["claimed_verification"]) == (["voided"], "claimed")


def test_the_challenge_of_the_action_stays_where_the_proof_names_none() -> None:
    driver = Driver(policy())
    driver.evidence("stepup.verified", "v")
    driver.action("a", challenge="c-own")
    assert (driver.verdict("a")["verdict"], driver.verdict("a")["challenge"]) == ("verified", "c-own")


def test_sensitivities_and_outcomes_outside_their_lists_are_normal_on_the_row() -> None:
    for action_name in (PAYOUT, "other"):
        driver = Driver(policy())
        driver.action("a", action=action_name, outcome="SUCCESS", resource={"sensitivity": "Critical"})
        row = judged(driver)
        assert (row["outcome"], row["sensitivity"]) == ("unknown", "")


def test_a_verification_says_when_it_was_proved_and_no_other_event_does() -> None:
    driver = Driver(policy())
    driver.evidence("stepup.verified", "v", auth_time=T0_US // S - 60)
    driver.evidence("session.started", "l", amr=["pwd"])
    driver.evidence("stepup.denied", "d", auth_time=T0_US // S - 60)
    assert [row["proved_at"] for row in driver.evidence_rows] == [format_time(T0_US - M), format_time(T0_US), None]


def test_what_an_authentication_event_says_is_in_its_columns() -> None:
    driver = Driver(policy())
    client = {"ip": "::1", "device": "d", "country": "NO", "user_agent": "ua"}
    driver.evidence("stepup.failed", "f", client=client, failure="wrong_code", reason="why", challenge="c")
    driver.evidence("credential.changed", "k", credential="key", change="revoked")
    driver.evidence("approval.granted", "g", approver="bob", approver_verification="av")
    failed, changed, granted = driver.evidence_rows
    assert {name: failed[f"client_{name}"] for name in ("ip", "device", "country")} | {
        "user_agent": failed["user_agent"]
    } == client
    assert (failed["type"], failed["failure"], failed["reason"], failed["challenge"]) == (
        "stepup.failed",
        "wrong_code",
        "why",
        "c",
    )
    assert (changed["credential"], changed["credential_change"]) == ("key", "revoked")
    assert (granted["approver"], granted["approver_verification"]) == ("bob", "av")


# the wall clock

WALL = ("decided_at", "opened_at", "updated_at", "detection_ms", "overdue_ms")


def story(wall_us: int | None, step_us: int) -> Driver:
    """An alert that opens, grows and resolves, read under some wall clock."""
    driver = Driver(policy(sources="{name: /idp, silent_after: 30m}"))
    driver.wall_us = wall_us
    for number in range(6):
        if driver.wall_us is not None:
            driver.wall_us += step_us
        driver.action(f"a{number}", time_us=T0_US + number * M, session=f"s{number % 2}")
        driver.evidence("stepup.denied", f"d{number}", time_us=T0_US + number * M + S, session="s0")
        driver.restart()
    driver.evidence("stepup.verified", "v", time_us=T0_US + 4 * M, at_us=T0_US + 10 * M, session="s0")
    driver.pulse(T0_US + 2 * H)
    return driver


@pytest.mark.parametrize(("wall_us", "step_us"), [(US, 0), (T0_US, MS), (T0_US + 300 * H, -H)])
def test_the_wall_clock_is_in_five_columns_and_decides_nothing(wall_us: int, step_us: int) -> None:
    one, other = story(None, 0), story(wall_us, step_us)
    assert len(one.alerts) > 3
    for mine, others in ((one.rows, other.rows), (one.alerts, other.alerts)):
        assert without_wall(mine) == without_wall(others)
    assert one.rows != other.rows
    assert one.alerts != other.alerts


def without_wall(rows: list[Row]) -> list[Row]:
    """Rows as a comparison of two runs takes them."""
    return [{name: value for name, value in row.items() if name not in WALL} for row in rows]
