"""Entra ID sign-in logs: one test for each rule of the adapter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.sources import Entra, Skip
from tests.sources.reading import one, read
from tests.sources.rows import Row, entra_sign_in, entra_step

PASSWORD = entra_step("Password", "Correct password", at="09:00:01.0000000")
PUSH = entra_step("Mobile app notification", "MFA successfully completed", at="09:00:04.0000000")
BEFORE = entra_step("Previously satisfied", "First factor requirement satisfied by claim in the token")
MFA_BEFORE = entra_step("Previously satisfied", "MFA requirement satisfied by claim in the token")
AZURE = {"category": "SignInLogs", "operationName": "Sign-in activity", "resultType": "0"}


def kinds(row: Any) -> list[str]:
    """The types of a row's events without their prefix, or the field of a skip."""
    found = read("entra", row)
    return [event.field if isinstance(event, Skip) else event["type"].partition(".")[2] for event in found]


def test_a_login_with_two_factors_is_a_session_start_with_both() -> None:
    event = one("entra", entra_sign_in(PASSWORD, PUSH))
    assert event["type"] == "stepwatch.session.started"
    assert event["id"] == "si-1#login-pwd-swk-mfa"
    assert event["subject"] == "7f-rosa"
    assert event["time"] == "2026-03-02T09:00:05.123456Z"
    assert event["data"] == {
        "session": "es-1",
        "client": {"ip": "203.0.113.7", "device": "d-1", "user_agent": "Mozilla/5.0 Firefox/140.0", "country": "FR"},
        "challenge": "corr-1",
        "amr": ["pwd", "swk", "mfa"],
        "auth_time": 1772442001,
        "verification": "corr-1@2026-03-02T09:00:04Z",
    }


def test_two_different_factors_are_several_although_the_log_does_not_call_them_so() -> None:
    assert one("entra", entra_sign_in(PASSWORD, entra_step("Text message")))["data"]["amr"] == ["pwd", "sms", "mfa"]


def test_a_second_factor_after_a_first_one_from_before_is_a_step_up() -> None:
    event = one("entra", entra_sign_in(BEFORE, PUSH))
    assert event["type"] == "stepwatch.stepup.verified"
    assert event["id"] == "si-1#verified-swk-mfa"
    assert event["data"]["amr"] == ["swk", "mfa"]
    assert event["data"]["auth_time"] == 1772442004


@pytest.mark.parametrize("requirement", ["multiFactorAuthentication", "singleFactorAuthentication", "", None])
def test_what_was_required_is_not_what_was_done(requirement: str | None) -> None:
    event = one("entra", entra_sign_in(BEFORE, MFA_BEFORE, authenticationRequirement=requirement))
    assert event["type"] == "stepwatch.session.started"
    assert event["id"] == "si-1#login"
    for name in ("amr", "auth_time", "verification"):
        assert name not in event["data"]


@pytest.mark.parametrize(
    "step",
    [
        MFA_BEFORE,
        entra_step("Satisfied by token"),
        entra_step("Claim in access token", "methodSucceeded"),
        entra_step("Primary Refresh Token"),
        entra_step("FIDO2 security key", "MFA requirement satisfied by claim in the token"),
        entra_step("Federated", "MFA requirement satisfied by claim provided by external provider"),
        entra_step("", "MFA requirement satisfied by multi-factor device"),
        entra_step("Windows Hello for Business", "MFA requirement satisfied by strong authentication"),
        entra_step("", "MFA requirement satisfied by federated provider"),
    ],
)
def test_a_claim_in_a_token_proves_nothing_anew(step: Row) -> None:
    assert one("entra", entra_sign_in(PASSWORD, step))["data"]["amr"] == ["pwd"]
    assert "amr" not in one("entra", entra_sign_in(step))["data"]


@pytest.mark.parametrize(
    ("method", "amr"),
    [
        ("FIDO2 security key", ["hwk"]),
        ("Passkey (device-bound)", ["hwk"]),
        ("Passkey (synced)", ["swk"]),
        ("Windows Hello for Business", ["hwk"]),
        ("X.509 Certificate", ["pop"]),
        ("Microsoft Authenticator", ["swk"]),
        ("OATH verification code", ["otp"]),
        ("Software OATH token", ["otp"]),
        ("Text message", ["sms"]),
        ("Phone call approval (Authentication phone)", ["tel"]),
        ("Email one-time passcode", None),
        ("Something new", None),
    ],
)
def test_a_method_is_said_in_words_of_rfc_8176_or_not_at_all(method: str, amr: list[str] | None) -> None:
    event = one("entra", entra_sign_in(BEFORE, entra_step(method)))
    assert event["type"] == "stepwatch.stepup.verified"
    assert event["data"].get("amr") == amr


def test_a_step_that_names_neither_method_nor_factor_is_no_step_up() -> None:
    for said in ("", "methodSucceeded", "MFA requirement satisfied by multi-factor device"):
        assert kinds(entra_sign_in(BEFORE, entra_step("", said))) == ["session.started"]
        assert "amr" not in one("entra", entra_sign_in(BEFORE, entra_step("", said)))["data"]
    assert kinds(entra_sign_in(BEFORE, said="MFA requirement satisfied by multi-factor device")) == ["session.started"]
    for said in ("MFA completed in Azure AD", "MFA successfully completed"):
        assert one("entra", entra_sign_in(BEFORE, entra_step("", said)))["data"]["amr"] == ["mfa"]


@pytest.mark.parametrize(
    "said",
    [
        "MFA requirement skipped due to remembered device",
        "MFA requirement skipped due to location",
        "MFA requirement skipped due to app password",
        "MFA not required during Windows broker logon flow",
    ],
)
def test_a_factor_that_was_let_pass_is_bypassed_and_proves_nothing(said: str) -> None:
    login, bypassed = read("entra", entra_sign_in(PASSWORD, entra_step("", said)))
    assert login["data"]["amr"] == ["pwd"]
    assert bypassed["type"] == "stepwatch.stepup.bypassed"
    assert kinds(entra_sign_in(PASSWORD, said=said)) == ["session.started", "stepup.bypassed"]


def test_a_pass_handed_out_by_an_administrator_is_no_factor_of_the_person() -> None:
    assert kinds(entra_sign_in(entra_step("Temporary Access Pass"))) == ["session.started", "stepup.bypassed"]
    assert "amr" not in read("entra", entra_sign_in(entra_step("Temporary Access Pass")))[0]["data"]
    assert kinds(entra_sign_in(entra_step("Temporary Access Pass", "", False), code=50126)) == ["stepup.failed"]


@pytest.mark.parametrize(
    ("said", "kind", "failure"),
    [
        ("MFA denied; user declined the authentication", "denied", None),
        ("MFA denied; Phone App Reported Fraud", "denied", None),
        ("fraudCodeEntered", "denied", None),
        ("MFA denied; user did not respond to mobile app notification", "failed", "no_response"),
        ("noPhoneInput", "failed", "no_response"),
        ("MFA denied; user never entered the verification code", "failed", "no_response"),
        ("MFA denied; invalid mobile app verification code", "failed", "wrong_code"),
        ("MFA denied; user did not select the correct number", "failed", "wrong_code"),
        ("MFA denied; entered incorrect code too many times", "failed", "locked_out"),
        ("MFA denied; user is blocked", "failed", "locked_out"),
        ("MFA denied; user is blocked due to reported fraud", "failed", "locked_out"),
        ("Account blocked due to reported fraud", "failed", "locked_out"),
        ("MFA denied; verification code already used once", "failed", "replayed_code"),
        ("MFA denied; unable to send the mobile app notification", "failed", "error"),
        ("MFA denied; user hung up the phone call without succeeding the authentication", "failed", None),
        ("", "failed", None),
    ],
)
def test_a_second_factor_that_was_not_passed_failed_unless_the_person_said_no(
    said: str, kind: str, failure: str | None
) -> None:
    refused = entra_step("Mobile app notification", said, False, at="09:00:04.0000000")
    for code in (500121, 50074, 50076, 53003):
        event = one("entra", entra_sign_in(PASSWORD, refused, code=code))
        assert event["type"] == f"stepwatch.stepup.{kind}"
        assert event["data"].get("failure") == failure
        assert "amr" not in event["data"]
        assert event["id"] == f"si-1#{kind}-2"


def test_a_row_without_steps_says_in_its_status_how_the_second_factor_ended() -> None:
    denied = entra_sign_in(code=500121, said="MFA denied; user declined the authentication")
    assert one("entra", denied)["type"] == "stepwatch.stepup.denied"
    assert one("entra", entra_sign_in(code=500121))["type"] == "stepwatch.stepup.failed"
    row = entra_sign_in(PASSWORD, said="MFA completed in Azure AD", mfaDetail={"authMethod": "OneWaySMS"})
    assert one("entra", row)["data"]["amr"] == ["pwd", "sms", "mfa"]


def test_the_method_of_mfa_alone_does_not_say_that_it_was_used_now() -> None:
    for said in (None, "MFA requirement satisfied by claim in the token"):
        row = entra_sign_in(PASSWORD, said=said, mfaDetail={"authMethod": "Text message"})
        assert one("entra", row)["data"]["amr"] == ["pwd"]


def test_a_push_refused_and_then_approved_is_both() -> None:
    refused = entra_step("Mobile app notification", "MFA denied; user declined the authentication", False)
    found = read("entra", entra_sign_in(PASSWORD, refused, PUSH))
    assert [event["id"] for event in found] == ["si-1#denied-2", "si-1#login-pwd-swk-mfa"]


@pytest.mark.parametrize("succeeded", [None, "", "x", 1, [], {}])
def test_a_step_that_does_not_say_how_it_ended_is_neither_a_proof_nor_a_failure(succeeded: Any) -> None:
    step = entra_step("Text message") | {"succeeded": succeeded}
    event = one("entra", entra_sign_in(PASSWORD, step))
    assert event["data"]["amr"] == ["pwd"]
    assert one("entra", entra_sign_in(PASSWORD, step | {"succeeded": "true"}))["data"]["amr"] == ["pwd", "sms", "mfa"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [(50074, None), (50076, None), (50079, "not_enrolled"), (50072, "not_enrolled"), (50078, "auth_too_old")],
)
def test_a_code_that_asks_for_a_proof_asks_and_proves_nothing(code: int, reason: str | None) -> None:
    event = one("entra", entra_sign_in(PASSWORD, code=code, said="MFA required in Azure AD"))
    assert event["type"] == "stepwatch.stepup.required"
    assert event["id"] == f"si-1#required-{code}"
    assert event["data"]["decision"]["result"] == "required"
    assert event["data"].get("reason") == reason
    assert event["data"]["challenge"] == "corr-1"


def test_a_risky_sign_in_that_is_asked_for_a_proof_is_asked_for_that_reason() -> None:
    policies = [{"displayName": "Risky", "result": "failure"}, {"displayName": "Other", "result": "notApplied"}]
    row = entra_sign_in(code=50076, riskLevelDuringSignIn="high", appliedConditionalAccessPolicies=policies)
    data = one("entra", row)["data"]
    assert data["reason"] == "risky_sign_in"
    assert data["decision"] == {"result": "required", "reason": "risky_sign_in", "policy": "Risky"}


def test_a_prompt_that_is_out_and_a_challenge_elsewhere_are_challenges() -> None:
    sent = entra_step("Mobile app notification", "Authentication in progress", False)
    assert kinds(entra_sign_in(PASSWORD, sent, code=50074)) == ["stepup.challenged"]
    assert kinds(entra_sign_in(PASSWORD, sent, code=500121)) == ["stepup.challenged"]
    assert kinds(entra_sign_in(PASSWORD, code=50158)) == ["stepup.challenged"]


def test_two_rows_of_one_attempt_under_one_id_are_two_events_of_one_challenge() -> None:
    sent = entra_step("Mobile app notification", "Authentication in progress", False)
    first = one("entra", entra_sign_in(PASSWORD, sent, code=50074))
    last = one("entra", entra_sign_in(PASSWORD, PUSH))
    assert first["id"] != last["id"]
    assert first["data"]["challenge"] == last["data"]["challenge"]
    incomplete = one("entra", entra_sign_in(BEFORE, MFA_BEFORE))
    assert incomplete["id"] != last["id"]


def test_an_interrupted_sign_in_proves_what_it_holds_and_is_else_no_event() -> None:
    stay = one("entra", entra_sign_in(PASSWORD, PUSH, code=50140, id="si-0"))
    assert stay["data"]["amr"] == ["pwd", "swk", "mfa"]
    assert stay["data"]["verification"] == one("entra", entra_sign_in(PASSWORD, PUSH))["data"]["verification"]
    for step in (BEFORE, PASSWORD):
        assert kinds(entra_sign_in(step, code=50140)) == ["outcome"]


@pytest.mark.parametrize("code", [50126, 50053, 50034, 50055, 53003, 53000, 50105, 700082, 1])
def test_a_failed_or_blocked_sign_in_is_no_event_and_proves_nothing(code: int) -> None:
    assert kinds(entra_sign_in(PASSWORD, PUSH, code=code)) == ["outcome"]
    wrong = entra_step("Password", "Invalid username or password", False)
    assert kinds(entra_sign_in(wrong, code=code)) == ["outcome"]


@pytest.mark.parametrize("code", [None, "", "x", [], {}, True])
def test_a_row_that_does_not_say_how_it_ended_is_no_event(code: Any) -> None:
    assert kinds(entra_sign_in(PASSWORD, code=code)) == ["outcome"]


def test_the_result_type_says_how_it_ended_where_the_status_does_not() -> None:
    for result in ("0", 0, "Success"):
        assert kinds(entra_sign_in(PASSWORD, status={}, resultType=result)) == ["session.started"]
    assert kinds(entra_sign_in(code=None, resultType="50076")) == ["stepup.required"]


@pytest.mark.parametrize(
    "parts", [{"isInteractive": False}, {"isInteractive": "false"}, {"category": "NonInteractiveUserSignInLogs"}]
)
def test_a_token_renewed_in_the_background_proves_nothing_but_may_ask(parts: Row) -> None:
    assert kinds(entra_sign_in(PASSWORD, PUSH, **parts)) == ["type"]
    assert kinds(entra_sign_in(code=50076, **parts)) == ["stepup.required"]
    assert kinds(entra_sign_in(code=70044, **parts)) == ["stepup.required"]
    azure = {"properties": entra_sign_in(PASSWORD, isInteractive=False), **AZURE}
    assert kinds(azure) == ["type"]


@pytest.mark.parametrize("category", ["ServicePrincipalSignInLogs", "ManagedIdentitySignInLogs"])
def test_a_machine_signs_in_without_any_person(category: str) -> None:
    assert one("entra", entra_sign_in(PASSWORD, category=category)) == one(
        "entra", entra_sign_in(userId="", userPrincipalName=None, servicePrincipalId="sp-1")
    )
    assert kinds(entra_sign_in(category=category, code=7000215)) == ["subject"]
    row = entra_sign_in(userId="", userPrincipalName="", signInEventTypes=["servicePrincipal"])
    assert kinds(row) == ["subject"]


def test_an_id_of_zeros_is_nobodys() -> None:
    zeros = "00000000-0000-0000-0000-000000000000"
    row = entra_sign_in(PASSWORD, userId=zeros, sessionId=zeros, correlationId=zeros, deviceDetail={"deviceId": zeros})
    event = one("entra", row)
    assert event["subject"] == "rosa@corp.example"
    assert "session" not in event["data"]
    assert "challenge" not in event["data"]
    assert "device" not in event["data"]["client"]
    assert kinds(entra_sign_in(userId=zeros, userPrincipalName="-")) == ["subject"]


def test_the_token_is_the_session_only_where_no_session_is_named() -> None:
    assert one("entra", entra_sign_in(PASSWORD, uniqueTokenIdentifier="uti-1"))["data"]["session"] == "es-1"
    row = entra_sign_in(PASSWORD, uniqueTokenIdentifier="uti-1", sessionId=None)
    assert one("entra", row)["data"]["session"] == "uti-1"


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("11/14/2025 1:48:53 AM", "2025-11-14T01:48:53Z"),
        ("1/2/2026 12:00:00 PM", "2026-01-02T12:00:00Z"),
        ("1/2/2026 12:00:00 AM", "2026-01-02T00:00:00Z"),
        ("1/2/2026 1:05:09\u202fpm", "2026-01-02T13:05:09Z"),
        ("2023-07-21 05:05:12.056", "2023-07-21T05:05:12.056000Z"),
        ("2026-03-02T09:00:05.1234567+00:00", "2026-03-02T09:00:05.123456Z"),
    ],
)
def test_a_time_off_the_specification_is_read_as_it_is_meant(time: str, expected: str) -> None:
    assert one("entra", entra_sign_in(PASSWORD, createdDateTime=None, time=time))["time"] == expected


@pytest.mark.parametrize(
    "time",
    ["", None, "14/11/2025 01:48:53", "1/2/2026 12:00:00", "14/11/2025 1:48:53 AM", "1/2/2026 0:00:00 AM", "now", 0],
)
def test_an_unreadable_time_is_counted_and_never_guessed(time: Any) -> None:
    assert kinds(entra_sign_in(PASSWORD, createdDateTime=time)) == ["time"]
    found = one("entra", entra_sign_in(PASSWORD, createdDateTime=time, time="2026-03-02T09:00:06Z"))
    # One that is there but unreadable is not replaced by another.
    assert found.field == "time" if time not in ("", None) else found["time"] == "2026-03-02T09:00:06Z"


def test_a_proof_is_no_earlier_than_its_last_step_unless_that_is_another_clocks() -> None:
    late = entra_step("Text message", at="09:01:00.5000000")
    event = one("entra", entra_sign_in(PASSWORD, late))
    assert event["time"] == "2026-03-02T09:01:00.500000Z"
    assert event["data"]["auth_time"] == 1772442001
    other = entra_step("Text message", at="09:10:05.1234560")
    assert one("entra", entra_sign_in(BEFORE, other))["time"] == "2026-03-02T09:10:05.123456Z"
    other = entra_step("Text message", at="09:10:05.1234570")
    event = one("entra", entra_sign_in(BEFORE, other))
    assert event["time"] == "2026-03-02T09:00:05.123456Z"
    assert "auth_time" not in event["data"]


def test_all_shapes_hold_the_same_row() -> None:
    row = entra_sign_in(PASSWORD, PUSH)
    expected = one("entra", row)
    azure = {"time": "2026-03-02T09:02:00Z", "callerIpAddress": "203.0.113.7", "properties": row, **AZURE}
    assert one("entra", azure) == expected
    assert one("entra", {key.lower(): value for key, value in azure.items()}) == expected
    assert read("entra", {"value": [row, row]}) == [expected] * 2
    assert read("entra", {"records": [azure]}) == [expected]
    assert read("entra", [row]) == [expected]
    assert read("entra", [{"records": [azure]}]) == [expected]
    assert read("entra", {"message": json.dumps({"records": [azure, azure]})}) == [expected] * 2
    rows = {key[0].upper() + key[1:]: value for key, value in row.items() if key not in ("ipAddress", "location")}
    rows |= {"IPAddress": row["ipAddress"], "Category": "SignInLogs", "LocationDetails": json.dumps(row["location"])}
    for name in ("AuthenticationDetails", "Status", "DeviceDetail"):
        rows[name] = json.dumps(rows[name])
    assert one("entra", rows) == expected
    assert one("entra", azure | {"properties": json.dumps(row)}) == expected
    empties: list[Any] = [[], {"value": []}, {"records": []}]
    for empty in empties:
        assert read("entra", empty) == [Skip("an envelope without a record", "json")]


def test_a_new_category_of_sign_ins_is_read_and_another_log_is_counted() -> None:
    row = {"category": "ADFSSignInLogs", "properties": entra_sign_in(PASSWORD), "resultType": "0"}
    assert kinds(row) == ["session.started"]
    for category in ("ProvisioningLogs", "RiskyUsers", "MicrosoftGraphActivityLogs"):
        assert one("entra", {"category": category, "properties": {"id": "x"}}).field == "type"
    assert kinds({}) == ["type"]


def test_a_row_without_an_id_has_the_same_id_each_time() -> None:
    row = entra_sign_in(PASSWORD, id=None)
    assert one("entra", row)["id"] == one("entra", dict(reversed(row.items())))["id"]
    assert one("entra", row)["id"].startswith("sha256:")


def test_source_and_tenant_are_the_installations() -> None:
    (event,) = Entra(source="/idp", tenant="acme").events(json.dumps(entra_sign_in(PASSWORD)).encode())
    assert not isinstance(event, Skip)
    assert event["source"] == "/idp"
    assert isinstance(event["data"], dict)
    assert event["data"]["tenant"] == "acme"
