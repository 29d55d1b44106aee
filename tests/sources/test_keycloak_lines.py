"""Keycloak: one test for each shape in which an event may lie in a line."""

from __future__ import annotations

import json
import random
from datetime import timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from stepwatch.sources import Keycloak, Skip
from tests.sources.reading import one, read
from tests.sources.rows import Row, keycloak, keycloak_admin

PREFIX = "2026-03-02 09:00:00,123 INFO  [org.keycloak.events] (executor-thread-7) "
WHEN = "2026-03-02T09:00:00.123000Z"
BEFORE_22 = (
    "type=LOGIN, realmId=acme, clientId=payroll, userId=9a7e-rosa, ipAddress=203.0.113.7, auth_method=openid-connect, "
    "redirect_uri=https://app.example/cb?a=b,c=d, credential_type=otp, username='rosa of acme', code_id=kc-s1"
)
QUOTED = (
    'type="LOGIN", realmId="a1b2", realmName="acme", clientId="payroll", userId="9a7e-rosa", sessionId="kc-s1", '
    'ipAddress="203.0.113.7", auth_method="openid-connect", username="ro, type=\\"sa\\"", credential_type="otp"'
)
FLAT = {"type": "LOGIN", "realmId": "acme", "userId": "9a7e-rosa", "ipAddress": "203.0.113.7", "code_id": "kc-s1"}
FLAT |= {"credential_type": "otp"}
ADMIN = (
    "operationType=UPDATE, realmId=master, clientId=c-1, userId=0b5s-boss, ipAddress=203.0.113.9, "
    "resourceType=REALM, resourcePath=events/config"
)


def quoted(pairs: str) -> str:
    """The same event as the listener writes it since Keycloak 22."""
    return ", ".join(f'{key}="{value}"' for key, _, value in (pair.partition("=") for pair in pairs.split(", ")))


def said(row: Any) -> Row:
    """What the one event says, without its id."""
    event = one("keycloak", row.encode() if isinstance(row, str) else row)
    assert event.pop("id").startswith("sha256:")
    return event


@pytest.mark.parametrize("event", [BEFORE_22, QUOTED, "JSON_EVENT::" + json.dumps(FLAT), json.dumps(FLAT)])
def test_a_login_is_the_same_in_every_shape_of_the_servers_log(event: str) -> None:
    login = said(PREFIX + event)
    assert (login["type"], login["subject"], login["time"]) == ("stepwatch.session.started", "9a7e-rosa", WHEN)
    data = {name: login["data"][name] for name in ("session", "amr", "client")}
    assert data == {"session": "kc-s1", "amr": ["otp"], "client": {"ip": "203.0.113.7"}}
    for around in (
        {"timestamp": WHEN, "sequence": 9510, "loggerName": "org.keycloak.events", "message": event, "mdc": {}},
        {"log": PREFIX + event + "\n", "stream": "stdout", "time": WHEN},
        {"MESSAGE": "09:00:00,123 INFO " + event, "@timestamp": WHEN, "type": "syslog"},
    ):
        assert said(around) == login


def test_an_admin_event_is_the_same_in_every_shape_of_the_servers_log() -> None:
    flat = dict(pair.split("=") for pair in ADMIN.split(", "))
    shapes = [ADMIN, quoted(ADMIN), *(json.dumps(flat | {"type": name}) for name in ("AdminEvent", "ADMIN_EVENT"))]
    events = [said(PREFIX + shape) for shape in shapes]
    assert events == [events[0]] * 4
    assert (events[0]["subject"], events[0]["data"]["action"]) == ("0b5s-boss", "audit.log.update")
    rest = one("keycloak", keycloak_admin("UPDATE", "REALM", "events/config"))
    assert rest["data"].pop("resource")["id"] == "a1b2"
    # The realm in the text log may be the administrator's.
    assert "id" not in events[0]["data"].pop("resource")
    assert rest["data"] == events[0]["data"]


def test_arrays_of_events_are_read() -> None:
    assert len(read("keycloak", [keycloak("LOGIN"), keycloak("LOGOUT"), 7])) == 3
    assert read("keycloak", []) == [Skip("an envelope without a record", "json")]


def test_the_first_value_of_a_name_counts_so_a_user_name_says_nothing_else() -> None:
    hostile = "type=LOGIN_ERROR, userId=null, ipAddress=203.0.113.7, error=user_not_found, username='x, userId=boss'"
    assert one("keycloak", (PREFIX + hostile).encode()).field == "outcome"
    for name in ("x, userId=boss, type=LOGIN", "x', userId='boss', type='LOGIN"):
        event = said(PREFIX + f"type=REGISTER, userId=9a7e, ipAddress=203.0.113.7, username='{name}', code_id=c")
        assert (event["subject"], event["data"]["action"]) == ("9a7e", "idp.user.create")


QUOTED_BEGIN = 'type="LOGIN", realmId="a1b2", userId="9a7e", ipAddress="203.0.113.7", code_id="s", '
BARE_BEGIN = "type=LOGIN, realmId=acme, userId=9a7e, ipAddress=203.0.113.7, code_id=s, "
TYPED = ", credential_type={0}otp{0}, impersonator={0}boss{0}, acr={0}gold{0}, selected_credential_id={0}c-9"


@pytest.mark.parametrize("before", ["m", "m\\", "m\\\\", '\\"', ""])
def test_nobody_proves_by_a_name_with_quotes_whatever_is_behind_it(before: str) -> None:
    # As the listener writes it: every `"` escaped, no `\`.
    name = (before + '"' + TYPED.format('"')).replace('"', '\\"')
    for rest in ("", ', x="y"'):
        event = said(PREFIX + QUOTED_BEGIN + f'username="{name}"{rest}')
        assert event["subject"] == "9a7e"
        assert event["data"] == {"session": "s", "challenge": "s", "client": {"ip": "203.0.113.7"}}


def test_nobody_proves_by_a_name_in_a_log_that_escapes_nothing() -> None:
    for name in ("m'" + TYPED.format("") + ", x='y", "m" + TYPED.format('"') + '"', "m'" + TYPED.format("'") + ", x='"):
        event = said(PREFIX + BARE_BEGIN + f"username='{name}'")
        assert event["subject"] == "9a7e"
        assert event["data"] == {"session": "s", "challenge": "s", "client": {"ip": "203.0.113.7"}}
    whole = 'm, type="LOGIN", userId="boss", ipAddress="203.0.113.9", credential_type="otp", y="z"'
    assert said(PREFIX + BARE_BEGIN + f"username='{whole}'")["subject"] == "9a7e"


def test_a_factor_that_stands_before_any_quote_is_keycloaks_own_word() -> None:
    for line in (
        BARE_BEGIN + "credential_type=otp, username='ro sa'",
        BARE_BEGIN + "username=rosa, credential_type=otp",
    ):
        assert said(PREFIX + line)["data"]["amr"] == ["otp"]


def test_a_value_with_a_quote_that_keycloak_cannot_have_written_names_nobody() -> None:
    line = 'type="LOGIN", userId="9a7e", sessionId=null, ipAddress="203.0.113.7", code_id="a\\"b"'
    assert one("keycloak", (PREFIX + line).encode()) == Skip("a line that is cut off", "json")


@pytest.mark.parametrize(
    ("prefix", "time"),
    [
        ("2026-03-02 09:00:00,123 INFO ", WHEN),
        ("2026-03-02T10:00:00.123+01:00 INFO ", WHEN),
        ("2026-03-02T09:00:00.123456789Z 2026-03-02 11:00:00,123 INFO ", "2026-03-02T09:00:00.123456Z"),
        ("2026-03-02T09:00:00.123Z stdout F 11:00:00,123 INFO ", WHEN),
        ("<14>1 2026-03-02T09:00:00.123Z host kc - - - 09:00:00,123 INFO ", WHEN),
    ],
)
def test_the_time_stands_before_the_event_and_one_with_a_zone_goes_first(prefix: str, time: str) -> None:
    assert said(prefix + QUOTED)["time"] == time


@pytest.mark.parametrize(
    "prefix", ["11:36:09,965 WARN ", "Mar  2 09:00:00 host kc: ", "", "2026-02-30 09:00:00,123 INFO "]
)
def test_a_day_that_nobody_says_is_not_invented(prefix: str) -> None:
    for event in (BEFORE_22, QUOTED, json.dumps(FLAT)):
        assert one("keycloak", (prefix + event).encode()) == Skip("no readable time", "time")


def test_the_zone_of_the_server_is_the_installations() -> None:
    line = (PREFIX + QUOTED).encode()
    for zone, time in (
        (timezone(timedelta(hours=5, minutes=30)), "2026-03-02T03:30:00.123000Z"),
        (ZoneInfo("Europe/Berlin"), "2026-03-02T08:00:00.123000Z"),
    ):
        (event,) = Keycloak(zone=zone).events(line)
        assert not isinstance(event, Skip)
        assert event["time"] == time
        (event,) = Keycloak(zone=zone).events(b"2026-03-02T09:00:00.123Z " + line)
        assert not isinstance(event, Skip)
        assert event["time"] == WHEN


@pytest.mark.parametrize(
    "line",
    [
        PREFIX + "Keycloak 26.0 on JVM (powered by Quarkus) started in 4.2s",
        "\tat org.keycloak.services.resources.LoginActionsService.authenticate(LoginActionsService.java:1)",
        PREFIX + "failed to read {0}",
        PREFIX + "datasource of type=h2, url=jdbc",
        json.dumps({"timestamp": WHEN, "loggerName": "io.quarkus", "message": "started"}),
    ],
)
def test_other_lines_of_the_servers_log_are_counted(line: str) -> None:
    assert one("keycloak", line.encode()) == Skip("a line of the server log that is no event", "type")


def test_two_lines_of_one_text_are_told_apart_by_what_is_around_them() -> None:
    rows = [{"timestamp": WHEN, "sequence": number, "message": QUOTED} for number in (1, 2, 2)]
    first, second, again = (one("keycloak", row)["id"] for row in rows)
    assert first != second == again


def test_a_line_may_be_cut_off_anywhere_and_never_names_half_of_anybody() -> None:
    for event in (BEFORE_22, QUOTED, ADMIN, quoted(ADMIN), json.dumps(FLAT)):
        line = (PREFIX + event).encode()
        for end in range(1, len(line)):
            for found in read("keycloak", line[:end]):
                assert isinstance(found, Skip) or found["subject"] in ("9a7e-rosa", "0b5s-boss")
                if '="' in event and not isinstance(found, Skip):
                    assert found["data"].get("session") in (None, "kc-s1")


def test_any_byte_of_a_line_may_be_another() -> None:
    chance = random.Random(11)
    for event in (BEFORE_22, QUOTED, ADMIN, "JSON_EVENT::" + json.dumps(FLAT)):
        line = (PREFIX + event).encode()
        for _ in range(2000):
            place = chance.randrange(len(line))
            read("keycloak", line[:place] + bytes([chance.randrange(256)]) + line[place + 1 :])
        assert read("keycloak", line + b', x="' + b"y, z=" * 20_000)
