"""The example bank: what it demands before a payout, what it answers, and what it reports of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.examples.teller import LARGE, OTHER, SMALL, Teller, new_teller
from tests.sdk.codes import STEP_US, wrong


@pytest.fixture
def teller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Teller:
    """Ada, signed in and enrolled; what that took is not among the events."""
    teller = new_teller(tmp_path, monkeypatch)
    teller.sign_in()
    teller.enrol()
    teller.reporter.clear()
    return teller


def kinds(teller: Teller) -> list[str]:
    return [event["type"].removeprefix("stepwatch.") for event in teller.reporter.events]


def last_action(teller: Teller) -> dict[str, Any]:
    return dict(teller.reporter.reported("action.performed")[-1]["data"])


def test_a_large_payout_without_a_code_is_challenged_as_rfc_9470_says(teller: Teller) -> None:
    answer = teller.pay()
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer error="insufficient_user_authentication"')
    assert 'max_age="30"' in challenge
    assert kinds(teller) == ["stepup.required", "stepup.challenged", "action.performed"]
    action = last_action(teller)
    assert (action["outcome"], action["decision"]["result"]) == ("denied", "required")
    assert action["resource"] == {"type": "payout", "id": teller.payout(), "sensitivity": "critical"}
    assert action["session"].startswith("s-")


def test_a_large_payout_with_its_code_is_paid_and_names_its_proof(teller: Teller) -> None:
    token = teller.challenged()
    proved = teller.prove(token, teller.code())
    assert proved.status_code == 200
    assert teller.pay().json() == {"payout": teller.payout(), "paid": True}
    verified = teller.reporter.assert_reported("stepup.verified", bound_action="payments.payout.approve")["data"]
    action = last_action(teller)
    assert action["outcome"] == "success"
    assert action["verification"] == verified["verification"] == proved.json()["verification"]
    assert action["transaction"] == verified["transaction"]
    assert action["decision"] == {"result": "previously_satisfied", "reason": "amount_over_limit"}


def test_a_payout_is_paid_once(teller: Teller) -> None:
    teller.prove(teller.challenged(), teller.code())
    assert [teller.pay().status_code for _ in range(2)] == [200, 409]
    assert last_action(teller)["outcome"] == "failure"


def test_a_replayed_code_is_refused_and_reported(teller: Teller) -> None:
    code = teller.code()
    teller.prove(teller.challenged(), code)
    refused = teller.prove(teller.challenged(OTHER), code, OTHER)
    assert (refused.status_code, refused.json()["failure"]) == (403, "replayed_code")
    teller.reporter.assert_reported("stepup.failed", failure="replayed_code")
    assert teller.pay(OTHER).status_code == 401


def test_a_code_for_another_payout_is_not_looked_at(teller: Teller) -> None:
    token, code = teller.challenged(), teller.code()
    assert teller.prove(token, code, OTHER).status_code == 400
    teller.reporter.assert_not_reported("stepup.verified")
    # It was not used up: for the payout that it was asked for it still is an answer.
    assert teller.prove(token, code).status_code == 200


def test_a_proof_of_one_payout_pays_no_other(teller: Teller) -> None:
    teller.prove(teller.challenged(), teller.code())
    assert teller.pay(OTHER).status_code == 401
    assert "the last one was for another" in teller.client.get("/").text
    assert teller.pay(LARGE).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(30, 200), (31, 401)])
def test_a_proof_is_good_for_thirty_seconds_and_no_longer(teller: Teller, seconds: int, status: int) -> None:
    teller.prove(teller.challenged(), teller.code())
    teller.now_us += seconds * 1_000_000
    assert teller.pay().status_code == status
    assert last_action(teller)["outcome"] == ("success" if status == 200 else "denied")


def test_a_proof_too_old_is_said_on_the_page(teller: Teller) -> None:
    teller.prove(teller.challenged(), teller.code())
    assert "pay until" in teller.client.get("/").text
    teller.now_us += 31_000_000
    assert "the last one is too old" in teller.client.get("/").text


def test_wrong_codes_lock_the_person_out_for_a_while(teller: Teller) -> None:
    token = teller.challenged()
    answers = [teller.prove(token, wrong(teller.code())) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [403] * 6 + [429]
    assert answers[-1].headers["retry-after"] == "30"
    teller.reporter.assert_reported("stepup.failed", failure="locked_out")
    assert teller.prove(token, teller.code()).status_code == 429
    teller.now_us += STEP_US
    assert teller.prove(token, teller.code()).status_code == 200


def test_a_challenge_that_is_answered_too_late_is_expired_and_asked_anew(teller: Teller) -> None:
    token = teller.challenged()
    teller.now_us += 300_000_000
    assert teller.prove(token, teller.code()).json()["failure"] == "expired_challenge"
    teller.reporter.assert_reported("stepup.expired")
    assert token not in teller.client.get("/").text


def test_a_small_payout_needs_no_code_and_is_reported_all_the_same(teller: Teller) -> None:
    assert teller.pay(SMALL).status_code == 200
    assert kinds(teller) == ["action.performed"]
    assert last_action(teller)["resource"]["sensitivity"] == "low"


def test_the_old_route_asks_for_nothing_and_its_payout_is_reported_without_a_proof(teller: Teller) -> None:
    assert teller.pay(route="/old").status_code == 200
    assert kinds(teller) == ["action.performed"]
    action = last_action(teller)
    assert (action["outcome"], "verification" in action) == ("success", False)
    assert (action["transaction"][:7], action["session"][:2]) == ("sha256:", "s-")


def test_who_has_no_code_generator_is_told_to_enrol_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teller = new_teller(tmp_path, monkeypatch)
    teller.sign_in()
    answer = teller.pay()
    assert (answer.status_code, answer.json()["detail"]) == (403, "enrol one first")
    assert last_action(teller)["outcome"] == "denied"


def test_a_proof_ends_with_its_session(teller: Teller) -> None:
    teller.prove(teller.challenged(), teller.code())
    assert teller.client.request("DELETE", "/session", json={}).status_code == 204
    assert teller.pay().status_code == 403
    teller.sign_in()
    assert teller.pay().status_code == 401
    assert kinds(teller).count("session.revoked") == 1


def test_nobody_answers_the_challenge_of_somebody_else(teller: Teller) -> None:
    token, code = teller.challenged(), teller.code()
    teller.sign_in("ben")
    teller.number = 2000
    assert teller.prove(token, code).status_code == 400


def test_no_event_holds_a_code_a_secret_or_a_cookie(teller: Teller) -> None:
    code = teller.code()
    teller.prove(teller.challenged(), code)
    teller.pay()
    assert teller.totp is not None
    hidden = [code, teller.totp.secret, teller.client.cookies["bank_session"]]
    said = str(teller.reporter.events)
    assert [one for one in hidden if one in said] == []


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ({"data": {"person": "ada"}}, 415),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ({"content": b"[" * 10_000, "headers": {"content-type": "application/json"}}, 400),
        ({"content": b"\xff", "headers": {"content-type": "application/json"}}, 400),
        ({"json": ["ada"]}, 400),
        ({"json": {}}, 400),
        ({"json": {"person": 7}}, 400),
        ({"json": {"person": ""}}, 400),
        ({"json": {"person": "x" * 20_000}}, 413),
        ({"json": {"person": "mallory"}}, 404),
    ],
)
def test_a_body_that_is_none_is_refused_in_words(teller: Teller, sent: dict[str, Any], status: int) -> None:
    answer = teller.client.post("/session", **sent)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_a_code_of_any_text_is_no_crash(teller: Teller) -> None:
    token = teller.challenged()
    path, headers = f"/payouts/{teller.payout()}/prove", {"content-type": "application/json"}
    for code in ("\\ud800", "０１２３４５", "<b>", "1" * 5000):
        body = f'{{"challenge": "{token}", "code": "{code}"}}'.encode()
        assert teller.client.post(path, content=body, headers=headers).status_code == 403, code


def test_a_token_that_was_changed_is_refused(teller: Teller) -> None:
    token = teller.challenged()
    for changed in (token[:-9], token[:40] + token[40:].swapcase(), "é", "x"):
        assert teller.prove(changed, teller.code()).status_code == 400, changed


def test_a_payout_of_somebody_else_is_not_found(teller: Teller) -> None:
    teller.number = 2000
    assert teller.pay().status_code == 404


def test_a_page_of_another_host_gets_no_answer(teller: Teller) -> None:
    assert teller.client.get("/", headers={"host": "bank.attacker.example"}).status_code == 400
