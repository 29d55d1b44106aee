"""AWS CloudTrail: what it says of proofs, and what it must not be taken to say."""

from __future__ import annotations

from typing import Any

import pytest

from stepwatch.sources import Skip
from tests.sources.reading import one, read
from tests.sources.rows import ROLE_ARN, USER_ARN, aws, in_session, of_user, sign_in

ROOT: dict[str, Any] = {"type": "Root", "arn": "arn:aws:iam::111122223333:root", "accountId": "111122223333"}


@pytest.mark.parametrize(
    ("device", "amr"),
    [
        ("arn:aws:iam::111122223333:mfa/rosa-phone", ["mfa", "otp"]),
        ("arn:aws:iam::111122223333:u2f/user/rosa/default-AAAA", ["mfa", "hwk"]),
        ("arn:aws:iam::111122223333:sms-mfa/rosa", ["mfa", "sms"]),
        ("GAHT12345678", ["mfa", "otp"]),
        (None, ["mfa"]),
    ],
)
def test_a_console_login_with_mfa_says_the_factor_of_its_device(device: str | None, amr: list[str]) -> None:
    event = one("cloudtrail", sign_in("ConsoleLogin", "Success", more={"MFAUsed": "Yes", "MFAIdentifier": device}))
    assert event["type"] == "stepwatch.session.started"
    assert event["data"]["amr"] == amr
    assert event["data"].get("credential") == device
    assert "session" not in event["data"]


def test_a_user_of_aws_who_used_no_mfa_used_a_password() -> None:
    assert one("cloudtrail", sign_in("ConsoleLogin", "Success", more={"MFAUsed": "No"}))["data"]["amr"] == ["pwd"]
    root = sign_in("ConsoleLogin", "Success", more={"MFAUsed": "No"}, userIdentity=ROOT)
    assert one("cloudtrail", root)["data"]["amr"] == ["pwd"]


@pytest.mark.parametrize(
    ("identity", "more"),
    [
        (in_session("false"), {"MFAUsed": "No", "SamlProviderArn": "arn:aws:iam::1:saml-provider/Idp"}),
        (in_session("false"), {"MFAUsed": "No"}),
        ({"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/f"}, {"MFAUsed": "No"}),
        (ROOT, {}),
    ],
)
def test_no_mfa_means_unknown_where_aws_cannot_know(identity: dict[str, Any], more: dict[str, str]) -> None:
    event = one("cloudtrail", sign_in("ConsoleLogin", "Success", more=more, userIdentity=identity))
    assert event["type"] == "stepwatch.session.started"
    assert "amr" not in event["data"]


def test_a_failed_login_proves_nothing_whatever_it_used() -> None:
    failed = sign_in("ConsoleLogin", "Failure", more={"MFAUsed": "Yes"}, errorMessage="Failed authentication")
    event = one("cloudtrail", failed)
    assert event["type"] == "stepwatch.stepup.failed"
    assert not {"amr", "credential", "failure"} & set(event["data"])
    assert one("cloudtrail", sign_in("ConsoleLogin", "Failure", more={"MFAUsed": "No"})).field == "outcome"
    assert one("cloudtrail", sign_in("ConsoleLogin", "", more={"MFAUsed": "Yes"})).field == "outcome"
    torn = sign_in("ConsoleLogin", "Success", more={"MFAUsed": "Yes"}, errorMessage="Failed authentication")
    assert one("cloudtrail", torn)["type"] == "stepwatch.stepup.failed"


@pytest.mark.parametrize(
    ("kind", "amr"),
    [("Virtual MFA", ["otp"]), ("U2F MFA", ["hwk"]), ("Hardware MFA", ["otp"]), ("New", None), (None, None)],
)
def test_a_checked_factor_is_a_proof_of_the_same_subject_without_a_session(
    kind: str | None, amr: list[str] | None
) -> None:
    identity = {"type": "IAMUser", "userName": "rosa", "accountId": "111122223333", "accessKeyId": ""}
    event = one("cloudtrail", sign_in("CheckMfa", "Success", more={"MfaType": kind}, userIdentity=identity))
    assert event["type"] == "stepwatch.stepup.verified"
    assert event["subject"] == USER_ARN
    assert event["data"].get("amr") == amr
    assert "session" not in event["data"]


def test_a_factor_that_did_not_check_failed() -> None:
    event = one("cloudtrail", sign_in("CheckMfa", "Failure", more={"MfaType": "Virtual MFA"}))
    assert event["type"] == "stepwatch.stepup.failed"
    assert "failure" not in event["data"]
    assert one("cloudtrail", sign_in("CheckMfa", "Maybe")).field == "outcome"


def test_mfa_in_a_session_context_is_the_login_before_it_and_the_same_from_every_row() -> None:
    denied = aws("kms", "Decrypt", userIdentity=of_user("true"), eventID="e1", errorCode="AccessDenied")
    later = aws(
        "s3",
        "ListBuckets",
        userIdentity=of_user("TRUE", accessKeyId="ASIA9"),
        eventID="e2",
        eventTime="2026-03-02T15:30:00Z",
        sourceIPAddress="198.51.100.9",
        awsRegion="eu-west-1",
    )
    first, action = read("cloudtrail", denied)
    second, _ = read("cloudtrail", later)
    assert first == second
    assert first == {
        "specversion": "1.0",
        "id": f"{USER_ARN}@2026-03-02T08:00:00Z#mfa",
        "source": "/aws/cloudtrail",
        "type": "stepwatch.session.started",
        "time": "2026-03-02T08:00:00Z",
        "subject": USER_ARN,
        "data": {"session": f"{USER_ARN}@2026-03-02T08:00:00Z", "amr": ["mfa"], "auth_time": 1772438400},
    }
    assert action["data"]["session"] == first["data"]["session"]


@pytest.mark.parametrize("mfa", ["false", False, None, "yes", 1, "", ["true"]])
def test_no_mfa_in_a_session_context_tells_of_no_login(mfa: Any) -> None:
    assert one("cloudtrail", aws("s3", "ListBuckets", userIdentity=of_user(mfa)))["type"].endswith("performed")


def test_a_role_that_was_switched_to_does_not_say_when_its_factor_was_proved() -> None:
    for identity in (in_session("true"), in_session(True), in_session("true", type="AssumedRoleOfTomorrow")):
        event = one("cloudtrail", aws("s3", "ListBuckets", userIdentity=identity))
        assert event["type"] == "stepwatch.action.performed"
        assert event["data"]["session"] == f"{ROLE_ARN}@2026-03-02T08:00:00Z"


def test_a_role_taken_with_a_code_begins_with_a_proof_in_the_session_of_its_calls() -> None:
    device = "arn:aws:iam::111122223333:mfa/rosa-phone"
    parts = {"requestParameters": {"serialNumber": device}, "responseElements": {"assumedRoleUser": {"arn": ROLE_ARN}}}
    verified, login, action = read("cloudtrail", aws("sts", "AssumeRole", eventTime="2026-03-02T08:00:00Z", **parts))
    assert (verified["subject"], verified["data"]["verification"]) == (USER_ARN, "e1")
    assert (login["type"], login["subject"]) == ("stepwatch.session.started", ROLE_ARN)
    assert (login["id"], login["time"]) == ("e1#role", "2026-03-02T08:00:00Z")
    call = one("cloudtrail", aws("s3", "ListBuckets", userIdentity=in_session("true")))
    assert login["data"] == {
        "session": call["data"]["session"],
        "client": action["data"]["client"],
        "amr": ["otp"],
        "credential": device,
        "verification": "e1",
    }
    refused = aws("sts", "AssumeRole", errorCode="AccessDenied", **parts)
    assert one("cloudtrail", refused)["type"] == "stepwatch.action.performed"
    without = aws("sts", "AssumeRole", responseElements=parts["responseElements"])
    assert one("cloudtrail", without)["type"] == "stepwatch.action.performed"


def test_the_two_accounts_copies_of_one_call_tell_of_one_proof() -> None:
    parts = {"requestParameters": {"serialNumber": "S1"}, "sharedEventID": "sh-1"}
    copies = [read("cloudtrail", aws("sts", "AssumeRole", eventID=id, **parts))[0] for id in ("e1", "e2")]
    assert [copy["data"]["verification"] for copy in copies] == ["sh-1", "sh-1"]


def test_mfa_without_a_readable_creation_has_no_time_and_tells_of_no_login() -> None:
    event = one("cloudtrail", aws("s3", "ListBuckets", userIdentity=of_user("true", "...")))
    assert event["type"] == "stepwatch.action.performed"
    assert "session" not in event["data"]


def test_mfa_of_a_call_by_a_service_linked_role_is_nobodys() -> None:
    arn = "arn:aws:sts::1:assumed-role/AWSServiceRoleForSupport/x"
    assert isinstance(one("cloudtrail", aws("s3", "ListBuckets", userIdentity=in_session("true", arn=arn))), Skip)


@pytest.mark.parametrize("call", ["GetSessionToken", "AssumeRole"])
def test_a_code_presented_to_sts_is_a_proof_if_sts_took_it(call: str) -> None:
    device = "arn:aws:iam::111122223333:mfa/rosa-phone"
    verified, action = read("cloudtrail", aws("sts", call, requestParameters={"serialNumber": device}))
    assert verified["type"] == "stepwatch.stepup.verified"
    assert verified["data"]["amr"] == ["otp"]
    assert verified["data"]["credential"] == device
    assert action["type"] == "stepwatch.action.performed"
    assert one("cloudtrail", aws("sts", call))["type"] == "stepwatch.action.performed"


def test_a_code_that_sts_refused_is_a_wrong_one_only_where_it_says_so() -> None:
    parameters = {"serialNumber": "arn:aws:iam::111122223333:mfa/rosa-phone"}
    said = "MultiFactorAuthentication failed with invalid MFA one time pass code."
    wrong = aws("sts", "GetSessionToken", requestParameters=parameters, errorCode="AccessDenied", errorMessage=said)
    failed, action = read("cloudtrail", wrong)
    assert (failed["type"], failed["data"]["failure"]) == ("stepwatch.stepup.failed", "wrong_code")
    assert action["data"]["outcome"] == "denied"
    other = aws("sts", "GetSessionToken", requestParameters=parameters, errorCode="AccessDenied", errorMessage="no")
    assert one("cloudtrail", other)["data"]["outcome"] == "denied"


def test_a_device_enabled_for_somebody_is_their_credential() -> None:
    parameters = {"userName": "bob", "serialNumber": "arn:aws:iam::111122223333:mfa/bob"}
    action, change = read("cloudtrail", aws("iam", "EnableMFADevice", requestParameters=parameters))
    assert (action["subject"], action["data"]["action"]) == (USER_ARN, "idp.factor.enroll")
    assert change["type"] == "stepwatch.credential.changed"
    assert change["subject"] == "arn:aws:iam::111122223333:user/bob"
    assert change["data"] == {"credential": "arn:aws:iam::111122223333:mfa/bob", "change": "created"}
    _, change = read("cloudtrail", aws("iam", "DeactivateMFADevice", requestParameters={"serialNumber": "S1"}))
    assert (change["subject"], change["data"]["change"]) == (USER_ARN, "revoked")
    refused = aws("iam", "DeactivateMFADevice", requestParameters=parameters, errorCode="AccessDenied")
    assert one("cloudtrail", refused)["data"]["outcome"] == "denied"


def identity_center(name: str, ended: str, kind: str) -> Any:
    return aws(
        "signin",
        name,
        userIdentity={
            "type": "Unknown",
            "principalId": "111122223333",
            "accountId": "111122223333",
            "userName": "rosa",
        },
        additionalEventData={"AuthWorkflowID": "w-1", "CredentialType": kind},
        serviceEventDetails={name: ended},
    )


@pytest.mark.parametrize(
    ("name", "ended", "kind", "becomes", "amr"),
    [
        ("CredentialChallenge", "Success", "TOTP", "stepwatch.stepup.challenged", None),
        ("CredentialVerification", "Success", "TOTP", "stepwatch.stepup.verified", ["otp"]),
        ("CredentialVerification", "Success", "WEBAUTHN", "stepwatch.stepup.verified", ["hwk"]),
        ("CredentialVerification", "Success", "EMAIL_OTP", "stepwatch.stepup.verified", None),
        ("CredentialVerification", "Failure", "TOTP", "stepwatch.stepup.failed", None),
        (
            "UserAuthentication",
            "Success",
            "PASSWORD,TOTP",
            "stepwatch.session.started",
            ["pwd", "otp", "mfa"],
        ),
        ("UserAuthentication", "Success", "PASSWORD", "stepwatch.session.started", ["pwd"]),
        ("UserAuthentication", "Success", "PASSWORD,EMAIL_OTP", "stepwatch.session.started", ["pwd"]),
        ("UserAuthentication", "Success", "EXTERNAL_IDP", "stepwatch.session.started", None),
    ],
)
def test_identity_center_says_each_step(name: str, ended: str, kind: str, becomes: str, amr: list[str] | None) -> None:
    event = one("cloudtrail", identity_center(name, ended, kind))
    assert event["type"] == becomes
    assert event["subject"] == "111122223333:rosa"
    assert event["data"]["challenge"] == "w-1"
    assert event["data"].get("amr") == amr


def test_a_factor_verified_and_the_login_that_it_was_for_are_one_proof() -> None:
    for name, kind in (("CredentialVerification", "TOTP"), ("UserAuthentication", "PASSWORD,TOTP")):
        assert one("cloudtrail", identity_center(name, "Success", kind))["data"]["verification"] == "w-1"
    for name, kind in (("UserAuthentication", "PASSWORD"), ("CredentialChallenge", "TOTP")):
        assert "verification" not in one("cloudtrail", identity_center(name, "Success", kind))["data"]


@pytest.mark.parametrize("name", ["CredentialChallenge", "CredentialVerification"])
def test_the_password_of_a_login_is_no_step_up(name: str) -> None:
    assert one("cloudtrail", identity_center(name, "Success", "PASSWORD")).field == "type"


def test_a_password_recovery_is_asked_for_by_nobody_known() -> None:
    assert one("cloudtrail", sign_in("PasswordRecoveryRequested", "Success", userIdentity=ROOT)).field == "subject"
    event = one("cloudtrail", sign_in("PasswordUpdated", "Success", userIdentity=ROOT))
    assert event["data"]["action"] == "idp.password.change"
    assert event["data"]["resource"]["sensitivity"] == "critical"
