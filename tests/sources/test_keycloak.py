"""Keycloak: one test for each rule of the adapter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.sources import Keycloak, Skip
from stepwatch.sources.actions import CRITICAL, HIGH, LOW, MODERATE
from stepwatch.sources.keycloak_actions import ADMIN_ACTIONS, USER_ACTIONS
from tests.sources.reading import one, read
from tests.sources.rows import keycloak, keycloak_admin

FACTOR = {"custom_required_action": "webauthn-register", "public_key_credential_id": "AbC"}


def test_a_login_is_a_session_start_and_says_no_factor_that_the_event_does_not() -> None:
    event = one("keycloak", keycloak("LOGIN"))
    assert event["type"] == "stepwatch.session.started"
    assert event["id"] == "k-1#login"
    assert event["subject"] == "9a7e-rosa"
    assert event["time"] == "2026-03-02T09:00:00.123000Z"
    assert event["data"] == {"session": "kc-s1", "challenge": "kc-s1", "client": {"ip": "203.0.113.7"}}


@pytest.mark.parametrize(
    ("credential_type", "amr"),
    [
        ("password", ["pwd"]),
        ("otp", ["otp"]),
        ("webauthn", ["hwk"]),
        ("webauthn-passwordless", ["hwk"]),
        ("password,otp", ["pwd", "otp", "mfa"]),
        ("kerberos", None),
        ("openid-connect", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_a_login_says_its_factor_in_words_of_rfc_8176_or_not_at_all(
    credential_type: Any, amr: list[str] | None
) -> None:
    assert one("keycloak", keycloak("LOGIN", {"credential_type": credential_type}))["data"].get("amr") == amr


@pytest.mark.parametrize(("kinds", "amr"), [("password,recovery-authn-codes", ["pwd"]), ("recovery-authn-codes", None)])
def test_a_recovery_code_is_a_bypass_and_no_second_factor(kinds: str, amr: list[str] | None) -> None:
    login, bypassed = read("keycloak", keycloak("LOGIN", {"credential_type": kinds}))
    assert login["data"].get("amr") == amr
    assert (bypassed["type"], bypassed["id"]) == ("stepwatch.stepup.bypassed", "k-1#bypassed")
    assert (bypassed["subject"], bypassed["data"]["session"]) == ("9a7e-rosa", "kc-s1")


def test_a_login_in_an_impersonated_session_proves_nothing_of_the_impersonator() -> None:
    details = {"impersonator": "boss", "credential_type": "otp", "selected_credential_id": "c-9", "acr": "gold"}
    event = one("keycloak", keycloak("LOGIN", details))
    assert (event["type"], event["subject"]) == ("stepwatch.session.started", "boss")
    assert event["data"] == {"challenge": "kc-s1", "client": {"ip": "203.0.113.7"}}


@pytest.mark.parametrize(("checked", "amr"), [("true", ["hwk", "user"]), ("false", ["hwk"])])
def test_a_key_verified_the_person_only_where_that_was_checked(checked: str, amr: list[str]) -> None:
    details = {"web_authn_authenticator_user_verification_checked": checked, "public_key_credential_id": "AbC"}
    for more in ({}, {"credential_type": "webauthn"}):
        data = one("keycloak", keycloak("LOGIN", details | more))["data"]
        assert (data["amr"], data["credential"]) == (amr, "AbC")


def test_the_device_chosen_in_a_form_is_a_proof_only_where_a_code_is_said_to_have_been_one() -> None:
    chosen = {"selected_credential_id": "c-9"}
    assert one("keycloak", keycloak("LOGIN", chosen | {"credential_type": "otp"}))["data"]["credential"] == "c-9"
    for credential_type in ("", "password", "webauthn"):
        data = one("keycloak", keycloak("LOGIN", chosen | {"credential_type": credential_type}))["data"]
        assert "credential" not in data


def test_a_class_of_authentication_that_the_event_says_is_kept() -> None:
    assert one("keycloak", keycloak("LOGIN", {"acr": "gold"}))["data"]["acr"] == "gold"


@pytest.mark.parametrize("session", [None, "", "null"])
def test_a_session_that_is_not_named_is_that_of_the_code(session: str | None) -> None:
    row = keycloak("LOGIN", {"code_id": "kc-s4"}, sessionId=session)
    assert one("keycloak", row)["data"]["session"] == "kc-s4"
    assert "session" not in one("keycloak", keycloak("LOGIN", {"code_id": None}, sessionId=session))["data"]


def test_a_failed_login_is_no_step_up_and_its_password_no_wrong_code() -> None:
    for details in ({}, {"credential_type": "password"}):
        row = keycloak("LOGIN_ERROR", details, error="invalid_user_credentials")
        assert one("keycloak", row).field == "outcome"
    assert one("keycloak", keycloak("LOGIN", error="user_disabled")).field == "outcome"


@pytest.mark.parametrize(
    ("details", "error", "failure"),
    [
        ({"credential_type": "otp"}, "invalid_user_credentials", "wrong_code"),
        ({"selected_credential_id": "c-9"}, "invalid_user_credentials", None),
        ({"credential_type": "webauthn"}, "invalid_user_credentials", None),
        ({"credential_type": "otp"}, "user_temporarily_disabled", "locked_out"),
        ({"credential_type": "otp"}, "expired_code", None),
        ({"credential_type": "otp"}, None, None),
    ],
)
def test_a_login_that_failed_at_its_second_factor_is_a_step_up_that_failed(
    details: dict[str, str], error: str | None, failure: str | None
) -> None:
    event = one("keycloak", keycloak("LOGIN_ERROR", details, error=error))
    assert event["type"] == "stepwatch.stepup.failed"
    assert event["id"] == "k-1#failed"
    assert event["data"].get("failure") == failure
    assert event["data"]["challenge"] == "kc-s1"
    assert "amr" not in event["data"]


@pytest.mark.parametrize(
    "kind", ["CODE_TO_TOKEN", "REFRESH_TOKEN", "REFRESH_TOKEN_ERROR", "INTROSPECT_TOKEN", "IDENTITY_PROVIDER_LOGIN"]
)
def test_a_token_a_call_and_a_step_of_a_login_are_counted(kind: str) -> None:
    assert one("keycloak", keycloak(kind)).field == "type"


def test_a_service_account_is_no_person() -> None:
    assert one("keycloak", keycloak("CLIENT_LOGIN")).field == "subject"
    assert one("keycloak", keycloak("LOGIN", {"username": "service-account-batch"})).field == "subject"
    event = one("keycloak", keycloak("TOKEN_EXCHANGE", {"username": "service-account-batch"}))
    assert event["type"] == "stepwatch.action.performed"


def test_a_logout_revokes_the_session_that_it_names_and_never_all() -> None:
    event = one("keycloak", keycloak("LOGOUT"))
    assert (event["type"], event["data"]["session"]) == ("stepwatch.session.revoked", "kc-s1")
    assert one("keycloak", keycloak("LOGOUT", {"code_id": None}, sessionId=None)).field == "session"
    assert one("keycloak", keycloak("LOGOUT_ERROR", error="invalid_token")).field == "outcome"


def test_an_administrator_who_logs_somebody_out_revokes_all_their_sessions() -> None:
    action, revoked = read("keycloak", keycloak_admin("ACTION", "USER", "users/9a7e-rosa/logout"))
    assert (action["subject"], action["data"]["action"]) == ("0b5s-boss", "idp.session.revoke")
    assert (revoked["type"], revoked["subject"]) == ("stepwatch.session.revoked", "9a7e-rosa")
    assert revoked["data"] == {}
    assert len(read("keycloak", keycloak_admin("ACTION", "USER", "users/7/logout", error="x"))) == 1


def test_a_session_that_an_administrator_ended_is_nobodys_as_far_as_the_event_says() -> None:
    event = one("keycloak", keycloak_admin("DELETE", "USER_SESSION", "sessions/kc-s1"))
    assert event["data"]["resource"] == {"type": "session", "id": "kc-s1", "sensitivity": "moderate"}


@pytest.mark.parametrize(
    ("kind", "details", "action", "change"),
    [
        ("UPDATE_CREDENTIAL", {"credential_type": "otp"}, "idp.factor.enroll", "created"),
        ("UPDATE_CREDENTIAL", {"credential_type": "webauthn"}, "idp.factor.enroll", "created"),
        ("UPDATE_CREDENTIAL", {"credential_type": "recovery-authn-codes"}, "idp.recovery_code.create", "created"),
        ("UPDATE_CREDENTIAL", {"credential_type": "password"}, "idp.password.change", "updated"),
        ("UPDATE_CREDENTIAL", {}, "idp.credential.update", "created"),
        ("REMOVE_CREDENTIAL", {"credential_type": "otp"}, "idp.factor.remove", "revoked"),
        ("REMOVE_CREDENTIAL", {"credential_type": "password"}, "idp.password.remove", "revoked"),
        ("UPDATE_TOTP", {}, "idp.factor.enroll", "created"),
        ("REMOVE_TOTP", {}, "idp.factor.remove", "revoked"),
        ("UPDATE_PASSWORD", {}, "idp.password.change", "updated"),
    ],
)
def test_a_change_of_a_credential_is_a_deed_and_a_change_where_its_id_is_said(
    kind: str, details: dict[str, str], action: str, change: str
) -> None:
    deed = one("keycloak", keycloak(kind, details))
    assert (deed["data"]["action"], deed["data"]["resource"]["id"]) == (action, "9a7e-rosa")
    _, changed = read("keycloak", keycloak(kind, details | {"credential_id": "c-9"}))
    assert changed["type"] == "stepwatch.credential.changed"
    assert changed["subject"] == "9a7e-rosa"
    assert (changed["data"]["credential"], changed["data"]["change"]) == ("c-9", change)
    failed = one("keycloak", keycloak(f"{kind}_ERROR", details | {"credential_id": "c-9"}, error="x"))
    assert failed["data"]["outcome"] == "failure"


@pytest.mark.parametrize("kind", ["UPDATE_TOTP", "REMOVE_TOTP", "UPDATE_PASSWORD", "UPDATE_PASSWORD_ERROR"])
def test_the_old_name_of_a_change_beside_the_new_is_counted_once(kind: str) -> None:
    assert one("keycloak", keycloak(kind, {"credential_type": "otp"})).field == "type"


def test_a_key_has_the_id_under_which_it_proves() -> None:
    details = {"credential_type": "webauthn", "credential_id": "c-9", "public_key_credential_id": "AbC"}
    _, changed = read("keycloak", keycloak("UPDATE_CREDENTIAL", details))
    assert changed["data"]["credential"] == one("keycloak", keycloak("LOGIN", details))["data"]["credential"] == "AbC"


def test_before_keycloak_26_a_key_is_added_by_a_required_action() -> None:
    deed, changed = read("keycloak", keycloak("CUSTOM_REQUIRED_ACTION", FACTOR))
    assert deed["data"]["action"] == "idp.factor.enroll"
    assert (changed["data"]["credential"], changed["data"]["change"]) == ("AbC", "created")
    terms = one("keycloak", keycloak("CUSTOM_REQUIRED_ACTION", {"custom_required_action": "TERMS_AND_CONDITIONS"}))
    assert terms["data"]["action"] == "idp.required_action.execute"


def test_who_impersonates_is_who_acts() -> None:
    event = one("keycloak", keycloak("IMPERSONATE", {"impersonator": "boss", "impersonator_realm": "master"}))
    assert (event["subject"], event["data"]["action"]) == ("boss", "idp.impersonation.start")
    assert event["data"]["on_behalf_of"] == event["data"]["resource"]["id"] == "9a7e-rosa"
    assert event["data"]["resource"]["sensitivity"] == "critical"
    assert "session" not in event["data"]
    assert one("keycloak", keycloak("IMPERSONATE")).field == "subject"
    exchange = one("keycloak", keycloak("TOKEN_EXCHANGE", {"impersonator": "boss"}))
    assert (exchange["subject"], exchange["data"]["action"]) == ("boss", "idp.impersonation.start")


@pytest.mark.parametrize("kind", ["USER_DISABLED_BY_PERMANENT_LOCKOUT", "USER_DISABLED_BY_TEMPORARY_LOCKOUT_ERROR"])
def test_a_lockout_is_keycloaks_own_doing(kind: str) -> None:
    assert one("keycloak", keycloak(kind)).reason == "the product itself acts, no person"


@pytest.mark.parametrize(
    ("kind", "action", "resource"),
    [
        ("RESET_PASSWORD", "idp.password.reset", "9a7e-rosa"),
        ("VERIFY_EMAIL", "idp.user.email_verify", "9a7e-rosa"),
        ("EXECUTE_ACTIONS", "idp.required_action.execute", "9a7e-rosa"),
        ("TOKEN_EXCHANGE", "idp.token.exchange", "payroll"),
        ("GRANT_CONSENT", "idp.consent.grant", "payroll"),
        ("INVITE_ORG", "idp.invite_org.event", None),
    ],
)
def test_other_events_are_deeds_of_the_person(kind: str, action: str, resource: str | None) -> None:
    event = one("keycloak", keycloak(kind))
    assert (event["subject"], event["data"]["action"]) == ("9a7e-rosa", action)
    assert event["data"]["resource"].get("id") == resource
    assert event["data"]["session"] == "kc-s1"


def test_a_name_that_was_only_typed_is_nobody() -> None:
    assert one("keycloak", keycloak("RESET_PASSWORD_ERROR", userId=None, error="user_not_found")).field == "subject"
    assert one("keycloak", keycloak("RESET_PASSWORD", userId="null"))["subject"] == "rosa"
    assert one("keycloak", keycloak("RESET_PASSWORD", {"username": None}, userId=None)).field == "subject"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "success"), ("null", "success"), ("user_exists", "failure"), ("access_denied", "denied")],
)
def test_an_admin_event_ended_as_it_says(error: str | None, outcome: str) -> None:
    event = one("keycloak", keycloak_admin("CREATE", "USER", "users/7", error=error))
    assert event["data"]["outcome"] == outcome
    assert event["id"] == f"k-2#action-{outcome}"


@pytest.mark.parametrize(
    ("operation", "thing", "path", "action", "resource"),
    [
        ("CREATE", "REALM_ROLE_MAPPING", "users/7/role-mappings/realm", "idp.role.grant", ("user", "7")),
        ("DELETE", "CLIENT_ROLE_MAPPING", "groups/g/role-mappings/clients/c", "idp.role.revoke", ("group", "g")),
        ("CREATE", "GROUP_MEMBERSHIP", "users/7/groups/g", "idp.group.member_add", ("group", "g")),
        ("UPDATE", "USER", "users/7", "idp.user.update", ("user", "7")),
        ("ACTION", "USER", "users/7/reset-password", "idp.password.reset", ("user", "7")),
        ("ACTION", "USER", "users/7/disable-credential-types", "idp.factor.reset", ("user", "7")),
        ("UPDATE", "USER", "users/7/credentials/9/userLabel", "idp.user.update", ("user", "7")),
        ("DELETE", "USER", "users/7/federated-identity/corp", "idp.user.unlink", ("user", "7")),
        ("DELETE", "USER", "users/7/something-new/9", "idp.user.something_new_delete", ("user", "7")),
        ("ACTION", "USER", "users/7/something-new", "idp.user.something_new", ("user", "7")),
        ("ACTION", "CLIENT", "clients/c/client-secret", "idp.app.credential_add", ("app", "c")),
        ("CREATE", "CLIENT_ROLE", "clients/c/roles/admin/composites", "idp.role.update", ("role", "admin")),
        ("UPDATE", "CLIENT_ROLE", "clients/c/roles/admin", "idp.role.update", ("role", "admin")),
        ("CREATE", "GROUP", "default-groups/g", "idp.group.default_add", ("group", "g")),
        ("UPDATE", "REALM", None, "idp.realm.update", ("realm", "a1b2")),
        ("UPDATE", "REALM", "events/config", "audit.log.update", ("event_log", "a1b2")),
        ("DELETE", "REALM", "admin-events", "audit.log.delete", ("event_log", "a1b2")),
        ("UPDATE", "AUTH_EXECUTION", "authentication/flows/browser/executions", "idp.policy.rule_update", None),
        ("UPDATE", "AUTH_FLOW", "authentication/flows/f", "idp.policy.update", ("policy", "f")),
        ("CREATE", "IDENTITY_PROVIDER", "identity-provider/instances/x", "idp.federation.create", None),
        ("DELETE", "USER_LOGIN_FAILURE", "attack-detection/brute-force/users/7", "idp.user.unlock", ("user", "7")),
        ("CREATE", "AUTHORIZATION_POLICY", "clients/c/authz/x", "idp.authorization_policy.create", ("app", "c")),
    ],
)
def test_an_admin_event_is_named_by_its_operation_its_resource_and_the_part_of_it(
    operation: str, thing: str, path: str | None, action: str, resource: tuple[str, str | None] | None
) -> None:
    event = one("keycloak", keycloak_admin(operation, thing, path))
    assert (event["subject"], event["data"]["action"]) == ("0b5s-boss", action)
    assert event["data"]["client"] == {"ip": "203.0.113.9"}
    assert "session" not in event["data"]
    found = event["data"]["resource"]
    assert resource is None or (found["type"], found.get("id")) == resource


def test_a_credential_that_an_administrator_removed_is_its_owners() -> None:
    for operation in ("ACTION", "DELETE"):
        deed, changed = read("keycloak", keycloak_admin(operation, "USER", "users/7/credentials/c-9"))
        assert (deed["subject"], deed["data"]["action"]) == ("0b5s-boss", "idp.factor.remove")
        assert (changed["subject"], changed["data"]) == ("7", {"credential": "c-9", "change": "revoked"})
    moved = keycloak_admin("ACTION", "USER", "users/7/credentials/c-9/moveToFirst")
    assert one("keycloak", moved)["data"]["action"] == "idp.user.credentials_movetofirst"


@pytest.mark.parametrize("time", ["...", 0, 12, True, [], "yesterday"])
def test_an_event_without_a_readable_time_is_no_event(time: Any) -> None:
    assert one("keycloak", keycloak("LOGIN", time=time)).field == "time"
    around = {"@timestamp": "2026-03-02T09:00:00Z", "message": json.dumps(keycloak("LOGIN", time=time))}
    assert one("keycloak", around).field == "time"


def test_source_and_tenant_are_the_installations() -> None:
    (event,) = Keycloak(source="/idp", tenant="acme").events(json.dumps(keycloak("LOGIN")).encode())
    assert not isinstance(event, Skip)
    assert event["source"] == "/idp"
    assert isinstance(event["data"], dict)
    assert event["data"]["tenant"] == "acme"


@pytest.mark.parametrize("name", sorted(USER_ACTIONS | ADMIN_ACTIONS))
def test_every_deed_of_the_tables_is_named_by_the_scheme(name: str) -> None:
    deed = (USER_ACTIONS | ADMIN_ACTIONS)[name]
    assert deed.action.startswith(("idp.", "audit."))
    assert len(deed.action.split(".")) == 3
    assert deed.sensitivity in (LOW, MODERATE, HIGH, CRITICAL)
