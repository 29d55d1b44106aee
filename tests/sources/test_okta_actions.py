"""Okta System Log: which deed an event type is, what is none, and how it ended."""

from __future__ import annotations

import pytest

from stepwatch.sources.actions import CRITICAL, HIGH, LOW, MODERATE
from stepwatch.sources.okta_actions import ACTIONS
from tests.sources.reading import one
from tests.sources.rows import okta, user


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ("SUCCESS", "success"),
        ("ALLOW", "success"),
        ("FAILURE", "failure"),
        ("DENY", "denied"),
        ("CHALLENGE", "failure"),
        ("SKIPPED", "failure"),
        ("UNKNOWN", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_action_ended_as_the_row_says(result: str | None, outcome: str) -> None:
    event = one("okta", okta("user.account.privilege.grant", result, target=[user("00u9bob")]))
    assert event["data"]["outcome"] == outcome
    assert event["data"]["action"] == "idp.role.grant"
    assert event["id"] == f"u-1#action-{outcome}"


def test_an_event_type_that_no_table_has_gets_a_name_of_its_own() -> None:
    event = one("okta", okta("pam.secret.reveal", target=[{"type": "PamSecret", "id": "s1"}]))
    assert event["data"]["action"] == "idp.pam.secret.reveal"
    assert event["data"]["resource"] == {"type": "pam_secret", "id": "s1", "sensitivity": "moderate"}


@pytest.mark.parametrize(
    "kind",
    [
        *("system.email.new_device_notification.sent_message", "security.threat.detected", "user.account.lock"),
        *("policy.entity_risk.evaluate", "user.session.context.change", "access.request.expire"),
    ],
)
def test_a_notice_is_no_deed(kind: str) -> None:
    assert one("okta", okta(kind)).field == "type"
    assert one("okta", okta("application.integration.rate_limit_exceeded")).field == "type"


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("security.threat.configuration.update", "idp.threat_detection.update"),
        ("system.email.template.update", "idp.email_template.update"),
        ("iam.role.permissions.add", "idp.role.update"),
        ("workflows.user.role.user.add", "idp.role.grant"),
        ("user.authentication.universal_logout", "idp.session.revoke"),
    ],
)
def test_what_is_set_in_a_family_of_notices_is_a_deed(kind: str, action: str) -> None:
    event = one("okta", okta(kind, target=[user("00u9bob")]))
    assert event["data"]["action"] == action
    assert event["data"]["resource"]["sensitivity"] != LOW


@pytest.mark.parametrize(
    ("kind", "action", "sensitivity"),
    [
        ("app.oauth2.client.privilege.grant", "idp.role.grant", CRITICAL),
        ("app.oauth2.client.privilege.revoke", "idp.role.revoke", HIGH),
        ("app.oauth2.credentials.lifecycle.create", "idp.app.credential_add", CRITICAL),
        ("app.oauth2.credentials.lifecycle.activate", "idp.app.credential_add", CRITICAL),
        ("app.oauth2.client.read_client_secret", "secrets.secret.read", HIGH),
        ("app.oauth2.client.lifecycle.create", "idp.app.create", MODERATE),
        ("app.oauth2.client.lifecycle.delete", "idp.app.delete", HIGH),
        ("app.oauth2.as.consent.grant", "idp.consent.grant", MODERATE),
        ("group.profile.update", "idp.group.update", MODERATE),
        ("group.application_assignment.add", "idp.app.assign", MODERATE),
        ("app.oauth2.something.new", "idp.app.oauth2.something.new", HIGH),
    ],
)
def test_what_is_done_to_clients_of_the_api_has_the_name_that_it_has_elsewhere(
    kind: str, action: str, sensitivity: str
) -> None:
    data = one("okta", okta(kind))["data"]
    assert (data["action"], data["resource"]["sensitivity"]) == (action, sensitivity)


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_every_deed_of_the_table_is_named_by_the_scheme(name: str) -> None:
    deed = ACTIONS[name]
    assert deed.action.startswith(("idp.", "audit.", "secrets."))
    assert len(deed.action.split(".")) >= 3
    assert deed.sensitivity in (LOW, MODERATE, HIGH, CRITICAL)
