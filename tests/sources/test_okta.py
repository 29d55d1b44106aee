"""Okta System Log: one test for each rule of the adapter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.sources import Okta, Skip
from tests.sources.reading import one, read
from tests.sources.rows import enrolment, okta, user

VIA_MFA = "user.authentication.auth_via_mfa"
CHROME = {"userAgent": {"rawUserAgent": "Mozilla/5.0 Chrome/107"}, "ipAddress": "203.0.113.7"}


def test_a_login_is_a_session_start_and_says_no_factor_that_the_row_does_not() -> None:
    event = one("okta", okta("user.session.start"))
    assert event["type"] == "stepwatch.session.started"
    assert event["id"] == "u-1#login"
    assert event["subject"] == "00u5rosa"
    assert event["time"] == "2026-03-02T09:00:00.123000Z"
    assert event["data"] == {
        "session": "102s",
        "root_session": "102root",
        "client": {"ip": "203.0.113.7", "user_agent": "Mozilla/5.0 Firefox/140.0"},
    }


def test_a_login_whose_row_names_its_factor_says_so() -> None:
    context = {"externalSessionId": "s", "credentialType": "PASSWORD"}
    assert one("okta", okta("user.session.start", authenticationContext=context))["data"]["amr"] == ["pwd"]


@pytest.mark.parametrize(
    ("name", "amr"), [("Email", None), ("Google Authenticator", ["otp"]), ("Okta Verify", ["otp"])]
)
def test_a_code_is_one_of_the_authenticator_that_it_came_by(name: str, amr: list[str] | None) -> None:
    target = enrolment("Enter a code") | {"displayName": name}
    assert one("okta", okta(VIA_MFA, target=[target]))["data"].get("amr") == amr


@pytest.mark.parametrize("session", ["unknown", "UNKNOWN", "", None, "-"])
def test_an_unknown_session_is_absent(session: str | None) -> None:
    context = {"externalSessionId": session, "rootSessionId": session}
    data = one("okta", okta(VIA_MFA, authenticationContext=context))["data"]
    assert "session" not in data
    assert "root_session" not in data


@pytest.mark.parametrize("result", ["FAILURE", "DENY", None])
def test_a_login_that_did_not_succeed_is_no_event(result: str | None) -> None:
    assert one("okta", okta("user.session.start", result, reason="INVALID_CREDENTIALS")).field == "outcome"


@pytest.mark.parametrize(
    ("factor", "amr"),
    [
        ("FIDO_WEBAUTHN", ["hwk"]),
        ("FIDO_U2F", ["hwk"]),
        ("OKTA_VERIFY_PUSH", ["swk"]),
        ("SIGNED_NONCE", ["swk"]),
        ("GOOGLE_OTP", ["otp"]),
        ("OKTA_SOFT_TOKEN", ["otp"]),
        ("SMS_FACTOR", ["sms"]),
        ("CALL_FACTOR", ["tel"]),
        ("SECURITY_QUESTION", ["kba"]),
        ("PASSWORD_AS_FACTOR", ["pwd"]),
        ("EMAIL_FACTOR", None),
        ("DUO_SECURITY", None),
        ("SOMETHING_NEW", None),
        (None, None),
    ],
)
def test_a_proof_says_its_factor_in_words_of_rfc_8176_or_not_at_all(factor: str | None, amr: list[str] | None) -> None:
    event = one("okta", okta(VIA_MFA, debug={"factor": factor}))
    assert event["type"] == "stepwatch.stepup.verified"
    assert event["id"] == "u-1#verified"
    assert event["data"].get("amr") == amr
    assert event["data"]["challenge"] == "tx-1"


def test_a_proof_by_password_is_a_proof_by_password() -> None:
    event = one("okta", okta(VIA_MFA, target=[user("00u5rosa"), enrolment("Password", "[USER_PRESENCE]", "pwd1")]))
    assert event["data"]["amr"] == ["pwd"]
    assert event["data"]["credential"] == "pwd1"


def test_fastpass_is_a_key_of_the_kind_that_was_verified() -> None:
    target = [enrolment("Use Okta FastPass", "[DEVICE_BOUND, PHISHING_RESISTANT, HARDWARE_PROTECTED]")]
    assert one("okta", okta(VIA_MFA, target=target))["data"]["amr"] == ["hwk"]
    target = [enrolment("Use Okta FastPass", "[DEVICE_BOUND, USER_VERIFYING]")]
    assert one("okta", okta(VIA_MFA, target=target))["data"]["amr"] == ["swk", "user"]


@pytest.mark.parametrize(
    ("reason", "debug", "kind", "failure"),
    [
        ("INVALID_CREDENTIALS", {"factor": "GOOGLE_OTP"}, "failed", "wrong_code"),
        ("INVALID_CREDENTIALS", {"factor": "OKTA_VERIFY_PUSH"}, "failed", None),
        ("INVALID_CREDENTIALS", {}, "failed", None),
        ("INVALID_CREDENTIALS", {"pushOnlyResponseType": "OV_RESPONSE_DENY"}, "denied", None),
        ("User rejected Okta push verify", {}, "denied", None),
        ("FastPass declined phishing attempt", {}, "failed", None),
        ("Passcode expired", {}, "failed", "expired_code"),
        ("Push verify timed out", {}, "failed", "no_response"),
        ("LOCKED_OUT", {}, "failed", "locked_out"),
        ("Passcode replayed", {}, "failed", "replayed_code"),
        (None, {}, "failed", None),
    ],
)
def test_a_prompt_that_was_not_passed_failed_unless_the_person_said_no(
    reason: str | None, debug: dict[str, str], kind: str, failure: str | None
) -> None:
    event = one("okta", okta(VIA_MFA, "FAILURE", reason=reason, debug=debug))
    assert event["type"] == f"stepwatch.stepup.{kind}"
    assert event["data"].get("failure") == failure
    assert "amr" not in event["data"]


@pytest.mark.parametrize("result", ["ALLOW", "SKIPPED", "UNKNOWN", "", None])
def test_only_success_is_a_proof(result: str | None) -> None:
    assert isinstance(one("okta", okta(VIA_MFA, result)), Skip)


def test_a_challenge_asks_and_proves_nothing() -> None:
    event = one("okta", okta("policy.evaluate_sign_on", "CHALLENGE"))
    assert event["type"] == "stepwatch.stepup.required"
    assert event["data"]["decision"] == {"result": "required"}
    assert event["data"]["challenge"] == "tx-1"
    assert one("okta", okta(VIA_MFA, "CHALLENGE"))["type"] == "stepwatch.stepup.challenged"


@pytest.mark.parametrize("result", ["ALLOW", "DENY", "SUCCESS", None])
def test_a_sign_on_policy_that_asked_for_nothing_is_no_event(result: str | None) -> None:
    assert one("okta", okta("policy.evaluate_sign_on", result)).field == "outcome"


def test_a_prompt_its_answer_and_its_refusal_share_the_challenge() -> None:
    debug = {"authnRequestId": "flow-1"}
    kinds = ["system.push.send_factor_verify_push", "user.mfa.okta_verify.deny_push", VIA_MFA]
    events = [one("okta", okta(kind, debug=debug)) for kind in kinds]
    assert [event["type"].rpartition(".")[2] for event in events] == ["challenged", "denied", "verified"]
    assert {event["data"]["challenge"] for event in events} == {"flow-1"}


def test_a_push_sent_by_okta_itself_goes_to_the_user_whom_it_names() -> None:
    system = {"id": "okta.system", "type": "SystemPrincipal", "alternateId": "system@okta.com"}
    kind = "system.push.send_factor_verify_push"
    assert one("okta", okta(kind, actor=system, target=[user("00u5rosa")]))["subject"] == "00u5rosa"
    assert one("okta", okta(kind, actor=system)).field == "subject"
    assert one("okta", okta(kind, actor=system, target=[user("a"), user("b")])).field == "subject"


def test_a_push_refused_by_the_app_was_not_refused_by_the_person() -> None:
    event = one("okta", okta("user.mfa.okta_verify.deny_push_upgrade_needed", "FAILURE"))
    assert event["type"] == "stepwatch.stepup.failed"


def test_a_bypass_is_no_proof() -> None:
    assert one("okta", okta("user.mfa.attempt_bypass"))["type"] == "stepwatch.stepup.bypassed"
    assert isinstance(one("okta", okta("user.mfa.attempt_bypass", "FAILURE")), Skip)


def test_a_temporary_access_code_stands_in_for_a_factor_and_is_none() -> None:
    for used in ({"target": [enrolment("Temporary Access Code")]}, {"debug": {"factor": "TEMPORARY_ACCESS_CODE"}}):
        event = one("okta", okta(VIA_MFA, **used))
        assert event["type"] == "stepwatch.stepup.bypassed"
        assert "amr" not in event["data"]


def test_the_older_row_of_okta_verify_is_a_proof_too() -> None:
    event = one("okta", okta("user.mfa.okta_verify", debug={"factor": "OKTA_VERIFY_PUSH"}))
    assert (event["type"], event["data"]["amr"]) == ("stepwatch.stepup.verified", ["swk"])


@pytest.mark.parametrize("step", ["auth_via_IDP", "auth_via_AD_agent", "auth_via_radius", "slo"])
def test_a_step_of_a_login_is_no_second_login(step: str) -> None:
    assert one("okta", okta(f"user.authentication.{step}")).field == "type"


def test_a_session_end_revokes_the_session_that_it_names_and_never_all() -> None:
    event = one("okta", okta("user.session.end"))
    assert event["type"] == "stepwatch.session.revoked"
    assert event["data"]["session"] == "102s"
    nowhere = okta("user.session.end", authenticationContext={"externalSessionId": "unknown"})
    assert one("okta", nowhere).field == "session"


def test_a_session_ended_by_okta_or_an_administrator_is_that_of_the_user_whom_the_row_names() -> None:
    system = {"id": "okta.system", "type": "SystemPrincipal", "alternateId": "system@okta.com"}
    for parts in ({"actor": system}, {}):
        event = one("okta", okta("user.session.end", target=[user("00u9bob")], **parts))
        assert (event["type"], event["subject"]) == ("stepwatch.session.revoked", "00u9bob")
        assert event["data"] == {"session": "102s", "root_session": "102root"}
    assert one("okta", okta("user.session.end", actor=system)).field == "subject"


def test_an_approver_grants_what_the_user_whom_the_row_names_asked_for() -> None:
    target = [{"type": "AppInstance", "id": "0oa1"}, user("00u9bob")]
    action, approval = read("okta", okta("app.access_request.approver.approve", target=target))
    assert (action["subject"], action["data"]["action"]) == ("00u5rosa", "idp.access_request.approve")
    assert (approval["type"], approval["subject"]) == ("stepwatch.approval.granted", "00u9bob")
    assert approval["data"] == {"approver": "00u5rosa"}
    assert len(read("okta", okta("app.access_request.approver.approve", "FAILURE", target=target))) == 1
    assert len(read("okta", okta("app.access_request.approver.approve"))) == 1
    refused = one("okta", okta("app.access_request.approver.deny", target=target))
    assert refused["data"]["action"] == "idp.access_request.refuse"


def test_clearing_a_users_sessions_is_a_deed_and_revokes_all_of_them() -> None:
    action, revoked = read("okta", okta("user.session.clear", target=[user("00u9bob")]))
    assert (action["subject"], action["data"]["action"]) == ("00u5rosa", "idp.session.revoke")
    assert (revoked["subject"], revoked["data"]) == ("00u9bob", {})


def test_a_factor_removed_by_an_administrator_is_their_deed_and_the_owners_credential() -> None:
    target = [user("00u9bob"), enrolment("Google Authenticator", id="uft1")]
    action, change = read("okta", okta("user.mfa.factor.deactivate", target=target))
    assert (action["subject"], action["data"]["action"]) == ("00u5rosa", "idp.factor.remove")
    assert action["data"]["resource"] == {"type": "user", "id": "00u9bob", "sensitivity": "high"}
    assert (change["type"], change["subject"]) == ("stepwatch.credential.changed", "00u9bob")
    assert change["data"] == {"credential": "uft1", "change": "revoked"}


def test_a_factor_that_the_row_does_not_name_is_no_credential() -> None:
    for kind in ("user.mfa.factor.activate", "user.mfa.factor.reset_all"):
        assert one("okta", okta(kind, target=[user("00u9bob")]))["type"] == "stepwatch.action.performed"
    target = [user("00u9bob"), enrolment("Password")]
    assert len(read("okta", okta("user.mfa.factor.activate", "FAILURE", target=target))) == 1


@pytest.mark.parametrize("actor", [None, {}, {"id": "unknown", "alternateId": "unknown", "type": "User"}, "x", [1]])
def test_nobody_named_is_no_event(actor: Any) -> None:
    assert one("okta", okta("user.session.start", actor=actor)).field == "subject"


def test_an_unknown_id_leaves_the_login_name() -> None:
    actor = {"id": "unknown", "alternateId": "rosa@corp.example", "type": "User"}
    assert one("okta", okta(VIA_MFA, actor=actor))["subject"] == "rosa@corp.example"


def test_okta_itself_is_no_person_and_its_target_not_the_actor() -> None:
    system = {"id": "okta.system", "type": "SystemPrincipal", "alternateId": "system@okta.com"}
    grant = okta("user.account.privilege.grant", actor=system, target=[user("00u9")])
    assert one("okta", grant).field == "subject"
    address = {"id": "1.2.3.4", "type": "IP address", "alternateId": "unknown"}
    assert one("okta", okta("user.lifecycle.create", actor=address)).field == "subject"


def test_a_machine_acts_under_its_own_id_and_proves_nothing() -> None:
    machine = {"id": "0oaapp", "type": "PublicClientApp", "alternateId": "0oaapp"}
    assert one("okta", okta("user.lifecycle.create", actor=machine))["subject"] == "0oaapp"
    for kind in (VIA_MFA, "user.session.start"):
        assert one("okta", okta(kind, actor=machine)).field == "subject"


@pytest.mark.parametrize(
    "client",
    [
        {"userAgent": {"rawUserAgent": "Okta-Integrations"}, "ipAddress": "198.51.100.20"},
        {"userAgent": {"rawUserAgent": "OktaVerify/9.1 Android/15"}, "ipAddress": "198.51.100.20"},
        {"userAgent": {"rawUserAgent": "Java/21"}, "ipAddress": "198.51.100.20", "id": "okta.0000"},
    ],
)
def test_the_address_of_okta_or_of_the_phone_is_not_the_clients(client: dict[str, Any]) -> None:
    assert "client" not in one("okta", okta("application.lifecycle.deactivate", client=client))["data"]


@pytest.mark.parametrize(
    "client",
    [
        CHROME,
        CHROME | {"id": "okta.2b1959c8"},
        {"userAgent": {"rawUserAgent": "okta-sdk-golang/2"}, "ipAddress": "203.0.113.7"},
    ],
)
def test_a_browser_on_oktas_dashboard_and_a_customers_program_are_the_client(client: dict[str, Any]) -> None:
    event = one("okta", okta("application.lifecycle.deactivate", client=client))
    assert event["data"]["client"]["ip"] == "203.0.113.7"


def test_the_kind_of_device_is_no_device() -> None:
    client = CHROME | {"device": "Computer", "geographicalContext": {"country": "France"}}
    data = one("okta", okta(VIA_MFA, client=client))["data"]
    assert "device" not in data["client"]
    assert data["client"]["country"] == "France"
    assert one("okta", okta(VIA_MFA, debug={"dtHash": "d1"}))["data"]["client"]["device"] == "d1"


@pytest.mark.parametrize("published", [None, "", "...", 0, "yesterday"])
def test_a_row_without_a_readable_time_is_no_event(published: Any) -> None:
    assert one("okta", okta(VIA_MFA, published=published)).field == "time"


def test_all_envelopes_hold_the_same_row() -> None:
    row = okta(VIA_MFA, debug={"factor": "GOOGLE_OTP"})
    expected = one("okta", row)
    assert one("okta", {"version": "0", "detail-type": "SystemLog", "detail": row}) == expected
    assert read("okta", {"eventType": "com.okta.event_hook", "data": {"events": [row, row]}}) == [expected] * 2
    assert one("okta", {"@timestamp": "x", "message": json.dumps(row)}) == expected
    assert read("okta", {"message": json.dumps({"data": {"events": [row]}})}) == [expected]
    assert read("okta", {"events": [row, row]}) == [expected] * 2
    assert read("okta", {"events": []}) == [Skip("an envelope without a record", "json")]
    assert read("okta", [row, {"detail": row}, 7]) == [expected, expected, Skip("not a JSON object", "json")]
    assert one("okta", {"time": 1772442000, "source": "okta", "event": row}) == expected
    lowered = {key.lower(): value for key, value in row.items()}
    assert one("okta", lowered) == expected
    assert read("okta", []) == [Skip("an envelope without a record", "json")]


def test_a_row_without_an_id_has_the_same_id_each_time() -> None:
    row = okta(VIA_MFA, uuid=None)
    assert one("okta", row)["id"] == one("okta", dict(reversed(row.items())))["id"]
    assert one("okta", row)["id"].startswith("sha256:")


def test_source_and_tenant_are_the_installations() -> None:
    (event,) = Okta(source="/idp", tenant="acme").events(json.dumps(okta(VIA_MFA)).encode())
    assert not isinstance(event, Skip)
    assert event["source"] == "/idp"
    assert isinstance(event["data"], dict)
    assert event["data"]["tenant"] == "acme"
