"""The judged cases of trouble elsewhere that come as lines of a vendor's log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.sources import Skip
from tests.sources.reading import lines_of, read, shared

ADAPTER_OF = {"okta": "okta", "aws_cloudtrail": "cloudtrail"}


def made_of(case: str) -> tuple[list[list[Any]], list[dict[str, Any]]]:
    """What the adapter makes of each line, and what is expected of it."""
    folder = shared("field", "cases", case)
    expected = json.loads((folder / "expected.json").read_text())
    lines = [read(ADAPTER_OF[expected["source"]], line) for line in lines_of(folder / "raw.jsonl")]
    return lines, expected["lines"]


@pytest.mark.parametrize("case", ["03-okta-unknown-session-and-own-calls", "15-console-login-tri-state"])
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
