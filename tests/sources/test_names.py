"""Who is who by the rows themselves: each product's other names, and what is no name of a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwatch.sources import ADAPTERS
from stepwatch.sources.names import READERS, names
from tests.sources.reading import lines_of, shared
from tests.sources.rows import (
    ROLE_ARN,
    USER_ARN,
    aws,
    duo,
    duo_activity,
    duo_admin,
    entra_audit,
    entra_sign_in,
    entra_target,
    github,
    in_session,
    keycloak,
    keycloak_admin,
    okta,
    user,
)

Said = list[tuple[str, str]]
MAIL = "rosa@corp.example"
OKTA = okta("user.session.start")
ROLE = aws("iam", "X", userIdentity=in_session("true"))
ROOT = {"type": "Root", "accountId": "1", "arn": "arn:aws:iam::1:root"}
SYSTEM = {"id": "s", "type": "SystemPrincipal", "alternateId": "system@okta.com"}
APP_USER = {"type": "AppUser", "id": "1", "alternateId": "2"}
MONITOR = {"records": [{"category": "SignInLogs", "properties": entra_sign_in()}]}
NAMEID = {"external_identity_nameid": MAIL}
BOSS = ("0b-boss", "boss@corp.example")


def said(source: str, row: Any) -> Said:
    """(who, another name) of every pair in a row."""
    line = row if isinstance(row, bytes) else json.dumps(row).encode()
    return [(found.who.name, other.name) for found in names(source, line) for other in found.others]


NAMED: list[tuple[str, str, Any, Said]] = [
    ("okta", "an actor's id and login", OKTA, [("00u5rosa", MAIL)]),
    (
        "okta",
        "a user that something was done to",
        okta("user.mfa.factor.activate", target=[user("00u9bob")]),
        [("00u5rosa", MAIL), ("00u9bob", "00u9bob@corp.example")],
    ),
    ("okta", "rows in an array", [OKTA, OKTA], [("00u5rosa", MAIL)] * 2),
    ("okta", "an event hook", {"data": {"events": [OKTA]}}, [("00u5rosa", MAIL)]),
    ("cloudtrail", "the name of a role's session", ROLE, [(ROLE_ARN, MAIL)]),
    ("cloudtrail", "an IAM user's", aws("iam", "X"), [(USER_ARN, "rosa")]),
    (
        "cloudtrail",
        "whom a role acts for",
        aws("iam", "X", userIdentity=in_session("true", onBehalfOf={"userId": "9067-rosa"})),
        [(ROLE_ARN, MAIL), (ROLE_ARN, "9067-rosa")],
    ),
    ("cloudtrail", "a file", {"Records": [aws("iam", "X")]}, [(USER_ARN, "rosa")]),
    (
        "cloudtrail",
        "LookupEvents",
        {"Events": [{"CloudTrailEvent": json.dumps(aws("iam", "X"))}]},
        [(USER_ARN, "rosa")],
    ),
    ("entra", "a sign-in", entra_sign_in(), [("7f-rosa", MAIL)]),
    ("entra", "Azure Monitor", MONITOR, [("7f-rosa", MAIL)]),
    (
        "entra",
        "an audited deed and whom it was done to",
        entra_audit("Reset password", entra_target("User", "7f-rosa", userPrincipalName=MAIL)),
        [BOSS, ("7f-rosa", MAIL)],
    ),
    ("keycloak", "a login", keycloak("LOGIN", {"email": MAIL}), [("9a7e-rosa", "rosa"), ("9a7e-rosa", MAIL)]),
    ("github", "the identity at the provider", github("repo.create", **NAMEID), [("rosa", MAIL)]),
    ("github", "a syslog line", b"<1> github_audit: " + json.dumps(github("x.y", **NAMEID)).encode(), [("rosa", MAIL)]),
    ("duo", "an authentication", duo("Duo Push", "user_approved"), [("rosa", MAIL)]),
]  # fmt: skip

UNNAMED: list[tuple[str, str, Any]] = [
    ("okta", "Okta itself", okta("x.y", actor=SYSTEM)),
    ("okta", "Okta itself, of no type", okta("x.y", actor=SYSTEM | {"type": None})),
    ("okta", "a client app", okta("x.y", actor={"id": "0oa", "type": "PublicClientApp", "alternateId": "app@corp"})),
    ("okta", "a target that is an app's user", okta("x.y", actor=None, target=[APP_USER])),
    ("okta", "a login that is not known", okta("x.y", actor={"id": "00u", "type": "User", "alternateId": "unknown"})),
    ("cloudtrail", "a service", aws("iam", "X", userIdentity={"type": "AWSService", "invokedBy": "x.amazonaws.com"})),
    ("cloudtrail", "root", aws("iam", "X", userIdentity=ROOT)),
    ("entra", "a service principal", entra_sign_in(userId="", userPrincipalName="")),
    ("keycloak", "a login that failed: somebody typed that", keycloak("LOGIN_ERROR", error="user_not_found")),
    ("keycloak", "an impersonation: two people in one row", keycloak("IMPERSONATE", {"impersonator": "boss"})),
    ("keycloak", "an admin event without names", keycloak_admin("CREATE", "USER", "users/1")),
    ("github", "a row about somebody else than the actor", github("org.add_member", user="bob", **NAMEID)),
    ("github", "the deed is about an identity", github("external_identity.deprovision", **NAMEID)),
    ("github", "a bot", github("x.y", actor_is_bot=True, **NAMEID)),
    ("duo", "an administrator's log", duo_admin("admin_login")),
    ("duo", "an activity", duo_activity("x")),
    *((source, "a blank line", b"  ") for source in READERS),
    *((source, "no JSON", b"{") for source in READERS),
]  # fmt: skip


@pytest.mark.parametrize(("source", "row", "wanted"), [pytest.param(s, r, w, id=f"{s}, {n}") for s, n, r, w in NAMED])
def test_a_row_that_names_somebody_twice_says_who_is_who(source: str, row: Any, wanted: Said) -> None:
    assert said(source, row) == wanted


@pytest.mark.parametrize(("source", "row"), [pytest.param(s, r, id=f"{s}, {n}") for s, n, r in UNNAMED])
def test_a_row_that_names_no_person_twice_says_nothing(source: str, row: Any) -> None:
    assert said(source, row) == []


def test_each_name_says_from_which_field_it_came() -> None:
    (found,) = names("okta", json.dumps(OKTA).encode())
    assert (found.who.field, found.others[0].field) == ("actor.id", "actor.alternateId")


def test_a_roles_session_is_one_of_many_of_its_person_and_a_profile_is_the_only_one() -> None:
    rows = {"cloudtrail": ROLE, "okta": OKTA}
    assert {source: names(source, json.dumps(row).encode())[0].own for source, row in rows.items()} == {
        "cloudtrail": False,
        "okta": True,
    }


def test_a_source_without_a_reader_names_nobody() -> None:
    assert names("stepwatch", json.dumps(OKTA).encode()) == []


@pytest.mark.parametrize(("source", "row"), [pytest.param(s, r, id=f"{s}, {n}") for s, n, r, _ in NAMED])
def test_somebody_named_is_a_subject_of_the_rows_events_or_whom_they_were_done_to(source: str, row: Any) -> None:
    line = row if isinstance(row, bytes) else json.dumps(row).encode()
    subjects = {event["subject"] for event in ADAPTERS[source].events(line) if isinstance(event, dict)}
    assert not subjects or subjects & {found.who.name for found in names(source, line)}


@settings(max_examples=100, deadline=None)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
            *("actor", "id", "type", "alternateId", "target", "eventType", "userIdentity", "arn", "principalId"),
            *("userId", "userPrincipalName", "initiatedBy", "user", "properties", "details", "username", "email"),
            *("authDetails", "Records", "CloudTrailEvent", "txid", "factor", "name", "onBehalfOf", "targetResources"),
        ]), inner, max_size=4),
        max_leaves=12,
    )
)  # fmt: skip
def test_any_json_is_read_without_an_exception(value: Any) -> None:
    line = json.dumps(value).encode()
    for source in READERS:
        for found in names(source, line):
            assert found.who.name
            assert all(other.name not in ("", found.who.name) for other in found.others)


FOLDERS = {"okta": "okta", "aws_cloudtrail": "cloudtrail", "entra_id": "entra", "keycloak": "keycloak", "duo": "duo"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_real_file_is_read_and_the_people_in_it_are_named(folder: str) -> None:
    paths: list[Path] = [path for path in sorted(shared("data", folder).iterdir()) if path.suffix in (".jsonl", ".log")]
    assert any(names(FOLDERS[folder], line) for path in paths for line in lines_of(path))
