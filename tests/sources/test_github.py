"""GitHub audit log: one test for each rule of the adapter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.sources import GitHub, Skip
from stepwatch.sources.actions import CRITICAL, HIGH, LOW, MODERATE
from stepwatch.sources.github_actions import ACTIONS, derive
from tests.sources.reading import one, read
from tests.sources.rows import github


def syslog(row: dict[str, Any]) -> str:
    return f"<190>Mar  2 09:00:00 ghes-1 github_audit: {json.dumps(row)}"


def test_a_record_is_an_action_of_the_login_that_acted() -> None:
    event = one("github", github("repo.destroy", repo="corp/app"))
    assert event["type"] == "stepwatch.action.performed"
    assert event["id"] == "gAbc1#action-success"
    assert event["subject"] == "rosa"
    assert event["time"] == "2026-03-02T09:00:00.123000Z"
    assert event["data"] == {
        "client": {"ip": "203.0.113.7", "user_agent": "Mozilla/5.0 Firefox/140.0", "country": "FR"},
        "action": "code.repository.delete",
        "outcome": "success",
        "resource": {"type": "repository", "id": "corp/app", "sensitivity": "high"},
    }


def test_the_name_in_the_identity_provider_does_not_split_the_person() -> None:
    assert one("github", github("repo.create", external_identity_nameid="rosa@corp.example"))["subject"] == "rosa"


@pytest.mark.parametrize("actor", [None, "", "ghost", "deploy_key", "unknown", 7.5, [], {"login": "x"}])
def test_nobody_named_is_no_event(actor: Any) -> None:
    assert one("github", github("git.push", actor=actor, actor_id="0")).field == "subject"


def test_without_a_login_the_number_names_the_account() -> None:
    assert one("github", github("git.push", actor=""))["subject"] == "41"


def test_github_itself_is_no_person() -> None:
    assert one("github", github("org.remove_member", actor="github")) == Skip(
        "the product itself acts, no person", "subject"
    )


@pytest.mark.parametrize(
    "machine",
    [
        {"actor": "github-actions[bot]"},
        {"actor": "ci", "actor_is_bot": True},
        {"actor": "agent", "actor_is_agent": True},
        {"actor": "app", "programmatic_access_type": "GitHub App server-to-server token"},
    ],
)
def test_a_machine_acts_under_its_own_name_and_proves_nothing(machine: dict[str, Any]) -> None:
    assert one("github", github("git.push", **machine))["subject"] == machine["actor"]
    for kind in ("user.login", "user.two_factor_challenge_success"):
        assert one("github", github(kind, user="rosa", **machine)).field == "subject"


def test_a_persons_token_acts_as_the_person() -> None:
    row = github("git.clone", programmatic_access_type="Personal access token (classic)", token_id=5)
    event = one("github", row)
    assert event["subject"] == "rosa"
    assert "token" not in event["data"]
    assert "session" not in event["data"]


def test_the_agent_of_githubs_own_runners_is_not_the_clients() -> None:
    row = github("workflows.created_workflow_run", user_agent="launch/production", actor_ip=None, actor_location=None)
    assert "client" not in one("github", row)["data"]


@pytest.mark.parametrize(
    ("kind", "became"),
    [
        ("user.login", "session.started"),
        ("user.two_factor_requested", "stepup.challenged"),
        ("two_factor_authentication.sign_in_fallback_sms", "stepup.challenged"),
        ("user.two_factor_challenge_success", "stepup.verified"),
        ("user.two_factor_challenge_failure", "stepup.failed"),
        ("user.two_factor_recover", "stepup.bypassed"),
    ],
)
def test_what_the_security_log_says_of_proofs_is_said_without_a_factor(kind: str, became: str) -> None:
    event = one("github", github(kind, user="rosa"))
    assert event["type"] == f"stepwatch.{became}"
    assert event["subject"] == "rosa"
    assert not {"amr", "credential", "challenge", "failure"} & set(event["data"])


@pytest.mark.parametrize("kind", ["user.failed_login", "org.sso_response", "business.sso_response"])
def test_a_login_that_failed_or_of_which_the_end_is_not_said_is_no_event(kind: str) -> None:
    assert one("github", github(kind)).field == "outcome"


def test_a_sign_in_row_without_an_actor_is_of_the_account_that_it_names() -> None:
    assert one("github", github("user.two_factor_requested", actor=None, actor_id=None, user="bob"))["subject"] == "bob"


def test_a_logout_revokes_the_session_that_it_names_and_never_all() -> None:
    event = one("github", github("user.logout", data={"actor_session": 9}))
    assert (event["type"], event["data"]["session"]) == ("stepwatch.session.revoked", "9")
    assert one("github", github("user.logout")).field == "session"


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("two_factor_authentication.disabled", "idp.factor.remove"),
        ("security_key.register", "idp.factor.enroll"),
        ("two_factor_authentication.recovery_codes_regenerated", "idp.recovery_code.create"),
    ],
)
def test_a_change_of_factors_is_a_deed_and_names_no_credential(kind: str, action: str) -> None:
    event = one("github", github(kind, user="rosa"))
    assert event["data"]["action"] == action
    assert event["data"]["resource"] == {"type": "user", "id": "rosa", "sensitivity": "high"}


def test_a_members_token_let_in_by_an_owner_is_an_approval() -> None:
    action, approval = read("github", github("personal_access_token.access_granted", user="bob"))
    assert (action["subject"], action["data"]["action"]) == ("rosa", "idp.api_token.approve")
    assert (approval["type"], approval["subject"]) == ("stepwatch.approval.granted", "bob")
    assert approval["data"] == {"approver": "rosa"}
    _, revoked = read("github", github("personal_access_token.access_revoked", user="bob"))
    assert (revoked["type"], revoked["subject"]) == ("stepwatch.approval.revoked", "bob")
    assert len({action["id"], approval["id"], revoked["id"]}) == 3


@pytest.mark.parametrize("user", ["rosa", None, "ghost"])
def test_a_token_granted_to_its_own_owner_or_to_nobody_named_was_approved_by_nobody(user: str | None) -> None:
    assert one("github", github("personal_access_token.access_granted", user=user))["type"].endswith("performed")


@pytest.mark.parametrize(
    ("row", "action", "sensitivity"),
    [
        (github("org.update_member", user="bob", permission="admin"), "idp.role.grant", "critical"),
        (github("org.update_member", user="bob", permission="read"), "idp.role.revoke", "high"),
        (github("org.update_member", user="bob"), "idp.role.grant", "critical"),
        (github("repo.create", visibility="public"), "code.repository.create", "high"),
        (github("repo.create", visibility="private"), "code.repository.create", "moderate"),
        (github("repo.access", visibility="public"), "code.repository.visibility_update", "critical"),
        (github("repo.access", visibility="private"), "code.repository.visibility_update", "moderate"),
        (github("repo.access"), "code.repository.visibility_update", "critical"),
        (github("repository_ruleset.update", ruleset_enforcement="disabled"), "code.ruleset.update", "critical"),
        (github("repository_ruleset.update", ruleset_enforcement="enabled"), "code.ruleset.update", "high"),
    ],
)
def test_the_record_tells_which_role_for_whose_eyes_on_or_off(
    row: dict[str, Any], action: str, sensitivity: str
) -> None:
    data = one("github", row)["data"]
    assert (data["action"], data["resource"]["sensitivity"]) == (action, sensitivity)


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (github("protected_branch.rejected_ref_update"), "denied"),
        (github("public_key.verification_failure"), "failure"),
        (github("api.request", status_code=200), "success"),
        (github("api.request", status_code=403), "denied"),
        (github("api.request", status_code=500), "failure"),
        (github("repo.create"), "success"),
    ],
)
def test_a_record_is_of_a_deed_that_happened_unless_it_says_otherwise(row: dict[str, Any], outcome: str) -> None:
    event = one("github", row)
    assert event["data"]["outcome"] == outcome
    assert event["id"] == f"gAbc1#action-{outcome}"


@pytest.mark.parametrize(
    "kind",
    [
        "workflows.completed_workflow_run",
        "secret_scanning_alert.create",
        "user.sign_in_from_unrecognized_device",
    ],
)
def test_a_notice_and_a_second_row_are_no_deed(kind: str) -> None:
    assert one("github", github(kind)).field == "type"


def test_the_one_of_a_list_is_named_and_several_are_not() -> None:
    assert one("github", github("hook.create", hook_id=[7]))["data"]["resource"]["id"] == "7"
    assert "id" not in one("github", github("org.disable_saml", org=["a", "b"]))["data"]["resource"]


@pytest.mark.parametrize("what", ["dismiss_stale_reviews", "update_admin_enforced", "a_setting_of_tomorrow"])
def test_whatever_is_changed_about_a_protected_branch_is_an_update_of_its_protection(what: str) -> None:
    data = one("github", github(f"protected_branch.{what}", repo="corp/a"))["data"]
    assert data["action"] == "code.branch_protection.update"
    assert data["resource"] == {"type": "repository", "id": "corp/a", "sensitivity": "high"}


def test_an_event_that_no_table_has_gets_a_name_of_its_own() -> None:
    assert one("github", github("moon.landing"))["data"]["action"] == "github.moon.landing"
    assert one("github", github("...")).field == "type"
    for name, sensitivity in (
        ("org.anything_new", HIGH),
        ("issue_comment.update", LOW),
        ("repo.odd", MODERATE),
        ("secret_scanning_new_thing.enable", MODERATE),
        ("secret_scanning_new_thing.disable", HIGH),
    ):
        deed = derive(name)
        assert deed is not None
        assert deed.sensitivity == sensitivity, name


@pytest.mark.parametrize(
    "times",
    [
        {"created_at": "2026-03-02 09:00:00.123", "@timestamp": None, "at_sign_timestamp": "2026-03-02 09:00:00.123"},
        {"created_at": None, "@timestamp": 1772442000123},
        {"created_at": None, "@timestamp": None, "at_sign_timestamp": "2026-03-02 09:00:00.123000000"},
        {"created_at": 1772442000123.0},
    ],
)
def test_the_time_is_read_wherever_it_stands(times: dict[str, Any]) -> None:
    assert one("github", github("repo.create", **times))["time"] == "2026-03-02T09:00:00.123000Z"


@pytest.mark.parametrize("created", ["2024-12-17 00:00:00000000", 123, "..."])
def test_a_row_without_a_readable_time_is_no_event(created: Any) -> None:
    assert one("github", github("repo.create", created_at=created)).field == "time"


def test_a_syslog_line_of_enterprise_server_holds_the_record_behind_its_prefix() -> None:
    more = {"_document_id": "d1", "actor_session": 77, "team": "corp/t"}
    row = github("team.add_member", _document_id=None, data=more)
    (bare,) = read("github", syslog(row).encode())
    assert bare["id"] == "d1#action-success"
    assert bare["data"]["session"] == "77"
    assert bare["data"]["resource"]["id"] == "corp/t"
    shipped = {"@timestamp": "...", "host": "10.1.1.1", "message": syslog(row), "program": "github_audit"}
    assert one("github", shipped) == bare
    assert one("github", {"message": row}) == bare
    for name in ("message", "log", "Message"):
        assert one("github", {name: json.dumps(row)}) == bare
    assert one("github", {"log": syslog(row) + "\n"}) == bare


@pytest.mark.parametrize("message", ["<190>Mar 2 ghes sshd: {}", "<190>Mar 2 ghes github_audit: {", "github_audit: x"])
def test_a_syslog_line_without_a_record_is_counted(message: str) -> None:
    assert isinstance(one("github", message.encode()), Skip)
    assert isinstance(one("github", {"message": message}), Skip)


def test_an_answer_of_the_api_is_a_list_of_records() -> None:
    rows = [github("repo.create"), github("repo.destroy", _document_id="gAbc2")]
    assert read("github", rows) == [one("github", row) for row in rows]
    assert read("github", []) == [Skip("an envelope without a record", "json")]


@pytest.mark.parametrize("document", [None, "", "...", "0000000000000000000000"])
def test_a_record_without_an_id_has_the_same_id_each_time(document: str | None) -> None:
    row = github("repo.create", _document_id=document)
    assert one("github", row)["id"] == one("github", dict(reversed(row.items())))["id"]
    assert one("github", row)["id"].startswith("sha256:")


def test_source_and_tenant_are_the_installations() -> None:
    (event,) = GitHub(source="/ghes", tenant="acme").events(json.dumps(github("repo.create")).encode())
    assert not isinstance(event, Skip)
    assert event["source"] == "/ghes"
    assert isinstance(event["data"], dict)
    assert event["data"]["tenant"] == "acme"


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_every_deed_of_the_table_is_named_by_the_scheme(name: str) -> None:
    deed = ACTIONS[name]
    assert deed.action.startswith(("idp.", "iam.", "code.", "secrets.", "audit."))
    assert len(deed.action.split(".")) == 3
    assert deed.sensitivity in (LOW, MODERATE, HIGH, CRITICAL)
    assert deed.where
