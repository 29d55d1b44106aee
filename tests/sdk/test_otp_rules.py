"""Which code is accepted, when none is looked at, and when it is over: the pure rules."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwatch.schemas.times import HOUR_US, SECOND_US
from stepwatch.sdk.otp_rules import FAILURES_END, OtpRules, code_at, is_locked, judge, wait_us
from stepwatch.sdk.otp_store import NO_STEP, OtpCredential
from tests.sdk.codes import START_US, STEP_US

RULES = OtpRules()
SECRET = base64.b32encode(b"12345678901234567890").decode()
CREDENTIAL = OtpCredential("acme", "c-1", "alice", "sealed", state="active")
NOW_STEP = START_US // STEP_US


def tried(code: str, credential: OtpCredential = CREDENTIAL, *, at_us: int = START_US, rules: OtpRules = RULES) -> Any:
    return judge(credential, SECRET, code, at_us, rules)


def of_step(offset: int) -> str:
    return code_at(CREDENTIAL, SECRET, NOW_STEP + offset)


# RFC 6238, appendix B: 8 digits, steps of 30 s; each hash has a secret of its own length.

VECTORS = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]


@pytest.mark.parametrize(("algorithm", "column", "length"), [("SHA1", 1, 20), ("SHA256", 2, 32), ("SHA512", 3, 64)])
@pytest.mark.parametrize("row", VECTORS, ids=lambda row: str(row[0]))
def test_each_vector_of_rfc_6238_is_accepted_at_its_time(row: Any, algorithm: str, column: int, length: int) -> None:
    secret = base64.b32encode((b"1234567890" * 7)[:length]).decode()
    credential = replace(CREDENTIAL, algorithm=algorithm, digits=8)
    accepted = judge(credential, secret, row[column], row[0] * SECOND_US, RULES)
    assert (accepted.failure, accepted.step) == (None, row[0] // 30)


# Drift, in pairs: at the edge, and one microsecond or step past it.


@pytest.mark.parametrize(
    ("drift", "offset", "failure"),
    [
        (1, -1, None),
        (1, 0, None),
        (1, 1, None),
        (1, -2, "expired_code"),
        (1, 2, "wrong_code"),
        (0, 0, None),
        (0, -1, "expired_code"),
        (0, 1, "wrong_code"),
        (3, -3, None),
        (3, 3, None),
        (3, -4, "expired_code"),
        (3, 4, "wrong_code"),
        (1, -11, "expired_code"),
        (1, -12, "wrong_code"),
    ],
)
def test_a_clock_may_be_off_by_the_drift_and_no_more(drift: int, offset: int, failure: str | None) -> None:
    assert tried(of_step(offset), rules=OtpRules(drift_steps=drift)).failure == failure


@pytest.mark.parametrize(
    ("at_us", "step", "failure"),
    [
        (START_US - STEP_US, 0, None),
        (START_US - STEP_US - 1, None, "wrong_code"),
        (START_US + 2 * STEP_US - 1, 0, None),
        (START_US + 2 * STEP_US, None, "expired_code"),
    ],
)
def test_a_code_lives_from_one_step_before_to_one_step_after_its_own(
    at_us: int, step: int | None, failure: str | None
) -> None:
    attempt = tried(of_step(0), at_us=at_us)
    assert attempt.failure == failure
    assert attempt.step == (None if step is None else NOW_STEP)


def test_at_the_beginning_of_time_there_are_no_steps_before_it() -> None:
    assert tried(code_at(CREDENTIAL, SECRET, 0), at_us=0).step == 0


# Replays.


def test_the_same_code_is_accepted_once_and_a_replay_changes_nothing() -> None:
    first = tried(of_step(0))
    second = tried(of_step(0), first.credential)
    assert (first.step, second.failure) == (NOW_STEP, "replayed_code")
    assert second.credential is first.credential


def test_after_a_later_code_an_earlier_one_that_was_never_used_is_expired() -> None:
    later = tried(of_step(1)).credential
    assert tried(of_step(0), later).failure == "expired_code"


def test_a_replay_is_still_called_so_when_its_time_is_over() -> None:
    used = tried(of_step(0)).credential
    assert tried(of_step(0), used, at_us=START_US + 5 * STEP_US).failure == "replayed_code"


@pytest.mark.parametrize(("ahead", "failure"), [(1, "wrong_code"), (2, "error")])
def test_where_a_code_of_a_time_to_come_was_accepted_none_proves_and_none_counts_as_a_failure(
    ahead: int, failure: str
) -> None:
    used = replace(CREDENTIAL, last_step=NOW_STEP + ahead)
    for typed in (of_step(ahead + 1), "000000"):
        attempt = tried(typed, used)
        assert (attempt.failure, attempt.step) == (failure, None)
        assert (attempt.credential is used) == (failure == "error")
    assert tried(of_step(3), used, at_us=START_US + 3 * STEP_US).step == NOW_STEP + 3, "once that time has come"


def test_a_code_that_two_steps_share_is_used_up_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyotp.TOTP.generate_otp", lambda self, step: "123456")
    first = tried("123456")
    assert first.step == NOW_STEP + 1
    assert tried("123456", first.credential).failure == "replayed_code"


# What people type.


@pytest.mark.parametrize("shape", ["{}", " {} ", "{:.3} {:.3}", "\t{}\n"])
def test_spaces_in_a_code_do_not_count(shape: str) -> None:
    code = of_step(0)
    typed = f"{code[:3]} {code[3:]}" if ".3" in shape else shape.format(code)
    assert tried(typed).step == NOW_STEP


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "１２３４５６", "\ud800", "\0", "9" * 100_000])
def test_what_is_no_code_is_a_wrong_code_that_counts(typed: str) -> None:
    attempt = tried(typed)
    assert (attempt.failure, attempt.credential.failures) == ("wrong_code", 1)


# Waits and the end, NIST SP 800-63B-4 section 3.2.2.


@pytest.mark.parametrize(
    ("failures", "wait_s"),
    [(0, 0), (5, 0), (6, 30), (7, 60), (8, 120), (12, 1920), (13, 3600), (14, 3600), (99, 3600)],
)
def test_waits_begin_after_the_free_failures_double_and_stop_at_an_hour(failures: int, wait_s: int) -> None:
    credential = replace(CREDENTIAL, failures=failures, failed_us=START_US)
    assert wait_us(credential, START_US, RULES) == wait_s * SECOND_US


def test_while_a_wait_lasts_a_right_code_is_not_looked_at_and_at_its_end_it_is() -> None:
    credential = replace(CREDENTIAL, failures=6, failed_us=START_US - 30 * SECOND_US + 1)
    early = tried(of_step(0), credential)
    assert (early.failure, early.credential) == ("locked_out", credential)
    assert tried(of_step(0), credential, at_us=START_US + 1).step == NOW_STEP


def test_a_wait_is_never_longer_than_the_failures_cost_though_the_clock_was_a_year_ahead_at_the_last_of_them() -> None:
    ahead = replace(CREDENTIAL, failures=6, failed_us=START_US + 365 * 24 * HOUR_US)
    assert wait_us(ahead, START_US, RULES) == 30 * SECOND_US
    waits = tried(of_step(0), ahead)
    assert waits.failure == "locked_out"
    assert tried(of_step(0), waits.credential, at_us=START_US + 30 * SECOND_US - 1).failure == "locked_out"
    assert tried(of_step(0), waits.credential, at_us=START_US + 30 * SECOND_US).step == NOW_STEP


def test_a_right_code_ends_the_row_of_failures() -> None:
    failed = tried("000000").credential
    assert failed.failures == 1
    accepted = tried(of_step(0), failed).credential
    assert (accepted.failures, accepted.failed_us) == (0, 0)


@pytest.mark.parametrize(("failures", "failure"), [(99, None), (100, "locked_out")])
def test_after_a_hundred_failures_in_a_row_no_code_is_looked_at_ever(failures: int, failure: str | None) -> None:
    credential = replace(CREDENTIAL, failures=failures, failed_us=START_US - 1000 * HOUR_US)
    assert tried(of_step(0), credential).failure == failure
    assert is_locked(credential, RULES) == (failure is not None)


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("failures_max", 100, 101),
        ("failures_max", 1, 0),
        ("drift_steps", 3, 4),
        ("drift_steps", 0, -1),
        ("expired_steps", 20, 21),
        ("wait_first_s", 1, 0),
        ("challenge_s", 1, 0),
        ("enrolment_s", 1, 0),
    ],
)
def test_a_rule_outside_its_range_is_refused_by_name(field: str, good: int, bad: int) -> None:
    OtpRules(**{"failures_free": 0, field: good})
    with pytest.raises(ValueError, match=field):
        OtpRules(**{"failures_free": 0, field: bad})


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.integers(-3, 3) | st.none()),
        max_size=200,
    ),
    st.integers(1, 12),
)
def test_law_no_step_twice_none_backwards_and_never_more_failures_than_allowed(
    attempts: list[tuple[int, int | None]], failures_max: int
) -> None:
    rules = OtpRules(failures_max=failures_max, failures_free=min(2, failures_max), wait_first_s=20)
    credential, now_us, failed = CREDENTIAL, START_US, 0
    accepted = [NO_STEP]
    for seconds, offset in attempts:
        now_us += seconds * SECOND_US
        typed = "none" if offset is None else code_at(credential, SECRET, now_us // STEP_US + offset)
        waiting = wait_us(credential, now_us, rules) > 0 or is_locked(credential, rules)
        attempt = tried(typed, credential, at_us=now_us, rules=rules)
        assert (attempt.failure == "locked_out") == waiting
        assert (attempt.step is None) == (attempt.failure is not None)
        if attempt.step is not None:
            assert attempt.step > accepted[-1]
            accepted.append(attempt.step)
            failed = 0
        elif attempt.failure in ("wrong_code", "expired_code"):
            failed += 1
        assert attempt.credential.failures == failed <= failures_max <= FAILURES_END
        assert (attempt.credential is credential) == (attempt.failure in ("locked_out", "replayed_code"))
        credential = attempt.credential
    assert credential.last_step == accepted[-1]
