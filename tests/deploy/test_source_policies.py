"""The ready policies of each source: they ask only for what its log can say, and real rows of it meet them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stepwatch.schemas.policy import parse_duration
from stepwatch.schemas.times import MINUTE_US
from stepwatch.sources import ADAPTERS, amr
from stepwatch.sources.about import options
from stepwatch.sources.about_products import ABOUT
from stepwatch.sources.tables import actions_of
from stepwatch.streams.matching import Patterns
from stepwatch.streams.policytests import missing_tests, run_tests
from stepwatch.streams.replay import explained_replay
from stepwatch.streams.sets import load_files
from tests.sources.rows import (
    aws,
    duo_admin,
    enrolment,
    entra_audit,
    entra_sign_in,
    entra_step,
    entra_target,
    github,
    in_session,
    keycloak,
    keycloak_admin,
    of_user,
    okta,
    user,
)

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "policies" / "sources"
SOURCES = sorted(ABOUT)
OPTIONS = {name: {answer.name: answer.can for answer in options(about)} for name, about in ABOUT.items()}
WORDS_OF = {"okta": "okta", "cloudtrail": "aws", "entra": "entra", "keycloak": "keycloak", "duo": "duo"}

ELSEWHERE_NAMED = {
    # Deeds that a row's details tell further (`_refined`, `_PASS` of the adapters).
    "duo": {"idp.mfa.disable"},
    "entra": {"idp.recovery_code.create"},
}


def said_by(name: str) -> Any:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def requirements(name: str) -> list[Any]:
    return list(load_files([FOLDER / f"{name}.yaml"]).at(0).requirements.values())


def test_each_source_has_its_file_and_no_file_is_without_one() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == SOURCES
    assert [about.policy_file for about in ABOUT.values()] == [f"deploy/policies/sources/{name}.yaml" for name in ABOUT]


def test_the_tests_inside_hold_with_all_files_as_one_set() -> None:
    outcomes = list(run_tests(load_files(sorted(FOLDER.glob("*.yaml")))))
    assert [outcome for outcome in outcomes if not outcome.passed] == []


@pytest.mark.parametrize("name", SOURCES)
def test_the_tests_inside_hold_with_the_file_alone(name: str) -> None:
    sets = load_files([FOLDER / f"{name}.yaml"])
    assert [outcome for outcome in run_tests(sets) if not outcome.passed] == []
    assert [
        lacks for file in sets.sets[0].files for _, policy in file.policies for lacks in missing_tests(policy)
    ] == []


@pytest.mark.parametrize("name", SOURCES)
def test_only_what_the_source_can_say_is_asked_for(name: str) -> None:
    can = OPTIONS[name]
    for asked in requirements(name):
        assert can["amr_any"] != "never" or not asked.amr_any
        assert can["same_session"] != "never" or not asked.same_session
        assert not asked.acr_any
        assert asked.binding == "none"
        assert (asked.same_device, asked.same_ip) == (False, False)
        assert all(can[f"accept: [{kind}]"] != "never" for kind in asked.accept)


@pytest.mark.parametrize("name", sorted(WORDS_OF))
def test_every_factor_that_is_accepted_is_one_that_the_source_names(name: str) -> None:
    named = {value for word in amr.TABLE[WORDS_OF[name]].values() for value in word.amr} | {"mfa"}
    for policy in said_by(name)["policies"]:
        assert set(policy["require"]["amr_any"]) <= named


@pytest.mark.parametrize("name", SOURCES)
def test_every_action_that_is_matched_is_one_of_the_source(name: str) -> None:
    actions = {deed.action for _, deed in actions_of(name)} | ELSEWHERE_NAMED.get(name, set())
    for policy in said_by(name)["policies"]:
        for pattern in policy["match"]["action"]:
            assert any(Patterns([pattern]).matches(action) for action in actions), pattern


@pytest.mark.parametrize("name", SOURCES)
def test_only_deeds_of_the_source_itself_are_judged(name: str) -> None:
    for policy in said_by(name)["policies"]:
        assert f"source == '{ABOUT[name].source}'" in policy["match"]["when"]


@pytest.mark.parametrize("name", SOURCES)
def test_the_source_may_prove_what_it_can_and_is_not_taken_for_dead_in_a_file(name: str) -> None:
    kinds = [kind for kind in ("step_up", "login") if OPTIONS[name][f"accept: [{kind}]"] != "never"]
    assert said_by(name)["sources"] == [{"name": ABOUT[name].source, "proves": kinds}]


@pytest.mark.parametrize("name", SOURCES)
def test_the_windows_fit_how_late_the_source_is(name: str) -> None:
    usual = ABOUT[name].delay.usual
    for policy in requirements(name):
        assert policy.grace_us >= MINUTE_US
        assert not usual or policy.grace_us >= 2 * parse_duration(usual)
        assert policy.revise_within_us > 6 * policy.grace_us


ROSA_KEY = [user("00u5rosa"), enrolment("webauthn")]
LATER = "2026-03-02T09:05:00Z"
ROLE = entra_target("User", "b")
AUDITED = {"initiatedBy": {"app": None, "user": {"id": "7f-rosa"}}}
LOGGED_IN = {"factor": "push", "primary_auth_method": "Password", "ip_address": "203.0.113.7"}
BYPASS = {"isotimestamp": LATER}
MEMBER = "users/7/role-mappings/realm"
KEY_LOGIN = {"credential_type": "webauthn", "public_key_credential_id": "AbC"}
BY_ROSA = {"userId": "9a7e-rosa", "ipAddress": "203.0.113.7"}
ROWS: dict[str, tuple[Any, Any]] = {
    "okta": (
        okta("user.authentication.auth_via_mfa", target=ROSA_KEY),
        okta("user.account.privilege.grant", uuid="u-2", published=LATER, target=[user("00u2")]),
    ),
    "cloudtrail": (
        aws("s3", "ListBuckets", userIdentity=of_user("true", "2026-03-02T09:00:00Z"), eventTime=LATER),
        aws(
            "iam",
            "AttachUserPolicy",
            eventID="e2",
            userIdentity=of_user("false", "2026-03-02T09:00:00Z"),
            eventTime=LATER,
            requestParameters={"userName": "b"},
        ),
    ),
    "entra": (
        entra_sign_in(entra_step("Password"), entra_step("FIDO2 security key")),
        entra_audit("Add member to role", ROLE, activityDateTime="2026-03-02T09:10:00Z", **AUDITED),
    ),
    "keycloak": (
        keycloak("LOGIN", KEY_LOGIN),
        keycloak_admin("CREATE", "REALM_ROLE_MAPPING", MEMBER, authDetails=BY_ROSA, time=1772442300123),
    ),
    "github": (
        github("user.two_factor_challenge_success", user="rosa"),
        github("org.update_member", _document_id="g2", created_at=1772442300123, permission="admin", user="bob"),
    ),
    "duo": (duo_admin("admin_login", LOGGED_IN), duo_admin("bypass_create", **BYPASS)),
}
"""Of each source a row that proves, and a deed of the same person a few minutes later."""


def judged(name: str, *rows: Any) -> dict[str, tuple[str, str]]:
    """Verdict and policy of each action in rows of a source."""
    lines = [json.dumps(event).encode() for row in rows for event in ADAPTERS[name].events(json.dumps(row).encode())]
    found = explained_replay(lines, load_files([FOLDER / f"{name}.yaml"]))
    verdicts = [explained.row for explained in found if explained.row["kind"] == "verdict"]
    return {row["policy"]: (row["verdict"], row["reason"]) for row in verdicts if row["policy"]}


@pytest.mark.parametrize("name", SOURCES)
def test_a_deed_of_the_log_without_a_proof_fires(name: str) -> None:
    (verdict,) = judged(name, ROWS[name][1]).values()
    assert verdict == ("unverified", "no_step_up")


@pytest.mark.parametrize("name", SOURCES)
def test_a_deed_of_the_log_after_a_proof_of_the_log_stays_silent(name: str) -> None:
    (verdict,) = judged(name, *ROWS[name]).values()
    assert verdict[0] == "verified"


def test_a_deed_in_a_role_is_covered_by_the_code_that_the_role_was_taken_with_and_by_no_switch() -> None:
    role = in_session("true", "2026-03-02T09:00:00Z")
    deed = aws("iam", "AttachUserPolicy", eventID="e2", userIdentity=role, eventTime=LATER)
    taken = {"responseElements": {"assumedRoleUser": {"arn": role["arn"]}}}
    switched = aws("sts", "AssumeRole", **taken)
    by_code = aws("sts", "AssumeRole", requestParameters={"serialNumber": "S1"}, **taken)
    assert judged("cloudtrail", switched, deed) == {"aws-rights": ("unverified", "no_step_up")}
    assert judged("cloudtrail", by_code, deed) == {"aws-rights": ("verified", "login")}


def test_a_secret_added_to_a_client_of_oktas_api_asks_for_a_proof() -> None:
    deed = okta("app.oauth2.credentials.lifecycle.create", uuid="u-2", published=LATER)
    assert judged("okta", deed) == {"okta-rights": ("unverified", "no_step_up")}
    assert judged("okta", ROWS["okta"][0], deed) == {"okta-rights": ("verified", "step_up")}
