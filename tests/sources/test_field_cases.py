"""The judged cases of trouble elsewhere that come as lines of a vendor's log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.sources import Skip
from tests.sources.reading import lines_of, read, shared

ADAPTER_OF = {"okta": "okta", "aws_cloudtrail": "cloudtrail", "entra": "entra", "duo": "duo", "keycloak": "keycloak"}


def made_of(case: str) -> tuple[list[list[Any]], list[dict[str, Any]]]:
    """What the adapter makes of each line, and what is expected of it."""
    folder = shared("field", "cases", case)
    expected = json.loads((folder / "expected.json").read_text())
    lines = [read(ADAPTER_OF[expected["source"]], line) for line in lines_of(folder / "raw.jsonl")]
    return lines, expected["lines"]


@pytest.mark.parametrize(
    "case",
    [
        "03-okta-unknown-session-and-own-calls",
        "11-entra-times-off-the-spec",
        "15-console-login-tri-state",
        "19-duo-success-without-proof",
    ],
)
def test_each_line_becomes_the_event_that_it_is(case: str) -> None:
    lines, expected = made_of(case)
    for want in expected:
        (got,) = lines[want["line"] - 1]
        types = want["event"] if isinstance(want["event"], list) else [want["event"]]
        assert (None if isinstance(got, Skip) else got["type"]) in types, want["line"]
        if isinstance(got, Skip):
            continue
        for name in ("session", "root_session"):
            if name in want:
                absent = want[name] in (None, "absent")
                assert got["data"].get(name) == (None if absent else want[name]), (want["line"], name)
        if "outcome" in want:
            assert got["data"]["outcome"] == want["outcome"]


def test_an_unknown_session_is_absent_and_oktas_own_call_is_not_the_clients() -> None:
    lines, _ = made_of("03-okta-unknown-session-and-own-calls")
    login, _, proof, action, logout, system = (line[0] for line in lines)
    assert "session" not in login["data"]
    assert "amr" not in login["data"]
    assert proof["data"]["amr"] == ["hwk"]
    assert proof["data"]["root_session"] == action["data"]["root_session"] == "102root"
    assert action["data"]["action"] == "idp.app.deactivate"
    assert "client" not in action["data"]
    assert logout["data"]["session"] == "102app"
    assert isinstance(system, Skip)


def test_a_console_login_says_what_aws_knows_of_the_factor_and_no_more() -> None:
    lines, _ = made_of("15-console-login-tri-state")
    yes, no, saml, centre, failed, root, check = (line[0] for line in lines)
    assert {event["subject"] for event in (yes, no, failed, check)} == {"arn:aws:iam::111122223333:user/rosa"}
    assert yes["data"]["amr"] == ["mfa", "otp"]
    assert no["data"]["amr"] == ["pwd"]
    for sso in (saml, centre):
        assert "rosa@corp.example" in sso["subject"]
        assert "amr" not in sso["data"]
    assert "amr" not in failed["data"]
    assert root["data"]["amr"] == ["mfa", "hwk"]
    assert check["data"]["amr"] == ["otp"]
    assert "session" not in check["data"]


def test_whoever_passed_duo_without_a_prompt_proved_nothing_and_the_phone_is_not_the_client() -> None:
    lines, _ = made_of("19-duo-success-without-proof")
    events = [line[0] for line in lines if not isinstance(line[0], Skip)]
    assert {event["subject"] for event in events} == {"rosa"}
    assert {event["data"]["client"]["ip"] for event in events} == {"203.0.113.7"}
    verified = [event for event in events if event["type"] == "stepwatch.stepup.verified"]
    assert [(event["data"]["challenge"], event["data"]["amr"]) for event in verified] == [("t1", ["swk"])]
    assert verified[0]["time"] == "2026-03-02T12:00:00.123456Z"
    unanswered = lines[9][0]
    assert unanswered["data"]["failure"] == "no_response"
    assert len({event["id"] for event in events}) == len(events)


def test_a_keycloak_login_proves_only_by_the_factor_that_it_says() -> None:
    lines, expected = made_of("04-keycloak-login-says-no-factor")
    password, code, cookie, refresh, otp, key, failed, other = (line[0] for line in lines)
    assert all(isinstance(one, Skip) for one in (code, refresh, failed))
    for login, want in ((password, 0), (cookie, 2), (otp, 4), (key, 5), (other, 7)):
        assert login["type"] == expected[want]["event"] == "stepwatch.session.started"
        assert login["subject"] == expected[want]["subject"]
    assert [login["data"]["session"] for login in (password, cookie, otp, key, other)] == [
        *("kc-s1", "kc-s1", "kc-s2", "kc-s3", "kc-s4")
    ]
    assert (password["time"], cookie["time"]) == (expected[0]["time"], expected[2]["time"])
    for login in (password, cookie, other):
        assert "amr" not in login["data"]
        assert "auth_time" not in login["data"]
    assert otp["data"]["amr"] == ["otp"]
    assert key["data"]["amr"] == ["hwk"]


def test_entras_times_off_the_specification_are_read_as_meant_or_counted() -> None:
    lines, expected = made_of("11-entra-times-off-the-spec")
    machine, noon, midnight, cut, new, empty, other = (line[0] for line in lines)
    assert machine.field == "subject"
    for want, got in zip(expected[1:4], (noon, midnight, cut), strict=True):
        assert got["time"] == want["time"].split()[0]
        assert got["subject"] == want["subject"]
        assert got["data"]["amr"] == ["hwk"]
    assert new["subject"] == "6f1d-homer"
    assert [got.field for got in (empty, other)] == ["time", "time"]
