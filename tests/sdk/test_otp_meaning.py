"""What the audit makes of what the verifier reports: judged by the stream's own engine."""

from __future__ import annotations

from typing import Any

from stepwatch.schemas.times import format_time
from stepwatch.sdk.otp import MemoryOtpStore, OtpCredential
from tests.core.given import judged, replayed
from tests.sdk.codes import SHOP, Desk, code, wrong

PAYOUT = "payments.payout.approve"
POLICY = f"policies: [{{id: payout, match: {{action: [{PAYOUT}]}}, require: {{amr_any: [otp], binding: action}}}}]"


def acted(desk: Desk, **said: Any) -> dict[str, Any]:
    """Alice's payout, now."""
    event = SHOP.action_performed(PAYOUT, subject="alice", session="s-1", id="a", **said)
    return {**event, "time": format_time(desk.clock.now_us)}


def alerts(desk: Desk, *more: dict[str, Any]) -> set[str]:
    return {row["alert"] for row in replayed(POLICY, *desk.events, *more) if row["kind"] == "alert"}


def test_a_payout_after_an_accepted_code_is_verified_by_that_proof() -> None:
    desk = Desk()
    made = desk.enrolled()
    token = desk.challenged(action=PAYOUT)
    desk.clock.advance(10)
    result = desk.otp.verify(token, code(made, desk.clock.now_us), subject="alice", session="s-1")
    desk.clock.advance(2)
    row = judged(POLICY, *desk.events, acted(desk, verification=result.verification))["a"]
    assert (row["verdict"], row["verification"], row["age_us"]) == ("verified", result.verification, 2_000_000)


def test_a_payout_after_a_wrong_code_is_unverified_because_it_failed() -> None:
    desk = Desk()
    made = desk.enrolled()
    token, bad = desk.challenged(action=PAYOUT), wrong(code(made, desk.clock.now_us))
    desk.clock.advance(1)
    desk.otp.verify(token, bad, subject="alice", session="s-1")
    row = judged(POLICY, *desk.events, acted(desk))["a"]
    assert (row["verdict"], row["reason"]) == ("unverified", "failed")


def test_a_payout_by_a_credential_that_is_new_is_noticed() -> None:
    desk = Desk()
    made = desk.enrolled()
    desk.otp.verify(desk.challenged(action=PAYOUT), code(made, desk.clock.now_us), subject="alice", session="s-1")
    assert alerts(desk, acted(desk)) == {"fresh_credential"}


def test_who_goes_on_guessing_is_noticed_though_no_code_is_looked_at_any_more() -> None:
    desk = Desk()
    made = desk.enrolled()
    token, bad = desk.challenged(), wrong(code(made, desk.clock.now_us))
    for _ in range(9):
        desk.otp.verify(token, bad, subject="alice", session="s-1")
    assert alerts(desk) == set()
    desk.otp.verify(token, bad, subject="alice", session="s-1")
    assert alerts(desk) == {"otp_guessing"}


def test_a_store_that_lets_a_code_through_twice_is_noticed() -> None:
    class Forgetful(MemoryOtpStore):
        def swap(self, old: OtpCredential, new: OtpCredential) -> bool:
            return old.state == "active" or super().swap(old, new)

    desk = Desk(store=Forgetful())
    made = desk.enrolled()
    token, right = desk.challenged(), code(made, desk.clock.now_us)
    assert [bool(desk.otp.verify(token, right, subject="alice", session="s-1")) for _ in range(2)] == [True, True]
    assert alerts(desk) == {"replayed_code"}
