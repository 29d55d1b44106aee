"""Duo's administrator, activity and offline logs: one test for each rule of the adapter."""

from __future__ import annotations

from typing import Any

import pytest

from stepwatch.sources.actions import CRITICAL, HIGH, LOW, MODERATE
from stepwatch.sources.duo_actions import ACTIONS, derive
from tests.sources.reading import one, read
from tests.sources.rows import duo_activity, duo_admin


def test_an_administrators_deed_is_an_action_on_the_object() -> None:
    event = one("duo", duo_admin("bypass_create", {"count": 1, "bypass_code_ids": ["A1"]}))
    assert event["type"] == "stepwatch.action.performed"
    assert event["subject"] == "Rosa Admin"
    assert event["data"] == {
        "action": "idp.recovery_code.create",
        "outcome": "success",
        "resource": {"type": "user", "id": "bob", "sensitivity": "critical"},
    }


@pytest.mark.parametrize(
    ("details", "amr"),
    [
        ({"factor": "sms", "primary_auth_method": "Single Sign-On"}, ["sms"]),
        ({"factor": "push", "primary_auth_method": "Password"}, ["pwd", "swk", "mfa"]),
        ({"primary_auth_method": "Password"}, ["pwd"]),
        ({"factor": "carrier pigeon"}, None),
        ({}, None),
    ],
)
def test_an_administrators_login_is_a_session_with_the_factors_that_the_row_names(
    details: dict[str, str], amr: list[str] | None
) -> None:
    event = one("duo", duo_admin("admin_login", details | {"ip_address": "203.0.113.7", "device": "555-0100"}))
    assert event["type"] == "stepwatch.session.started"
    assert event["data"].get("amr") == amr
    assert event["data"]["client"] == {"ip": "203.0.113.7"}


def test_a_failed_login_of_an_administrator_is_no_event() -> None:
    assert one("duo", duo_admin("admin_login_error", {"error": "SAML login is disabled"})).field == "outcome"


@pytest.mark.parametrize(
    ("error", "kind", "failure"),
    [
        ("Login request reported as fraudulent.", "denied", None),
        ("Login request denied.", "denied", None),
        ("Login request cancelled.", "cancelled", None),
        ("Login timed out.", "failed", "no_response"),
        ("Incorrect passcode. Please try again.", "failed", "wrong_code"),
        ("Passcode expired.", "failed", "expired_code"),
        ("Account locked.", "failed", "locked_out"),
        ("Something else.", "failed", None),
        (None, "failed", None),
    ],
)
def test_a_second_factor_of_an_administrator_failed_unless_the_person_said_no(
    error: str | None, kind: str, failure: str | None
) -> None:
    event = one("duo", duo_admin("admin_2fa_error", {"error": error, "factor": "push"}))
    assert event["type"] == f"stepwatch.stepup.{kind}"
    assert event["data"].get("failure") == failure


@pytest.mark.parametrize("description", ['"message": "locked out"', '{"message": "locked out"}', None])
def test_a_lockout_is_said_even_where_its_description_cannot_be_read(description: Any) -> None:
    event = one("duo", duo_admin("admin_lockout", description=description))
    assert (event["type"], event["data"]) == ("stepwatch.stepup.failed", {"failure": "locked_out"})


@pytest.mark.parametrize("name", ["System", "AD Sync: corp.example", "Azure Sync: tenant"])
def test_duo_itself_is_no_person(name: str) -> None:
    assert one("duo", duo_admin("user_delete", username=name)).field == "subject"
    actor = {"name": "whatever", "type": "system"}
    assert one("duo", duo_activity("user_delete", {"name": "bob"}, actor=actor)).field == "subject"


def test_a_programme_acts_and_proves_nothing() -> None:
    assert one("duo", duo_admin("bypass_create", username="API"))["subject"] == "API"
    assert one("duo", duo_admin("admin_login", {"factor": "push"}, username="API")).field == "subject"
    actor = {"name": "Admin API 1", "type": "application", "key": "DI1"}
    assert one("duo", duo_activity("admin_login", actor=actor)).field == "subject"


@pytest.mark.parametrize("name", [None, "", "unknown", [], 1.5])
def test_nobody_named_is_no_event(name: Any) -> None:
    assert one("duo", duo_admin("bypass_create", username=name)).field == "subject"


@pytest.mark.parametrize(
    ("details", "action", "sensitivity"),
    [
        ({"status": "Bypass"}, "idp.mfa.disable", "critical"),
        ({"status": "Disabled"}, "idp.user.suspend", "moderate"),
        ({"status": "Active"}, "idp.user.activate", "moderate"),
        ({"phones": ""}, "idp.factor.remove", "high"),
        ({"phones": "+1 555 0100"}, "idp.factor.update", "high"),
        ({"realname": "Bob"}, "idp.user.update", "moderate"),
        ("not json", "idp.user.update", "moderate"),
    ],
)
def test_an_update_of_a_user_is_what_its_description_says(
    details: dict[str, str] | str, action: str, sensitivity: str
) -> None:
    data = one("duo", duo_admin("user_update", details))["data"]
    assert (data["action"], data["resource"]["sensitivity"]) == (action, sensitivity)


def test_a_status_that_was_there_before_was_not_set_now() -> None:
    target = {"name": "bob", "type": "user", "key": "DU2", "details": '{"status": "bypass", "realname": "Bob"}'}
    before = target | {"details": '{"status": "active"}'}
    assert one("duo", duo_activity("user_update", target, old_target=before))["data"]["action"] == "idp.mfa.disable"
    assert one("duo", duo_activity("user_update", target, old_target=target))["data"]["action"] == "idp.user.update"


def test_a_role_given_to_an_administrator_is_a_grant() -> None:
    assert one("duo", duo_admin("admin_create", {"role": "Owner"}))["data"]["action"] == "idp.role.grant"
    assert one("duo", duo_admin("admin_update", {"role": "Owner"}))["data"]["action"] == "idp.role.grant"
    assert one("duo", duo_admin("admin_update", {"phone": "1"}))["data"]["action"] == "idp.admin.update"


def test_a_users_own_device_that_was_removed_is_a_credential_revoked() -> None:
    target = {"name": "+1 555 0100", "type": "phone", "key": "DP1", "details": "{}"}
    action, change = read("duo", duo_activity("phone_delete", target))
    assert action["id"] == "act-1#action-success"
    assert action["data"]["resource"] == {"type": "phone", "id": "+1 555 0100", "sensitivity": "high"}
    assert (change["id"], change["subject"]) == ("act-1#credential", "rosa")
    assert (change["data"]["credential"], change["data"]["change"]) == ("DP1", "revoked")


def test_of_a_device_that_an_administrator_changed_the_owner_is_not_named() -> None:
    target = {"name": "+1 555 0100", "type": "phone", "key": "DP1"}
    admin = {"name": "Rosa Admin", "type": "admin", "key": "DE1"}
    assert one("duo", duo_activity("phone_delete", target, actor=admin))["type"].endswith("performed")
    assert one("duo", duo_admin("phone_delete", object="+1 555 0100"))["type"].endswith("performed")
    failed = duo_activity("phone_delete", target, outcome={"result": "FAILURE"})
    assert one("duo", failed)["data"]["outcome"] == "failure"


def test_an_offline_enrolment_is_a_deed_of_the_person_on_their_own_factor() -> None:
    row = duo_admin("o2fa_user_provisioned", {"user_agent": "DuoCredProv/4", "factor": "duo_otp"}, object="RDP")
    data = one("duo", row)["data"]
    assert data["action"] == "idp.factor.enroll"
    assert data["resource"]["id"] == "Rosa Admin"
    assert data["client"] == {"user_agent": "DuoCredProv/4"}


@pytest.mark.parametrize("kind", ["ad_sync_finish", "ad_sync_by_user_end", "log_export_complete"])
def test_the_end_of_a_deed_is_no_second_deed(kind: str) -> None:
    assert one("duo", duo_admin(kind)).field == "type"
    assert one("duo", duo_activity("device_change_notification_send")).field == "type"


def test_an_event_that_no_table_has_gets_a_name_of_its_own() -> None:
    data = one("duo", duo_admin("moon_landing"))["data"]
    assert data["action"] == "duo.moon_landing"
    assert data["resource"] == {"id": "bob", "sensitivity": "moderate"}
    assert one("duo", duo_admin("policy_odd"))["data"]["resource"]["sensitivity"] == "high"
    assert one("duo", duo_admin("ad_sync_failed"))["data"]["outcome"] == "failure"
    assert derive("...") is None
    assert one("duo", duo_admin("...")).field == "type"


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_every_deed_of_the_table_is_named_by_the_scheme(name: str) -> None:
    deed = ACTIONS[name]
    assert deed.action.startswith(("idp.", "secrets.", "audit."))
    assert len(deed.action.split(".")) == 3
    assert deed.sensitivity in (LOW, MODERATE, HIGH, CRITICAL)
    assert set(deed.where) <= {"object", "self"}
