"""Duo: one test for each rule of the adapter on proofs, whoever is named, and envelopes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.sources import Duo, Skip
from tests.sources.reading import one, read
from tests.sources.rows import duo, duo_activity, duo_admin


def test_an_approved_push_is_a_proof_of_the_person_with_the_transaction_as_challenge() -> None:
    event = one("duo", duo("duo_push", "user_approved"))
    assert event["type"] == "stepwatch.stepup.verified"
    assert event["id"] == "tx-1@2026-03-02T09:00:00.123456Z#verified"
    assert event["subject"] == "rosa"
    assert event["time"] == "2026-03-02T09:00:00.123456Z"
    assert event["data"] == {
        "client": {"ip": "203.0.113.7", "device": "EP1", "country": "France"},
        "challenge": "tx-1",
        "amr": ["swk"],
        "credential": "DP1",
    }


@pytest.mark.parametrize(
    ("factor", "amr"),
    [
        ("duo_push", ["swk"]),
        ("Duo Push", ["swk"]),
        ("phone_call", ["tel"]),
        ("sms_passcode", ["sms"]),
        ("duo_mobile_passcode", ["otp"]),
        ("hardware_token", ["otp"]),
        ("yubikey_code", ["otp"]),
        ("u2f_token", ["hwk"]),
        ("WebAuthn Security Key", ["hwk"]),
        ("something_new", None),
        ("not_available", None),
        (None, None),
    ],
)
def test_a_proof_says_its_factor_in_words_of_rfc_8176_or_not_at_all(factor: Any, amr: list[str] | None) -> None:
    event = one("duo", duo(factor, "user_approved"))
    assert event["type"] == "stepwatch.stepup.verified"
    assert event["data"].get("amr") == amr


@pytest.mark.parametrize("reason", ["user_approved", "valid_passcode", "verification_code_correct", "User approved"])
def test_only_a_reason_that_is_a_persons_act_is_a_proof(reason: str) -> None:
    assert one("duo", duo("duo_push", reason))["type"] == "stepwatch.stepup.verified"


@pytest.mark.parametrize(
    ("factor", "reason"),
    [
        ("remembered_device", "remembered_device"),
        ("trusted_network", "trusted_network"),
        ("not_available", "bypass_user"),
        ("duo_push", "bypass_user"),
        ("not_available", "allow_unenrolled_user"),
        ("not_available", "allow_unenrolled_user_on_trusted_network"),
        ("not_available", "allowed_by_policy"),
        ("not_available", "trusted_location"),
        ("bypass_code", "valid_passcode"),
        ("Bypass Code", ""),
        ("Remembered Device", None),
    ],
)
def test_whoever_was_let_through_proved_nothing(factor: str, reason: str | None) -> None:
    event = one("duo", duo(factor, reason, "SUCCESS"))
    assert event["type"] == "stepwatch.stepup.bypassed"
    assert not {"amr", "credential"} & set(event["data"])


@pytest.mark.parametrize("reason", [None, "", "a_reason_of_tomorrow", "user_disabled"])
def test_success_alone_does_not_say_how(reason: str | None) -> None:
    assert one("duo", duo("duo_push", reason)).field == "outcome"


def test_a_success_of_the_first_version_says_how_by_its_factor() -> None:
    row = duo("Duo Push", "", "SUCCESS", event_type=None, user=None, username="rosa", txid=None, new_enrollment=False)
    event = one("duo", row)
    assert (event["type"], event["data"]["amr"]) == ("stepwatch.stepup.verified", ["swk"])
    assert one("duo", row | {"factor": "n/a"}).field == "outcome"


@pytest.mark.parametrize(
    ("reason", "result", "kind", "failure"),
    [
        ("user_marked_fraud", "fraud", "denied", None),
        ("user_marked_fraud", "denied", "denied", None),
        ("", "FRAUD", "denied", None),
        ("user_mistake", "denied", "denied", None),
        ("user_cancelled", "denied", "cancelled", None),
        ("no_response", "denied", "failed", "no_response"),
        ("call_timed_out", "failure", "failed", "no_response"),
        ("no_keys_pressed", "denied", "failed", "no_response"),
        ("invalid_passcode", "denied", "failed", "wrong_code"),
        ("Invalid passcode", "FAILURE", "failed", "wrong_code"),
        ("locked_out", "denied", "failed", "locked_out"),
        ("error", "error", "failed", "error"),
        ("", "error", "failed", "error"),
        ("anomalous_push", "denied", "failed", None),
        ("user_disabled", "denied", "failed", None),
        ("out_of_date", "denied", "failed", None),
        ("trusted_network", "denied", "failed", None),
        ("user_approved", "denied", "failed", None),
    ],
)
def test_a_prompt_that_was_not_passed_failed_unless_the_person_said_no(
    reason: str, result: str, kind: str, failure: str | None
) -> None:
    event = one("duo", duo("duo_push", reason, result))
    assert event["type"] == f"stepwatch.stepup.{kind}"
    assert event["data"].get("failure") == failure
    assert event["data"]["challenge"] == "tx-1"


@pytest.mark.parametrize("result", ["", None, "maybe", 1])
def test_a_result_that_is_not_said_is_no_event(result: Any) -> None:
    assert one("duo", duo("duo_push", "user_approved", result)).field == "outcome"


@pytest.mark.parametrize("result", ["success", "FAILURE"])
def test_codes_that_were_asked_for_are_a_challenge(result: str) -> None:
    assert one("duo", duo("sms_refresh", None, result))["type"] == "stepwatch.stepup.challenged"
    assert one("duo", duo("sms_refresh", "user_disabled", "denied"))["type"] == "stepwatch.stepup.failed"


def test_an_enrolment_is_no_proof_but_a_credential_where_the_row_names_one() -> None:
    event = one("duo", duo("not_available", None, event_type="enrollment"))
    assert event["type"] == "stepwatch.credential.changed"
    assert (event["data"]["credential"], event["data"]["change"]) == ("DP1", "created")
    nameless = {"name": "+1 555 0100"}
    assert one("duo", duo("duo_push", None, event_type="enrollment", auth_device=nameless)).field == "credential"
    assert one("duo", duo("duo_push", "error", "failure", event_type="enrollment")).field == "credential"
    first = duo("Duo Push", "", "SUCCESS", event_type=None, new_enrollment=True, auth_device=None)
    assert one("duo", first).field == "credential"
    assert one("duo", first | {"result": "FRAUD"})["type"] == "stepwatch.stepup.denied"
    assert one("duo", duo("duo_push", "user_approved", event_type="something")).field == "type"


def test_a_wrong_code_and_the_right_one_after_it_are_two_events_of_one_challenge() -> None:
    rows = [duo("passcode", "invalid_passcode", "denied"), duo("passcode", "valid_passcode")]
    rows.append(duo("passcode", "invalid_passcode", "denied", isotimestamp="2026-03-02T08:59:50+00:00"))
    events = [one("duo", row) for row in rows]
    assert len({event["id"] for event in events}) == 3
    assert {event["data"]["challenge"] for event in events} == {"tx-1"}


@pytest.mark.parametrize(
    ("names", "subject"),
    [
        ({}, "rosa"),
        ({"user": None, "username": "rosa"}, "rosa"),
        ({"user": {"key": "DU1", "name": ""}}, "DU1"),
        ({"user": None}, "rosa@corp.example"),
        ({"user": None, "email": "", "alias": "ro"}, "ro"),
    ],
)
def test_the_person_is_named_by_the_name_that_all_of_duos_logs_have(names: dict[str, Any], subject: str) -> None:
    assert one("duo", duo("duo_push", "user_approved", **names))["subject"] == subject


@pytest.mark.parametrize("user", [None, {}, [], "", {"name": "unknown"}, {"name": 1.5}])
def test_nobody_named_is_no_event(user: Any) -> None:
    assert one("duo", duo("duo_push", "user_approved", user=user, email=None)).field == "subject"


def test_the_phone_that_approved_is_never_the_client() -> None:
    for access in (None, {}, {"ip": None}, {"ip": "0.0.0.0"}):
        data = one("duo", duo("duo_push", "user_approved", access_device=access))["data"]
        assert "ip" not in data.get("client", {})


@pytest.mark.parametrize("ip", ["203.0.113.7:4711", "203.0.113.7", {"address": "203.0.113.7"}])
def test_the_address_is_read_with_a_port_and_as_an_object(ip: Any) -> None:
    assert one("duo", duo("duo_push", "user_approved", access_device={"ip": ip}))["data"]["client"]["ip"] == (
        "203.0.113.7"
    )
    first = duo("Duo Push", "User approved", access_device={"os": "Mac OS X"}, ip=ip, location={"country": "US"})
    assert one("duo", first)["data"]["client"] == {"ip": "203.0.113.7", "country": "US"}


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"isotimestamp": None}, "2026-03-02T09:00:00Z"),
        ({"isotimestamp": None, "timestamp": "2026-03-02 09:00:00"}, "2026-03-02T09:00:00Z"),
        ({"isotimestamp": "2026-03-02T10:00:00+01:00"}, "2026-03-02T09:00:00Z"),
    ],
)
def test_the_time_is_read_wherever_it_stands(times: dict[str, Any], expected: str) -> None:
    assert one("duo", duo("duo_push", "user_approved", **times))["time"] == expected


def test_a_row_without_a_readable_time_is_no_event() -> None:
    assert one("duo", duo("duo_push", "user_approved", isotimestamp="...")).field == "time"
    assert one("duo", duo("duo_push", "user_approved", isotimestamp=None, timestamp=None)).field == "time"


def test_all_envelopes_hold_the_same_row() -> None:
    row = duo("duo_push", "user_approved")
    expected = one("duo", row)
    assert one("duo", {"service": "authentication", "message": row}) == expected
    assert one("duo", {"service": "authentication", "message": json.dumps(row)}) == expected
    assert read("duo", {"stat": "OK", "response": {"authlogs": [row, row], "metadata": {}}}) == [expected] * 2
    assert read("duo", {"stat": "OK", "response": [row]}) == [expected]
    assert read("duo", [row]) == [expected]
    activity = duo_activity("user_update", {"name": "bob"})
    assert read("duo", {"response": {"items": [activity], "metadata": {}}}) == [one("duo", activity)]
    assert read("duo", {"response": []}) == [Skip("an envelope without a record", "json")]
    assert read("duo", {"authlogs": [row], "metadata": {}}) == [expected]
    assert read("duo", {"items": [activity]}) == [one("duo", activity)]
    answer = {"stat": "OK", "response": {"authlogs": [row, row], "metadata": {}}}
    assert read("duo", [answer]) == [expected] * 2
    assert read("duo", {"message": json.dumps(answer)}) == [expected] * 2
    assert one("duo", {"message": "no json"}).field == "json"


def test_a_row_without_an_id_has_the_same_id_each_time() -> None:
    row = duo_admin("policy_update")
    assert one("duo", row)["id"] == one("duo", dict(reversed(row.items())))["id"]
    assert one("duo", row)["id"].startswith("sha256:")


def test_a_message_that_was_sent_names_no_person() -> None:
    row = {"telephony_id": "te-1", "context": "authentication", "type": "sms", "txid": "tx-1", "ts": "2026-03-02"}
    assert one("duo", row) == Skip("nobody is named", "subject")
    assert one("duo", {"context": "enrollment", "credits": 1, "phone": "+1 555 0100", "timestamp": 1772442000}) == Skip(
        "nobody is named", "subject"
    )


def test_what_duo_finds_noteworthy_is_a_notice() -> None:
    assert one("duo", {"sekey": "SE1", "type": "auth", "surfaced_auth": {}}).field == "type"
    assert one("duo", {"something": 1}).field == "type"


def test_source_and_tenant_are_the_installations() -> None:
    (event,) = Duo(source="/mfa", tenant="acme").events(json.dumps(duo("duo_push", "user_approved")).encode())
    assert not isinstance(event, Skip)
    assert event["source"] == "/mfa"
    assert isinstance(event["data"], dict)
    assert event["data"]["tenant"] == "acme"
