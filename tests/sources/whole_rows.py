"""For each product rows that say all that its log can say: what a source is told to yield is held to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.sources.rows import (
    aws,
    duo,
    duo_activity,
    duo_admin,
    enrolment,
    entra_audit,
    entra_sign_in,
    entra_step,
    entra_target,
    github,
    keycloak,
    keycloak_admin,
    of_user,
    okta,
    sign_in,
    user,
)

_MFA = "user.authentication.auth_via_mfa"
_DEVICE = {"dtHash": "d-1"}
_KEY = [user("00u5rosa"), enrolment("webauthn")]
_PASSWORD_CONTEXT = {"externalSessionId": "102s", "rootSessionId": "102root", "credentialType": "PASSWORD"}


def _okta() -> Iterator[Any]:
    yield okta("user.session.start", authenticationContext=_PASSWORD_CONTEXT, debug=_DEVICE)
    yield okta("user.session.end", debug=_DEVICE)
    yield okta("policy.evaluate_sign_on", "CHALLENGE", debug=_DEVICE)
    yield okta("system.push.send_factor_verify_push", debug=_DEVICE)
    yield okta(_MFA, target=_KEY, debug=_DEVICE)
    yield okta(_MFA, "FAILURE", reason="Passcode expired", debug=_DEVICE)
    yield okta("user.mfa.okta_verify.deny_push", "FAILURE", debug=_DEVICE)
    yield okta("user.mfa.attempt_bypass", debug=_DEVICE)
    yield okta("user.mfa.factor.activate", target=_KEY, debug=_DEVICE)
    yield okta("app.access_request.approver.approve", target=[user("bob")], debug=_DEVICE)


def _cloudtrail() -> Iterator[Any]:
    mine = of_user("true", onBehalfOf={"userId": "u-7"})
    yield aws("iam", "AttachUserPolicy", userIdentity=mine)
    yield aws("sts", "AssumeRole", userIdentity=mine, requestParameters={"serialNumber": "S"})
    wrong = {
        "errorCode": "AccessDenied",
        "errorMessage": "MultiFactorAuthentication failed with invalid MFA one time pass code.",
    }
    yield aws("sts", "AssumeRole", userIdentity=mine, requestParameters={"serialNumber": "S"}, **wrong)
    more = {"AuthWorkflowID": "w-1", "CredentialType": "TOTP"}
    for name, ended in (("CredentialChallenge", "Success"), ("CredentialVerification", "Success")):
        yield sign_in(name, ended, more=more)
    yield sign_in("CredentialVerification", "Failure", more=more)
    yield sign_in("UserAuthentication", "Success", more=more)
    yield sign_in("ConsoleLogin", "Success", more={"MFAUsed": "Yes", "MFAIdentifier": "arn:aws:iam::1:u2f/x"})
    arn = "arn:aws:iam::111122223333:mfa/rosa"
    yield aws("iam", "EnableMFADevice", requestParameters={"serialNumber": arn, "userName": "rosa"})


def _entra() -> Iterator[Any]:
    password = entra_step("Password", at="09:00:01.0000000")
    yield entra_sign_in(password, entra_step("FIDO2 security key", "", at="09:00:20.0000000"))
    before = entra_step("Previously satisfied", "First factor requirement satisfied by claim in the token")
    early = entra_step("Mobile app notification", "MFA successfully completed", at="09:00:01.0000000")
    late = entra_step("Text message", "MFA successfully completed", at="09:00:40.0000000")
    yield entra_sign_in(before, early, late)
    yield entra_sign_in(password, entra_step("Text message", "MFA denied; user did not respond", False), code=500121)
    yield entra_sign_in(
        password, entra_step("Text message", "MFA denied; user declined the authentication", False), code=500121
    )
    yield entra_sign_in(code=50076)
    yield entra_sign_in(code=50158)
    yield entra_sign_in(password, entra_step("Temporary Access Pass", ""))
    yield entra_audit("Add member to role", entra_target("User", "b"))
    yield entra_audit("Add member to role request approved (PIM activation)", entra_target("User", "b"))
    yield entra_audit("Update StsRefreshTokenValidFrom Timestamp", entra_target("User", "b"))


def _keycloak() -> Iterator[Any]:
    key = {"credential_type": "webauthn", "public_key_credential_id": "AbC", "acr": "2"}
    yield keycloak("LOGIN", key)
    yield keycloak("LOGIN_ERROR", {"credential_type": "otp"}, error="invalid_user_credentials")
    yield keycloak("LOGIN", {"credential_type": "recovery-authn-codes"})
    yield keycloak("LOGOUT")
    yield keycloak("UPDATE_CREDENTIAL", {"credential_type": "otp", "credential_id": "c-9"})
    yield keycloak("IMPERSONATE", {"impersonator": "boss"})
    yield keycloak_admin("CREATE", "REALM_ROLE_MAPPING", "users/7/role-mappings/realm")


def _github() -> Iterator[Any]:
    for action in ("repo.destroy", "user.login", "user.logout", "user.two_factor_requested"):
        yield github(action, actor_session=9)
    for action in ("user.two_factor_challenge_success", "user.two_factor_challenge_failure", "user.two_factor_recover"):
        yield github(action, actor_session=9)
    yield github("personal_access_token.access_granted", user="bob", actor_session=9)
    yield github("personal_access_token.access_revoked", user="bob", actor_session=9)


def _duo() -> Iterator[Any]:
    yield duo("duo_push", "user_approved")
    yield duo("passcode", "invalid_passcode", "denied")
    yield duo("duo_push", "user_marked_fraud", "fraud")
    yield duo("duo_push", "user_cancelled", "denied")
    yield duo("sms_refresh", None, "denied")
    yield duo("remembered_device", "remembered_device")
    yield duo("not_available", None, event_type="enrollment")
    yield duo_admin("admin_login", {"factor": "push", "primary_auth_method": "Password", "ip_address": "203.0.113.7"})
    yield duo_admin("bypass_create")
    yield duo_activity("phone_delete", {"name": "+1 555 0100", "key": "DP1"})


WHOLE: dict[str, list[Any]] = {
    "okta": list(_okta()),
    "cloudtrail": list(_cloudtrail()),
    "entra": list(_entra()),
    "keycloak": list(_keycloak()),
    "github": list(_github()),
    "duo": list(_duo()),
}
