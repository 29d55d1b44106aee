"""Users may add to the tables of actions; what could not count is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwatch.sources import Skip, tables
from stepwatch.sources.actions import Deed
from stepwatch.sources.extra_actions import install, parse_extra
from tests.sources.reading import one
from tests.sources.rows import aws, duo_admin, entra_audit, entra_target, github, keycloak, keycloak_admin, okta, user

SOURCES = sorted(tables.PLACES)
NEW = {"action": "idp.thing.do", "resource": "thing", "sensitivity": "critical"}


@pytest.fixture(autouse=True)
def tables_as_they_were() -> Iterator[None]:
    """What a test puts into the tables is taken out again."""
    kept = [(source, table, dict(table)) for source in tables.PLACES for table in tables.tables_of(source)]
    yield
    for source, table, before in kept:
        table.clear()
        table.update(before)
        name, deed = next(iter(before.items()))
        tables.put(source, name, deed)


def put(source: str, event: str, **members: Any) -> None:
    """Let an entry count, as a file with it alone would."""
    extra, complaints = parse_extra({source: {event: members}})
    assert complaints == []
    assert install(extra) == []


ROWS: list[tuple[str, str, Any]] = [
    ("okta", "workflows.flow.run", okta("workflows.flow.run")),
    ("cloudtrail", "bedrock.InvokeModel", aws("bedrock", "InvokeModel")),
    ("entra", "Frobnicate directory", entra_audit("Frobnicate directory", entra_target("Directory", "t"))),
    ("keycloak", "MY_EVENT", keycloak("MY_EVENT")),
    ("keycloak", "CREATE.MY_THING", keycloak_admin("CREATE", "MY_THING", "things/7")),
    ("keycloak", "ACTION.USER.my-part", keycloak_admin("ACTION", "USER", "users/7/my-part")),
    ("keycloak", "ACTION.REALM.my/path", keycloak_admin("ACTION", "REALM", "my/path")),
    ("github", "my_app.install", github("my_app.install")),
    ("duo", "my_admin_event", duo_admin("my_admin_event")),
]


@pytest.mark.parametrize(("source", "event", "row"), ROWS)
def test_an_event_that_no_table_has_becomes_the_action_that_was_given(source: str, event: str, row: Any) -> None:
    before = one(source, row)["data"]
    put(source, event, **NEW)
    after = one(source, row)["data"]
    assert before["action"] != "idp.thing.do"
    assert (after["action"], after["resource"]["type"]) == ("idp.thing.do", "thing")
    assert after["resource"]["sensitivity"] == "critical"


def test_of_an_event_that_a_table_has_only_what_is_given_changes() -> None:
    row = okta("user.account.unlock", target=[user("bob")])
    put("okta", "user.account.unlock", sensitivity="critical")
    assert one("okta", row)["data"]["action"] == "idp.user.unlock"
    assert one("okta", row)["data"]["resource"] == {"type": "user", "id": "bob", "sensitivity": "critical"}


def test_where_the_resource_is_named_can_be_given() -> None:
    put("cloudtrail", "bedrock.InvokeModel", **NEW, where=["modelId"])
    found = one("cloudtrail", aws("bedrock", "InvokeModel", requestParameters={"modelId": "m-1"}))
    assert found["data"]["resource"]["id"] == "m-1"


def test_an_event_that_is_else_counted_as_a_notice_can_become_an_action() -> None:
    kind = "system.email.new_device_notification.sent_message"
    assert isinstance(one("okta", okta(kind)), Skip)
    put("okta", kind, **NEW)
    assert one("okta", okta(kind))["data"]["action"] == "idp.thing.do"


@pytest.mark.parametrize(
    ("source", "event"),
    [
        ("okta", "user.session.start"),
        ("okta", "user.authentication.auth_via_mfa"),
        ("cloudtrail", "signin.ConsoleLogin"),
        ("entra", "User reviewed security info"),
        ("keycloak", "LOGIN"),
        ("keycloak", "REFRESH_TOKEN"),
        ("github", "user.login"),
        ("github", "user.failed_login"),
        ("duo", "admin_login"),
    ],
)
def test_a_login_a_proof_or_a_notice_cannot_become_an_action(source: str, event: str) -> None:
    extra, complaints = parse_extra({source: {event: NEW}})
    assert complaints == []
    (complaint,) = install(extra)
    assert complaint.path[0] == source
    assert complaint.message.startswith("cannot become an action: it is ")


@pytest.mark.parametrize(
    ("said", "path", "words"),
    [
        (None, (), "expected a mapping of sources"),
        ([], (), "expected a mapping of sources"),
        ({"okto": {}}, ("okto",), "no such source"),
        ({"okta": []}, ("okta",), "expected a mapping of event names"),
        ({"okta": {"x.y": "high"}}, ("okta", "x.y"), "expected a mapping with action"),
        ({"okta": {"x.y": {"sensitivity": "high"}}}, ("okta", "x.y"), "`action` is required"),
        ({"okta": {"x.y": {"action": "a.b"}}}, ("okta", "x.y"), "`sensitivity` is required"),
        ({"okta": {"x.y": NEW | {"action": "Do It"}}}, ("okta", "x.y", "action"), "expected `area.thing.verb`"),
        ({"okta": {"x.y": NEW | {"action": 7}}}, ("okta", "x.y", "action"), "expected `area.thing.verb`"),
        ({"okta": {"x.y": NEW | {"sensitivity": "High"}}}, ("okta", "x.y", "sensitivity"), "expected one of low"),
        ({"okta": {"x.y": NEW | {"sensitivity": []}}}, ("okta", "x.y", "sensitivity"), "expected one of low"),
        ({"okta": {"x.y": NEW | {"resource": "A B"}}}, ("okta", "x.y", "resource"), "expected a word"),
        ({"okta": {"x.y": NEW | {"where": "User"}}}, ("okta", "x.y", "where"), "expected a list of texts"),
        ({"okta": {"x.y": NEW | {"sensitiv": "high"}}}, ("okta", "x.y", "sensitiv"), "unknown key"),
    ],
)
def test_a_wrong_entry_is_named_by_its_path(said: Any, path: tuple[str, ...], words: str) -> None:
    extra, (complaint,) = parse_extra(said)
    assert complaint.path == path
    assert complaint.message.startswith(words)
    assert not any(extra.values())


def test_what_is_whole_beside_a_wrong_entry_is_still_read() -> None:
    extra, complaints = parse_extra({"okta": {"x.y": NEW, "x.z": {}}})
    assert extra == {"okta": {"x.y": Deed("idp.thing.do", "thing", "critical")}}
    assert [complaint.path for complaint in complaints] == [("okta", "x.z"), ("okta", "x.z")]


@pytest.mark.parametrize("source", SOURCES)
def test_every_entry_of_our_own_tables_could_have_been_given_by_a_user(source: str) -> None:
    for table in tables.tables_of(source):
        refused = [complaint.path[1] for complaint in install({source: dict(table)})]
        # An impersonation is one by its details alone, whatever a table says.
        assert refused == (["IMPERSONATE"] if "IMPERSONATE" in table else [])


members = st.dictionaries(
    st.sampled_from(["action", "resource", "sensitivity", "where", "x"]),
    st.sampled_from(["a.b", "thing", "high", "", 7, None, [], ["User"], [1], {}]),
)


@given(st.dictionaries(st.sampled_from(SOURCES), st.dictionaries(st.text(max_size=20), members) | st.integers()))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_says_there_is_an_answer(said: Any) -> None:
    extra, complaints = parse_extra(said)
    assert complaints or said
    assert all(complaint.message for complaint in (*complaints, *install(extra)))
