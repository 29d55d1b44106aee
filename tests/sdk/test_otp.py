"""A person's way through the verifier: prove, mistype, replay, come late, be locked out, be revoked."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stepwatch.sdk.checking import check_event
from stepwatch.sdk.context import Client
from stepwatch.sdk.otp import FernetSecrets, InvalidChallenge, NotEnrolled, OtpRules, OtpVerifier
from stepwatch.sdk.otp_async import AsyncOtpVerifier
from tests.sdk.codes import KEY, SHOP, START_US, Desk, code, prove, wrong

# Proof and failure, each with its event.


def test_a_right_code_proves_and_its_event_says_how_for_what_and_by_what() -> None:
    desk = Desk()
    made = desk.enrolled()
    client = Client(ip="203.0.113.7", device="d-3")
    token = desk.challenged(root_session="r-1", action="payout.approve", transaction="sha256:5f", client=client)
    challenged = desk.last
    result = desk.otp.verify(token, code(made, desk.clock.now_us), subject="alice", session="s-1", client=client)
    assert result
    assert (result.action, result.transaction, result.retry_after_s) == ("payout.approve", "sha256:5f", 0)
    assert challenged["type"] == "stepwatch.stepup.challenged"
    assert challenged["data"] == {
        "tenant": "acme",
        "session": "s-1",
        "root_session": "r-1",
        "challenge": result.challenge,
        "reason": "amount_over_limit",
        "client": {"ip": "203.0.113.7", "device": "d-3"},
    }
    assert desk.last == result.event
    assert desk.last["type"] == "stepwatch.stepup.verified"
    assert desk.last["source"] == "/shop"
    assert desk.last["time"] == "2026-01-01T00:00:30.000000Z"
    assert desk.last["data"] == {
        "tenant": "acme",
        "session": "s-1",
        "root_session": "r-1",
        "challenge": result.challenge,
        "verification": result.verification,
        "amr": ["otp"],
        "credential": made.credential,
        "otp_step": START_US // 30_000_000 + 1,
        "bound_action": "payout.approve",
        "transaction": "sha256:5f",
        "client": {"ip": "203.0.113.7", "device": "d-3"},
    }


@pytest.mark.parametrize(
    ("typed", "failure"),
    [
        (lambda made, now_us: wrong(code(made, now_us)), "wrong_code"),
        (lambda made, now_us: code(made, now_us - 60_000_000), "expired_code"),
        (lambda made, now_us: code(made, START_US), "replayed_code"),
    ],
)
def test_a_refused_code_is_a_failed_step_up_with_its_reason(typed: Callable[..., str], failure: str) -> None:
    desk = Desk()
    made = desk.enrolled()
    desk.clock.advance(60)
    result = prove(desk, made, typed(made, desk.clock.now_us), action="payout.approve")
    assert not result
    assert (result.outcome, result.verification, result.disabled) == (failure, None, False)
    assert desk.last["type"] == "stepwatch.stepup.failed"
    assert desk.last["data"] == {
        "tenant": "acme",
        "session": "s-1",
        "challenge": result.challenge,
        "bound_action": "payout.approve",
        "failure": failure,
    }


def test_after_six_wrong_codes_the_person_is_told_how_long_to_wait_and_then_may_prove() -> None:
    desk = Desk()
    made = desk.enrolled()
    bad = wrong(code(made, desk.clock.now_us))
    assert [prove(desk, made, bad).retry_after_s for _ in range(6)] == [0, 0, 0, 0, 0, 30]
    desk.clock.advance(0.5)
    waiting = prove(desk, made)
    assert (waiting.outcome, waiting.retry_after_s, waiting.disabled) == ("locked_out", 30, False)
    assert desk.last["data"]["failure"] == "locked_out"
    desk.clock.advance(29.499999)
    assert prove(desk, made).retry_after_s == 1
    desk.clock.advance(0.000001)
    assert prove(desk, made)


def test_a_clock_that_was_an_hour_ahead_leaves_an_error_that_is_logged_until_that_hour_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    made = desk.enrolled()
    desk.clock.advance(3600)
    assert prove(desk, made)
    desk.clock.advance(-3600)
    refused = [prove(desk, made) for _ in range(10)]
    assert {(one.outcome, one.retry_after_s, one.disabled) for one in refused} == {("error", 0, False)}
    assert desk.last["data"]["failure"] == "error"
    assert f"no code of credential {made.credential} is accepted" in caplog.text
    desk.clock.advance(3630)
    assert prove(desk, made), "and none of those tries has cost a wait"


def test_after_too_many_failures_only_a_new_enrolment_helps() -> None:
    desk = Desk(rules=OtpRules(failures_max=2, failures_free=2))
    made = desk.enrolled()
    bad = wrong(code(made, desk.clock.now_us))
    assert [prove(desk, made, bad).disabled for _ in range(2)] == [False, True]
    desk.clock.advance(10_000_000)
    locked = prove(desk, made)
    assert (locked.outcome, locked.retry_after_s, locked.disabled) == ("locked_out", 0, True)
    desk.otp.revoke("alice", made.credential)
    assert prove(desk, desk.enrolled())


@pytest.mark.parametrize(("late_s", "outcome"), [(299.999999, "verified"), (300, "expired_challenge")])
def test_a_challenge_can_be_answered_until_it_expires(late_s: float, outcome: str) -> None:
    desk = Desk()
    made = desk.enrolled()
    token = desk.challenged()
    desk.clock.advance(late_s)
    result = desk.otp.verify(token, code(made, desk.clock.now_us), subject="alice", session="s-1")
    assert result.outcome == outcome
    if outcome != "verified":
        assert desk.last["type"] == "stepwatch.stepup.expired"
        assert prove(desk, made), "the code was not looked at, so it is still good"


def test_a_revoked_credential_answers_no_challenge_and_its_secret_is_gone() -> None:
    desk = Desk()
    made = desk.enrolled()
    token = desk.challenged()
    assert desk.otp.revoke("alice", made.credential)
    assert desk.last["data"] == {"tenant": "acme", "credential": made.credential, "change": "revoked"}
    assert not desk.otp.revoke("alice", made.credential)
    result = desk.otp.verify(token, code(made, desk.clock.now_us), subject="alice", session="s-1")
    assert result.outcome == desk.last["data"]["failure"] == "error"
    kept = desk.store.get("acme", made.credential)
    assert kept is not None
    assert kept.sealed == ""


def test_who_has_several_credentials_is_asked_for_one_of_them() -> None:
    desk = Desk()
    first, second = desk.enrolled(), desk.enrolled()
    with pytest.raises(ValueError, match=r"^credential: alice has 2"):
        desk.challenged()
    assert prove(desk, second, credential=second.credential)
    assert prove(desk, second, code(first, desk.clock.now_us), credential=second.credential).outcome == "wrong_code"
    with pytest.raises(NotEnrolled, match="c-none"):
        desk.challenged(credential="c-none")


# Challenges of others, and of nobody.


def test_a_challenge_is_answered_only_by_its_subject_in_its_session() -> None:
    desk = Desk()
    made = desk.enrolled()
    token, right, before = desk.challenged(), code(made, desk.clock.now_us), len(desk.events) + 1
    desk.challenged()
    for subject, session in (("mallory", "s-1"), ("alice", "s-2"), ("alice", None)):
        with pytest.raises(InvalidChallenge):
            desk.otp.verify(token, right, subject=subject, session=session)
    assert len(desk.events) == before
    assert desk.otp.verify(token, right, subject="alice", session="s-1")


@pytest.mark.parametrize("token", ["", "x", None, "\ud800", "gAAAAA==", FernetSecrets([KEY]).seal("else", b"{}")])
def test_what_is_no_token_of_a_challenge_is_refused(token: Any) -> None:
    with pytest.raises(InvalidChallenge, match=r"^token: "):
        Desk().otp.verify(token, "123456", subject="alice")


def test_a_challenge_of_another_tenant_is_none_here_though_the_keys_are_shared() -> None:
    desk = Desk()
    desk.enrolled()
    token = desk.challenged()
    there = OtpVerifier(
        source=replace(SHOP, tenant="other"),
        report=print,
        store=desk.store,
        secrets=FernetSecrets([KEY]),
        issuer="Other",
    )
    with pytest.raises(InvalidChallenge):
        there.verify(token, "123456", subject="alice", session="s-1")


def test_a_form_without_a_code_is_told_so_and_nothing_is_counted() -> None:
    desk = Desk()
    desk.enrolled()
    with pytest.raises(ValueError, match=r"^code: expected a text, got NoneType"):
        desk.otp.verify(desk.challenged(), None, subject="alice", session="s-1")  # type: ignore[arg-type]
    assert desk.otp.credentials("alice")[0].failures == 0


# What is reported.


def test_a_reporter_that_raises_changes_no_answer_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    made = desk.enrolled()

    def away(event: dict[str, Any]) -> None:
        raise ConnectionError("the audit trail is away")

    otp = OtpVerifier(
        source=SHOP,
        report=away,
        store=desk.store,
        secrets=FernetSecrets([KEY]),
        issuer="Acme Bank",
        now=desk.clock,
    )
    token = otp.challenge("alice", reason="new_payee").token
    assert otp.verify(token, code(made, desk.clock.now_us), subject="alice")
    assert otp.unreported == 2
    assert "stepwatch.stepup.verified" in caplog.text


def test_no_event_log_line_or_repr_holds_a_code_or_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk, said = Desk(rules=OtpRules(failures_free=1, failures_max=4)), io.StringIO()
    made = desk.enrolled()
    typed: list[str] = []
    for seconds, choose in [(0, code), (30, wrong), (0, code), (90, wrong), (0, wrong), (600, wrong), (600, code)]:
        desk.clock.advance(seconds)
        right = code(made, desk.clock.now_us)
        typed.append(wrong(right) if choose is wrong else right)
        said.write(repr(prove(desk, made, typed[-1])))
    said.write(repr((made, desk.otp.credentials("alice"), desk.otp.challenge("alice", reason="new_payee"))))
    desk.otp.revoke("alice", made.credential)
    said.write(repr(desk.events) + caplog.text)
    assert {event["type"].split(".")[-1] for event in desk.events} == {"changed", "challenged", "verified", "failed"}
    assert [hidden for hidden in {made.secret, made.uri, *typed} if _stands_in(said.getvalue(), hidden)] == []


def _stands_in(text: str, hidden: str) -> bool:
    """Whether it stands there as a word of its own: random ids have any six digits in a row by chance."""
    return re.search(rf"(?<![\w-]){re.escape(hidden)}(?![\w-])", text) is not None


def test_every_event_is_one_that_the_worker_takes_with_an_id_of_its_own() -> None:
    desk = Desk()
    made = desk.enrolled()
    prove(desk, made)
    prove(desk, made, "000000")
    desk.otp.revoke("alice", made.credential)
    assert [check_event(event).type for event in desk.events] == [event["type"] for event in desk.events]
    assert len({event["id"] for event in desk.events}) == len(desk.events)


def test_the_verifier_loads_no_models_no_cipher_and_no_qr_code_before_they_are_needed() -> None:
    said = "import sys, stepwatch.sdk.otp, stepwatch.sdk.stepup; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    assert loaded & {"pydantic", "cryptography", "segno", "asyncio", "aiokafka", "http", "ssl"} == set()
    assert {"pyotp", "sqlite3"} <= loaded


# For asyncio.


def test_the_same_is_awaited() -> None:
    desk = Desk()
    otp = AsyncOtpVerifier(desk.otp)

    async def live() -> None:
        made = await otp.enrol("alice")
        assert await otp.confirm("alice", made.credential, code(made, desk.clock.now_us))
        desk.clock.advance(30)
        right = code(made, desk.clock.now_us)
        challenge = await otp.challenge("alice", reason="new_payee", session="s-1")
        results = await asyncio.gather(
            *(otp.verify(challenge.token, right, subject="alice", session="s-1") for _ in range(20))
        )
        assert sorted(result.outcome for result in results) == ["replayed_code"] * 19 + ["verified"]
        assert await otp.revoke("alice", made.credential)
        assert await otp.credentials("alice") == []

    asyncio.run(live())
