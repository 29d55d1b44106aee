"""`otp_guessing` and `replayed_code` (contract section 6)."""

from typing import Any

import pytest

from tests.core.given import MS, US, D, M, Row, S, alerted, event, policy, step, verified

POLICY = policy()


def guessing(*events: Row) -> Row | None:
    return alerted(POLICY, *events).get("otp_guessing")


def replayed(*events: Row) -> Row | None:
    return alerted(POLICY, *events).get("replayed_code")


def failures(count: int, first: int = 0, **fields: Any) -> list[Row]:
    return [step("failed", f"f{i}", first + i * S, failure="wrong_code", **fields) for i in range(count)]


# otp_guessing


def test_ten_failures_in_five_minutes_are_guessing_itself_included() -> None:
    found = guessing(*failures(10))
    assert found is not None
    assert (found["severity"], found["reason"], found["actions"]) == ("high", "otp_guessing", ["f9"])


def test_nine_failures_are_not_guessing() -> None:
    assert guessing(*failures(9)) is None


def test_failures_of_one_challenge_all_count() -> None:
    assert guessing(*failures(10, challenge="ch")) is not None


def test_only_failures_count_and_no_other_end() -> None:
    assert guessing(*failures(9), step("denied", "d", 10 * S), step("expired", "e", 11 * S)) is None


def test_the_window_of_guessing_is_open_five_minutes_before() -> None:
    rest = failures(8, 2 * M)
    anchor = step("failed", "last", 5 * M)
    assert guessing(step("failed", "first", US), *rest, anchor) is not None
    assert guessing(step("failed", "first", 0), *rest, anchor) is None


def test_a_failure_that_arrives_more_than_an_hour_after_the_anchor_does_not_count() -> None:
    *most, anchor = failures(10)
    first, *rest = most
    in_time = {**first, "arrival": "2026-11-24T10:00:09Z"}
    too_late = {**first, "arrival": "2026-11-24T10:00:09.000001Z"}
    assert guessing(*rest, anchor, in_time) is not None
    assert guessing(*rest, anchor, too_late) is None


def test_a_failure_reported_later_than_accept_late_anchors_no_guessing() -> None:
    *rest, anchor = failures(10)
    assert guessing(*rest, {**anchor, "arrival": "2026-11-25T09:00:09Z"}) is not None
    assert guessing(*rest, {**anchor, "arrival": "2026-11-25T09:00:09.000001Z"}) is None


# replayed_code


def code(event_id: str, at: int, **fields: Any) -> Row:
    return verified(event_id, at, **{"credential": "totp-1", "otp_step": 58_000_001, "amr": ["otp"], **fields})


def test_one_code_accepted_twice_was_replayed() -> None:
    found = replayed(code("first", 0), code("second", S))
    assert found is not None
    assert (found["severity"], found["reason"], found["actions"]) == ("critical", "replayed_code", ["second"])


@pytest.mark.parametrize(
    "other",
    [{"otp_step": 58_000_002}, {"credential": "totp-2"}, {"otp_step": None}, {"credential": None}, {"subject": "bob"}],
)
def test_another_step_or_credential_or_none_is_no_replay(other: Row) -> None:
    assert replayed(code("first", 0, **other), code("second", S)) is None


def test_without_a_credential_or_a_step_nothing_is_compared() -> None:
    assert replayed(code("first", 0, credential=None), code("second", S, credential=None)) is None
    assert replayed(code("first", 0, otp_step=None), code("second", S, otp_step=None)) is None


def test_step_zero_is_a_step() -> None:
    assert replayed(code("first", 0, otp_step=0), code("second", S, otp_step=0)) is not None


def test_the_same_proof_reported_twice_is_no_replay() -> None:
    assert replayed(code("first", 0, verification="p"), code("second", S, verification="p")) is None
    assert replayed(code("first", 0, verification="p"), code("second", S, verification="q")) is not None


def test_a_code_is_replayed_within_24_hours_and_not_at_24_hours() -> None:
    assert replayed(code("first", 0), code("second", D - US)) is not None
    assert replayed(code("first", 0), code("second", D)) is None


def test_of_two_at_once_the_later_by_source_and_id_is_the_replay() -> None:
    found = replayed(code("b", 0), code("a", 0))
    assert found is not None
    assert found["actions"] == ["b"]


def test_a_failed_attempt_or_a_login_is_no_replay() -> None:
    failed = step("failed", "first", 0, credential="totp-1", otp_step=58_000_001, failure="replayed_code")
    login = event("session.started", "l", 0, session="s1", amr=["otp"], credential="totp-1", otp_step=58_000_001)
    assert replayed(failed, login, code("second", S)) is None


def test_the_earlier_use_may_arrive_until_an_hour_after_the_later_one() -> None:
    second = code("second", MS, arrival=S)
    assert replayed(code("first", 0, arrival=60 * M + S), second) is not None
    assert replayed(code("first", 0, arrival=60 * M + S + US), second) is None


def test_each_pattern_raises_its_own_alert_and_consumes_nothing() -> None:
    prompts = [step("failed", f"f{i}", i * S, challenge=f"ch{i}") for i in range(10)]
    kinds = alerted(POLICY, *prompts, code("first", 11 * S), code("second", 12 * S))
    assert sorted(kinds) == ["mfa_fatigue", "mfa_fatigue_success", "otp_guessing", "replayed_code"]
