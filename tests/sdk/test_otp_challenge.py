"""What a challenge is for: one subject, session, action and transaction, and no other; and what a mistake costs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepwatch.sdk import Client, Context, EventError, use
from stepwatch.sdk.otp import FernetSecrets, InvalidChallenge, MemoryOtpStore, OtpVerifier
from stepwatch.sdk.otp_async import AsyncOtpVerifier
from tests.sdk.codes import KEY, SHOP, Desk, code

PAYOUT, VIEW = "payments.payout.approve", "payments.statement.view"
FOR: list[tuple[dict[str, str], dict[str, str], bool]] = [
    ({"action": PAYOUT}, {"action": PAYOUT}, True),
    ({"action": VIEW}, {"action": PAYOUT}, False),
    ({}, {"action": PAYOUT}, False),
    ({"action": PAYOUT}, {}, True),
    ({"action": PAYOUT, "transaction": "t-1"}, {"action": PAYOUT, "transaction": "t-1"}, True),
    ({"action": PAYOUT, "transaction": "t-1"}, {"action": PAYOUT, "transaction": "t-2"}, False),
    ({"action": PAYOUT}, {"action": PAYOUT, "transaction": "t-1"}, False),
    ({"action": PAYOUT, "transaction": "t-1"}, {"transaction": "t-1"}, True),
]


@pytest.mark.parametrize(("asked", "done", "good"), FOR)
def test_a_challenge_is_no_answer_for_another_action_or_transaction_and_its_code_is_not_looked_at(
    asked: dict[str, str], done: dict[str, Any], good: bool
) -> None:
    desk = Desk()
    made = desk.enrolled()
    token, right = desk.challenged(**asked), code(made, desk.clock.now_us)
    before = desk.store.get("acme", made.credential)

    def verify() -> bool:
        return bool(desk.otp.verify(token, right, subject="alice", session="s-1", **done))

    if good:
        assert verify()
        return
    said = len(desk.events)
    with pytest.raises(InvalidChallenge, match="another action or transaction"):
        verify()
    assert desk.store.get("acme", made.credential) == before
    assert len(desk.events) == said


def test_the_same_is_awaited() -> None:
    desk = Desk()
    made = desk.enrolled()
    token = desk.challenged(action=VIEW, transaction="t-1")
    otp = AsyncOtpVerifier(desk.otp)

    async def verify(**done: Any) -> bool:
        return bool(await otp.verify(token, code(made, desk.clock.now_us), subject="alice", session="s-1", **done))

    for wrong in ({"action": PAYOUT}, {"transaction": "t-2"}):
        with pytest.raises(InvalidChallenge):
            asyncio.run(verify(**wrong))
    assert asyncio.run(verify(action=VIEW, transaction="t-1"))


def test_a_challenge_of_the_requests_session_is_answered_in_that_session_only() -> None:
    desk = Desk()
    made = desk.enrolled()
    right = code(made, desk.clock.now_us)
    with use(Context(subject="alice", session="s-1", root_session="r-1")):
        token = desk.challenged(session=None)
    assert (desk.last["data"]["session"], desk.last["data"]["root_session"]) == ("s-1", "r-1")
    with pytest.raises(InvalidChallenge):
        desk.otp.verify(token, right, subject="alice")
    for there in (Context(subject="alice", session="s-2"), Context(subject="bob", session="s-1")):
        with use(there), pytest.raises(InvalidChallenge):
            desk.otp.verify(token, right, subject="alice")
    with use(Context(subject="alice", session="s-1")):
        assert desk.otp.verify(token, right, subject="alice")
    assert (desk.last["data"]["session"], desk.last["data"]["root_session"]) == ("s-1", "r-1")


def test_a_session_that_is_given_goes_before_the_contexts() -> None:
    desk = Desk()
    made = desk.enrolled()
    with use(Context(subject="alice", session="s-9", root_session="r-9")):
        token = desk.challenged(session="s-1")
        assert "root_session" not in desk.last["data"]
        assert desk.otp.verify(token, code(made, desk.clock.now_us), subject="alice", session="s-1")


def test_a_wrong_client_is_an_error_before_the_code_is_looked_at_so_the_code_is_still_good() -> None:
    desk = Desk()
    made = desk.enrolled()
    token, right = desk.challenged(), code(made, desk.clock.now_us)
    for wrong in ({"ip": "203.0.113.7"}, Client(ip=7)):  # type: ignore[arg-type]
        with pytest.raises(EventError, match=r"data\.client"):
            desk.otp.verify(token, right, subject="alice", session="s-1", client=wrong)  # type: ignore[arg-type]
    assert desk.otp.verify(token, right, subject="alice", session="s-1")


@pytest.mark.parametrize("acr", ["", 2, ["phr"]])
def test_a_wrong_acr_is_an_error_when_the_verifier_is_made(acr: Any) -> None:
    with pytest.raises(ValueError, match=r"^acr: "):
        OtpVerifier(
            source=SHOP,
            report=print,
            store=MemoryOtpStore(),
            secrets=FernetSecrets([KEY]),
            issuer="Acme Bank",
            acr=acr,
        )
