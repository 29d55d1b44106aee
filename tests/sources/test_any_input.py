"""Whatever a line holds, an adapter answers: with events that the contract accepts, or with reasons."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwatch.sources import ADAPTERS
from tests.sources.reading import lines_of, read, shared
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

ODD: list[Any] = [
    None,
    "",
    "unknown",
    0,
    -1,
    1.5,
    True,
    [],
    {},
    [None],
    [[]],
    {"a": {}},
    "x" * 70_000,
    "\ud800",
    "é\u0000",
]
ODD += ["2026-03-02T09:00:00Z", 1772452800000, ["a", 1], [{"id": 1}], 10**30, "true", "Success", "Yes"]
OWN: dict[str, list[Any]] = {
    "okta": [
        okta(
            "user.authentication.auth_via_mfa",
            target=[user("a"), enrolment("Use Okta FastPass", "[USER_VERIFYING]")],
        ),
        okta(
            "user.authentication.auth_via_mfa",
            "FAILURE",
            reason="INVALID_CREDENTIALS",
            debug={"factor": "SMS_FACTOR"},
        ),
        okta("user.mfa.factor.deactivate", target=[user("a"), enrolment("Email")]),
        okta("policy.evaluate_sign_on", "CHALLENGE", target=[{"type": "PolicyEntity", "displayName": "p"}]),
        okta("user.session.clear", target=[user("a")]),
        {"data": {"events": [okta("pam.x.y", target=[{"type": "T", "id": "t"}])]}},
    ],
    "cloudtrail": [
        aws(
            "iam",
            "EnableMFADevice",
            userIdentity=of_user("true"),
            requestParameters={"serialNumber": "S", "userName": "b"},
        ),
        aws("sts", "AssumeRole", requestParameters={"serialNumber": "S", "roleArn": "r"}, errorMessage="no"),
        aws(
            "sts",
            "AssumeRole",
            requestParameters={"serialNumber": "S"},
            responseElements={"assumedRoleUser": {"arn": "arn:r"}},
            sharedEventID="sh-1",
        ),
        aws(
            "ec2",
            "StopInstances",
            requestParameters={"instancesSet": {"items": [{"instanceId": "i"}]}},
            readOnly="false",
        ),
        sign_in("ConsoleLogin", "Success", more={"MFAUsed": "Yes", "MFAIdentifier": "arn:aws:iam::1:u2f/x"}),
        sign_in("CheckMfa", "Failure", more={"MfaType": "Virtual MFA"}),
        sign_in("UserAuthentication", "Success", more={"CredentialType": "PASSWORD,TOTP"}),
        {"Records": [aws("s3", "GetObject", resources=[{"ARN": "a"}])]},
        {"CloudTrailEvent": json.dumps(aws("kms", "Decrypt")), "EventTime": "2022-02-08 09:23:37+11:00"},
    ],
    "keycloak": [
        keycloak("LOGIN", {"credential_type": "webauthn", "public_key_credential_id": "AbC"}),
        keycloak("LOGIN_ERROR", {"credential_type": "otp"}, error="invalid_user_credentials"),
        keycloak("REMOVE_CREDENTIAL", {"credential_type": "otp", "credential_id": "c-9"}),
        keycloak("IMPERSONATE", {"impersonator": "boss"}),
        [keycloak_admin("ACTION", "USER", "users/7/logout"), keycloak_admin("ACTION", "USER", "users/7/credentials/9")],
        keycloak_admin("UPDATE", "REALM", "events/config", error="access_denied"),
        {
            "timestamp": "2026-03-02T09:00:00.123456789+01:00",
            "sequence": 7,
            "message": 'type="LOGOUT", realmId="a", userId="u", sessionId="s", ipAddress="203.0.113.7", x="y \\"z"',
        },
        {"log": "2026-03-02 09:00:00,123 INFO type=LOGIN, userId=u, ipAddress=::1, n='a b'", "time": "..."},
        {"@timestamp": "2026-03-02T09:00:00Z", "message": json.dumps(keycloak("VERIFY_EMAIL", time=None))},
    ],
    "entra": [
        entra_sign_in(entra_step("Password"), entra_step("Text message", "MFA completed in Azure AD"), time="x"),
        entra_sign_in(entra_step("Previously satisfied"), entra_step("FIDO2", "", False), code=500121, said="fraud"),
        {
            "category": "SignInLogs",
            "resultType": "50076",
            "time": "1/2/2026 12:00:00 PM",
            "properties": entra_sign_in(
                riskLevelDuringSignIn="high", appliedConditionalAccessPolicies=[{"result": "x"}]
            ),
        },
        {"value": [entra_sign_in(userId="", servicePrincipalId="sp", signInEventTypes=["servicePrincipal"])]},
        {
            "Category": "SignInLogs",
            "TimeGenerated": "2026-03-02T09:00:00.1234567Z",
            "UserId": "7f-rosa",
            "Status": '{"errorCode":0,"additionalDetails":"MFA completed in Azure AD"}',
            "MfaDetail": '{"authMethod":"OneWaySMS"}',
            "AuthenticationDetails": '[{"authenticationMethod":"Password","succeeded":true}]',
        },
        {"records": [entra_audit("Update user", entra_target("User", "b", "StrongAuthenticationMethod"))]},
        entra_audit("Add member to role request approved (PIM activation)", entra_target("User", "b"), time=0),
        entra_audit("Frobnicate directory", entra_target("Directory", "t"), initiatedBy={"app": {"appId": "a"}}),
    ],
    "github": [
        github("org.update_member", permission="admin", user="bob"),
        github("repo.access", visibility="public", repo="corp/a", data={"team": "corp/t", "actor_session": 9}),
        github("user.two_factor_challenge_success", user="rosa"),
        github("user.logout", data={"actor_session": 9}),
        github("personal_access_token.access_granted", user="bob"),
        github("api.request", status_code=403),
        {"message": f"<190>Mar 2 09:00:00 ghes github_audit: {json.dumps(github('hook.create', hook_id=[7]))}"},
    ],
    "duo": [
        duo("duo_push", "user_approved"),
        duo("Duo Push", "", "SUCCESS", user=None, event_type=None, username="rosa", ip="203.0.113.7:4711"),
        duo("passcode", "invalid_passcode", "denied"),
        duo("not_available", None, event_type="enrollment"),
        duo_admin("admin_login", {"factor": "push", "primary_auth_method": "Password", "ip_address": "203.0.113.7"}),
        duo_admin("admin_2fa_error", {"error": "Incorrect passcode."}),
        duo_admin("user_update", {"status": "Bypass"}),
        duo_activity("phone_delete", {"name": "+1 555 0100", "key": "DP1", "details": '{"number": "1"}'}),
        {"service": "authentication", "message": duo("phone_call", "no_response", "denied")},
        {"stat": "OK", "response": {"authlogs": [duo("bypass_code", "valid_passcode")]}},
    ],
}


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a JSON value something can be broken."""
    here = [path] if path else []
    if isinstance(value, dict):
        return here + [deeper for key, inner in value.items() for deeper in paths(inner, (*path, key))]
    if isinstance(value, list):
        return here + [deeper for index, inner in enumerate(value) for deeper in paths(inner, (*path, index))]
    return here


def broken(value: Any, path: tuple[Any, ...], by: Any, drop: bool) -> Any:
    """A copy of a JSON value with one place replaced or dropped."""
    copy = json.loads(json.dumps(value))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = by
    return copy


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_any_part_of_a_row_may_be_missing_or_of_another_type(adapter: str) -> None:
    for row in OWN[adapter]:
        for path in paths(row):
            for by in ODD:
                assert read(adapter, broken(row, path, by, drop=False))
            assert read(adapter, broken(row, path, None, drop=True))


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_a_row_may_be_cut_off_anywhere(adapter: str) -> None:
    for row in OWN[adapter]:
        line = json.dumps(row, ensure_ascii=False).encode()
        for end in range(1, len(line), 7):
            assert read(adapter, line[:end])


@pytest.mark.parametrize(
    ("adapter", "folder"),
    [
        ("okta", "okta"),
        ("cloudtrail", "aws_cloudtrail"),
        ("entra", "entra_id"),
        ("github", "github"),
        ("duo", "duo"),
        ("keycloak", "keycloak"),
    ],
)
def test_real_rows_may_be_broken_at_random(adapter: str, folder: str) -> None:
    chance = random.Random(7)
    for path in sorted(shared("data", folder).glob("*.jsonl")):
        if "labels" in path.name or ".index" in path.name:
            continue
        for line in lines_of(path):
            row = json.loads(line)
            where = paths(row)
            for _ in range(4):
                bad = broken(row, chance.choice(where), chance.choice(ODD), drop=chance.random() < 0.3)
                bad = broken(bad, chance.choice(paths(bad) or [()]), chance.choice(ODD), drop=False) if bad else bad
                assert read(adapter, bad)
            assert read(adapter, line[: chance.randrange(1, len(line))])
            cut = chance.randrange(len(line))
            read(adapter, line[:cut] + bytes([chance.randrange(256)]) + line[cut + 1 :])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(adapter=st.sampled_from(sorted(ADAPTERS)), value=values)
def test_any_json_is_answered(adapter: str, value: Any) -> None:
    line = json.dumps(value).encode()
    assert read(adapter, line)


@settings(max_examples=200, deadline=None)
@given(adapter=st.sampled_from(sorted(ADAPTERS)), line=st.binary(max_size=200))
def test_any_bytes_are_answered(adapter: str, line: bytes) -> None:
    assert read(adapter, line) or not line.strip()


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_a_blank_line_is_nothing(adapter: str) -> None:
    assert ADAPTERS[adapter].events(b"") == []
    assert ADAPTERS[adapter].events(b"  \r\n") == []


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_a_row_read_twice_gives_the_same_events(adapter: str) -> None:
    for row in OWN[adapter]:
        assert read(adapter, row) == read(adapter, row)
