"""Entra ID directory audit logs: one test for each rule of the adapter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.sources import Skip
from stepwatch.sources.actions import CRITICAL, HIGH, LOW, MODERATE, plain_word
from stepwatch.sources.entra_actions import ACTIONS, NOTICES, REQUESTS
from tests.sources.reading import one, read
from tests.sources.rows import entra_audit, entra_target

BOB = entra_target("User", "9c-bob", userPrincipalName="bob@corp.example")
ADMIN_ROLE = entra_target("Role", "r-1")


def test_an_audited_deed_is_the_action_of_whoever_initiated_it() -> None:
    event = one("entra", entra_audit("Add member to role", BOB, ADMIN_ROLE, category="RoleManagement"))
    assert event["type"] == "stepwatch.action.performed"
    assert event["id"] == "Directory_1#idp.role.grant-success"
    assert event["subject"] == "0b-boss"
    assert event["time"] == "2026-03-02T09:30:00.123456Z"
    assert event["data"] == {
        "client": {"ip": "203.0.113.9", "user_agent": "Mozilla/5.0 Chrome/140"},
        "action": "idp.role.grant",
        "outcome": "success",
        "resource": {"type": "user", "id": "9c-bob", "sensitivity": "critical"},
    }


@pytest.mark.parametrize(
    ("activity", "target", "action", "sensitivity"),
    [
        ("Add eligible member to role in PIM completed (timebound)", BOB, "idp.role.grant", CRITICAL),
        ("Remove member from role", BOB, "idp.role.revoke", HIGH),
        ("Add member to role completed (PIM activation)", ADMIN_ROLE, "idp.role.activate", CRITICAL),
        ("User registered security info", BOB, "idp.factor.enroll", HIGH),
        ("User deleted security info", BOB, "idp.factor.remove", HIGH),
        ("Add Passkey (device-bound) security key", BOB, "idp.factor.enroll", HIGH),
        ("Disable Strong Authentication", BOB, "idp.mfa.disable", CRITICAL),
        ("Reset password (by admin)", BOB, "idp.password.reset", HIGH),
        ("Consent to application", entra_target("ServicePrincipal", "sp"), "idp.consent.grant", HIGH),
        (
            "Update application \u2013 Certificates and secrets management ",
            entra_target("Application", "a"),
            "idp.app.credential_update",
            CRITICAL,
        ),
        (
            "Add service principal credentials",
            entra_target("ServicePrincipal", "s"),
            "idp.app.credential_add",
            CRITICAL,
        ),
        ("Update Conditional Access policy", entra_target("Policy", "p"), "idp.policy.update", CRITICAL),
        ("Delete conditional access policy", entra_target("Policy", "p"), "idp.policy.delete", CRITICAL),
        ("Add named location", entra_target("Policy", "p"), "idp.trusted_network.create", HIGH),
        ("Set federation settings on domain.", entra_target("Domain", "d"), "idp.federation.update", CRITICAL),
        ("Invite external user", BOB, "idp.user.invite", MODERATE),
    ],
)
def test_a_deed_has_the_name_that_it_has_in_every_product(
    activity: str, target: dict[str, Any], action: str, sensitivity: str
) -> None:
    data = one("entra", entra_audit(activity, target))["data"]
    assert data["action"] == action
    assert data["resource"]["sensitivity"] == sensitivity
    assert data["resource"]["id"] == target["id"]


def test_a_role_may_be_granted_to_an_application_or_a_group() -> None:
    for kind, name in (("ServicePrincipal", "app"), ("Group", "group")):
        data = one("entra", entra_audit("Add member to role", entra_target(kind, "x-1"), ADMIN_ROLE))["data"]
        assert data["resource"] == {"type": name, "id": "x-1", "sensitivity": "critical"}
    data = one("entra", entra_audit("Add member to role", entra_target("Other", "x"), ADMIN_ROLE))["data"]
    assert data["resource"] == {"type": "user", "sensitivity": "critical"}


def test_an_elevation_to_all_of_azure_is_done_to_oneself() -> None:
    name = "User has elevated their access to User Access Administrator for their Azure Resources"
    row = entra_audit("", operationName=name, activityDisplayName=None)
    data = one("entra", row)["data"]
    assert data["action"] == "iam.access.elevate"
    assert data["resource"] == {"type": "user", "id": "0b-boss", "sensitivity": "critical"}


def test_an_approval_is_a_deed_of_the_approver_and_granted_to_whoever_asked() -> None:
    row = entra_audit("Add member to role request approved (PIM activation)", ADMIN_ROLE, BOB, loggedByService="PIM")
    action, granted = read("entra", row)
    assert (action["subject"], action["data"]["action"]) == ("0b-boss", "idp.role_request.approve")
    assert granted["type"] == "stepwatch.approval.granted"
    assert (granted["subject"], granted["data"]) == ("9c-bob", {"approver": "0b-boss"})
    others: list[dict[str, Any]] = [{"result": "failure"}, {"targetResources": []}]
    others.append({"initiatedBy": {"app": {"servicePrincipalId": "sp"}}})
    for parts in others:
        assert len(read("entra", row | parts)) == 1


@pytest.mark.parametrize(
    "activity",
    [
        "Add member to role requested (PIM activation)",
        "Add member to role approval requested (PIM activation)",
        "Add member to role canceled (PIM activation)",
        "Add member to role in PIM requested (permanent)",
        "Remove member from role requested (PIM deactivate)",
        "User started security info registration",
        "Remove member from role (PIM activation expired)",
    ],
)
def test_a_wish_and_an_expiry_are_no_deeds(activity: str) -> None:
    assert one("entra", entra_audit(activity, BOB, ADMIN_ROLE)).field == "type"


def test_tokens_made_invalid_revoke_all_sessions_of_their_user() -> None:
    action, revoked = read("entra", entra_audit("Update StsRefreshTokenValidFrom Timestamp", BOB))
    assert (action["subject"], action["data"]["action"]) == ("0b-boss", "idp.session.revoke")
    assert (revoked["type"], revoked["subject"], revoked["data"]) == ("stepwatch.session.revoked", "9c-bob", {})
    assert len(read("entra", entra_audit("Update StsRefreshTokenValidFrom Timestamp", BOB, result="failure"))) == 1


def test_an_update_of_a_user_that_touches_the_factors_is_one_of_the_factors() -> None:
    target = entra_target("User", "9c-bob", "StrongAuthenticationPhoneAppDetail")
    assert one("entra", entra_audit("Update user", target))["data"]["action"] == "idp.factor.update"
    target = entra_target("User", "9c-bob", "Department")
    assert one("entra", entra_audit("Update user", target))["data"]["action"] == "idp.user.update"


def test_a_pass_that_stands_in_for_every_factor_is_a_recovery_code() -> None:
    reason = "Admin registered temporary access pass method for user"
    data = one("entra", entra_audit("Admin registered security info", BOB, resultReason=reason))["data"]
    assert data["action"] == "idp.recovery_code.create"
    assert data["resource"] == {"type": "user", "id": "9c-bob", "sensitivity": "critical"}
    reason = "Admin registered phone method for user"
    data = one("entra", entra_audit("Admin registered security info", BOB, resultReason=reason))["data"]
    assert data["action"] == "idp.factor.enroll"


@pytest.mark.parametrize(
    ("result", "reason", "outcome"),
    [
        ("success", "", "success"),
        ("SUCCESS", None, "success"),
        ("failure", "Microsoft.Online.Workflows.ObjectAlreadyExistsException", "failure"),
        ("failure", "Authorization_RequestDenied: Insufficient privileges", "denied"),
        ("timeout", "", "unknown"),
        (None, None, "unknown"),
    ],
)
def test_a_deed_ended_as_the_row_says(result: str | None, reason: str | None, outcome: str) -> None:
    event = one("entra", entra_audit("Delete user", BOB, result=result, resultReason=reason))
    assert event["data"]["outcome"] == outcome
    assert event["id"] == f"Directory_1#idp.user.delete-{outcome}"


def test_an_application_acts_under_its_own_id() -> None:
    app: dict[str, Any] = {"displayName": "nightly", "appId": "a-1", "servicePrincipalId": "sp-1"}
    assert one("entra", entra_audit("Add user", BOB, initiatedBy={"app": app, "user": None}))["subject"] == "sp-1"
    app |= {"servicePrincipalId": None}
    assert one("entra", entra_audit("Add user", BOB, initiatedBy={"app": app}))["subject"] == "a-1"
    user = {"id": None, "userPrincipalName": "boss@corp.example"}
    assert one("entra", entra_audit("Add user", BOB, initiatedBy={"user": user}))["subject"] == "boss@corp.example"
    nobodies: list[Any] = [None, {}, {"user": None, "app": None}, {"user": {"id": ""}}, "x", []]
    for nobody in nobodies:
        assert one("entra", entra_audit("Add user", BOB, initiatedBy=nobody)).field == "subject"


@pytest.mark.parametrize("activity", ["Add member to role", "Remove member from role", "Add member to group"])
def test_what_pim_does_for_somebody_has_a_row_of_theirs_beside_it(activity: str) -> None:
    by = {"user": None, "app": {"displayName": "MS-PIM", "servicePrincipalId": "sp-pim"}}
    assert one("entra", entra_audit(activity, BOB, initiatedBy=by)) == Skip(
        "the product itself acts, no person", "subject"
    )
    # Anybody may call an application so: only for what PIM does is it believed.
    assert one("entra", entra_audit("Add user", BOB, initiatedBy=by))["subject"] == "sp-pim"
    assert one("entra", entra_audit(activity, BOB))["subject"] == "0b-boss"


def test_the_address_of_a_deed_is_where_the_log_has_it() -> None:
    row = entra_audit("Add user", BOB, initiatedBy={"user": {"id": "0b-boss"}})
    row["additionalDetails"].append({"key": "ipaddr", "value": "203.0.113.8"})
    assert one("entra", row)["data"]["client"]["ip"] == "203.0.113.8"
    row = {"properties": entra_audit("Add user", BOB, initiatedBy={"user": {"id": "0b-boss"}})}
    event = one("entra", row | {"category": "AuditLogs", "callerIpAddress": "203.0.113.6"})
    assert event["data"]["client"]["ip"] == "203.0.113.6"


def test_an_activity_that_no_table_has_gets_a_name_of_its_own() -> None:
    row = entra_audit("Update company settings", entra_target("Directory", "t"), category="DirectoryManagement")
    data = one("entra", row)["data"]
    assert data["action"] == "idp.company_settings.update"
    assert data["resource"] == {"type": "directory", "id": "t", "sensitivity": "high"}
    assert one("entra", entra_audit("Get tenant details", category="Other"))["data"]["resource"] == {
        "sensitivity": "low"
    }
    assert one("entra", entra_audit("Autorenew group"))["data"]["action"] == "idp.autorenew_group"
    assert one("entra", entra_audit("…")).field == "type"


def test_a_step_of_a_customers_login_is_no_deed() -> None:
    row = entra_audit("Issue an id_token to the application", category="Authentication", loggedByService="B2C")
    assert one("entra", row).field == "type"


def test_all_shapes_hold_the_same_deed() -> None:
    row = entra_audit("Add member to role", BOB, ADMIN_ROLE)
    expected = one("entra", row)
    azure = {"category": "AuditLogs", "operationName": "x", "time": "2026-03-02T09:31:00Z", "properties": row}
    assert one("entra", azure) == expected
    assert read("entra", {"value": [row]}) == read("entra", {"records": [azure]}) == [expected]
    rows = {key[0].upper() + key[1:]: value for key, value in row.items()} | {"TimeGenerated": "2026-03-02T09:31:00Z"}
    for name in ("InitiatedBy", "TargetResources", "AdditionalDetails"):
        rows[name] = json.dumps(rows[name])
    assert one("entra", rows) == expected


@pytest.mark.parametrize("time", ["", None, "14/11/2025 01:48:53", "now", 0])
def test_a_deed_without_a_readable_time_is_no_event(time: Any) -> None:
    assert one("entra", entra_audit("Add user", BOB, activityDateTime=time)).field == "time"
    found = one("entra", entra_audit("Add user", BOB, activityDateTime=time, time="3/2/2026 9:00:00 AM"))
    assert found.field == "time" if time not in ("", None) else found["time"] == "2026-03-02T09:00:00Z"


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_every_deed_of_the_table_is_named_by_the_scheme(name: str) -> None:
    deed = ACTIONS[name]
    assert name == plain_word(name)
    assert deed.action.startswith(("idp.", "iam.", "audit.", "secrets."))
    assert len(deed.action.split(".")) == 3
    assert deed.sensitivity in (LOW, MODERATE, HIGH, CRITICAL)
    assert name not in REQUESTS | NOTICES


def test_a_deed_of_the_table_becomes_an_event_for_any_target() -> None:
    for name in ACTIONS:
        (first, *_) = read("entra", entra_audit(name.replace("_", " "), BOB))
        assert not isinstance(first, Skip), name
