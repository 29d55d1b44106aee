"""The known fields of `data`: their JSON types, their absence, what is required (contract section 3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.schemas.events import Data
from stepwatch.schemas.times import MINUTE_US, SECOND_US, format_time
from stepwatch.streams.decode import decode
from tests.core.driver import T0_US, Driver
from tests.core.raw_events import (
    ACTION,
    CHANGED,
    GONE,
    GRANTED,
    NEEDED,
    STARTED,
    VERIFIED,
    accepted,
    event,
    field_at_fault,
    heard,
    raw,
)

PARTS = {
    "client": ["ip", "device", "user_agent", "country"],
    "resource": ["type", "id", "sensitivity"],
    "decision": ["result", "reason", "policy"],
}
OTHERS = {"tenant", "token", "amr", "auth_time", "otp_step", *PARTS}
TEXTS = sorted(set(Data.model_fields) - OTHERS)
NO_TEXT = [5, 0, 1.5, True, False, [], ["a"], {}, {"a": "b"}]
NO_OBJECT = [5, 0, True, False, "text", [], [{}], 1.5]
T0_S = T0_US // SECOND_US


def with_member(part: str, member: str, value: Any) -> dict[str, Any]:
    return {part: {member: value}}


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("value", NO_TEXT)
def test_a_field_that_is_no_string_is_a_dead_letter_on_every_type_of_event(field: str, value: Any) -> None:
    for kind in (ACTION, VERIFIED, STARTED, "stepup.required", "session.revoked", CHANGED, GRANTED):
        assert field_at_fault(event(kind, {field: value})) == f"data.{field}"


@pytest.mark.parametrize(("part", "member"), [(p, m) for p, members in PARTS.items() for m in members])
@pytest.mark.parametrize("value", NO_TEXT)
def test_a_member_that_is_no_string_is_a_dead_letter_named_by_its_path(part: str, member: str, value: Any) -> None:
    for kind in (ACTION, VERIFIED):
        assert field_at_fault(event(kind, with_member(part, member, value))) == f"data.{part}.{member}"


@pytest.mark.parametrize("part", [*PARTS, "token"])
@pytest.mark.parametrize("value", NO_OBJECT)
def test_client_resource_token_and_decision_are_objects(part: str, value: Any) -> None:
    for kind in (ACTION, "approval.revoked"):
        assert field_at_fault(event(kind, {part: value})) == f"data.{part}"
        assert field_at_fault(event(kind, {part: {}})) is None


@pytest.mark.parametrize("value", [5, None, "", [], {"a": [None, 1e5]}, True])
@pytest.mark.parametrize("member", ["acr", "amr", "auth_time", "zz"])
def test_the_members_of_token_are_not_checked(member: str, value: Any) -> None:
    assert field_at_fault(event(ACTION, {"token": {member: value}})) is None


@pytest.mark.parametrize("value", [64500, "AS64500", None, [], {}])
def test_the_number_of_the_clients_network_is_not_checked(value: Any) -> None:
    assert field_at_fault(event(ACTION, {"client": {"asn": value}})) is None


@pytest.mark.parametrize("value", ["hwk", 5, True, False, {}, [5], ["hwk", 5], ["hwk", None], [["hwk"]], [{}]])
def test_amr_is_an_array_of_strings(value: Any) -> None:
    for kind in (VERIFIED, STARTED, ACTION):
        assert field_at_fault(event(kind, {"amr": value})) == "data.amr"


@pytest.mark.parametrize("value", ["1795510800", True, False, [], [1], {}])
def test_auth_time_is_a_number(value: Any) -> None:
    for kind in (VERIFIED, STARTED, ACTION):
        assert field_at_fault(event(kind, {"auth_time": value})) == "data.auth_time"


@pytest.mark.parametrize("digits", [b"1e400", b"-1e400"])
def test_an_auth_time_beyond_all_numbers_is_a_dead_letter(digits: bytes) -> None:
    value = raw(event(VERIFIED, {"auth_time": "HERE"})).replace(b'"HERE"', digits)
    assert field_at_fault(value) == "data.auth_time"


@pytest.mark.parametrize("value", [0, -1, 1.5, -1e308, -(10**30), -(10**400), T0_S, T0_S - 0.25])
def test_an_auth_time_any_while_ago_is_read(value: float) -> None:
    assert field_at_fault(event(VERIFIED, {"auth_time": value})) is None


@pytest.mark.parametrize("value", [T0_S * 1000, 1e308, 10**30, 10**400, 10**4000 - 1])
def test_an_auth_time_in_milliseconds_or_beyond_any_time_is_a_dead_letter(value: float) -> None:
    text = raw(event(VERIFIED, {"auth_time": value}))
    assert field_at_fault(text) == "data.auth_time"


@pytest.mark.parametrize("kind", [VERIFIED, STARTED, ACTION])
@pytest.mark.parametrize("past_us", [0, 1, 999_999])
def test_an_auth_time_10_minutes_after_time_is_read_and_what_is_after_it_is_a_dead_letter(
    kind: str, past_us: int
) -> None:
    edge_s = T0_S + 600
    time = format_time(T0_US + past_us)
    assert field_at_fault(event(kind, {"auth_time": edge_s}, time=time), T0_US + MINUTE_US) is None
    assert field_at_fault(event(kind, {"auth_time": edge_s + 0.999}, time=time), T0_US + MINUTE_US) is None, (
        "its fraction is cut"
    )
    assert field_at_fault(event(kind, {"auth_time": edge_s + 1}, time=time), T0_US + MINUTE_US) == ("data.auth_time")


def test_one_microsecond_less_of_time_makes_an_auth_time_too_late() -> None:
    data = {"auth_time": T0_S + 600}
    assert field_at_fault(event(VERIFIED, data, time=format_time(T0_US))) is None
    assert field_at_fault(event(VERIFIED, data, time=format_time(T0_US - 1))) == "data.auth_time"


@pytest.mark.parametrize("value", ["57350360", 1.0, 1.5, True, False, [], {}, 1e3])
def test_otp_step_is_an_integer(value: Any) -> None:
    for kind in (VERIFIED, ACTION):
        assert field_at_fault(event(kind, {"otp_step": value})) == "data.otp_step"


@pytest.mark.parametrize("power", [0, 1, 62, 63, 64, 100, 1_300])
def test_an_otp_step_of_any_size_is_read_and_kept_exactly(power: int) -> None:
    for value in (2**power - 1, 1 - 2**power):
        assert accepted(event(VERIFIED, {"otp_step": value})).data.otp_step == value
        driver = Driver()
        driver.evidence(VERIFIED, "v-1", otp_step=value)
        [row] = driver.evidence_rows
        assert json.loads(row["event_data"])["otp_step"] == value
        assert row["otp_step"] == (value if power <= 63 else None), "the column holds 64 bits"


@pytest.mark.parametrize(
    "data",
    [
        *({field: None} for field in Data.model_fields),
        *(with_member(part, member, None) for part, members in PARTS.items() for member in members),
    ],
)
def test_null_and_the_empty_string_mean_absent(data: dict[str, Any]) -> None:
    field = next(iter(data))
    for kind in (ACTION, VERIFIED):
        if field in NEEDED.get(kind, {}):
            continue
        missing = accepted(event(kind, {field: {}} if data[field] is not None else None))
        for value in (None, ""):
            put = {field: dict.fromkeys(data[field], value)} if data[field] is not None else {field: value}
            outcome = accepted(event(kind, put))
            assert outcome.tenant == missing.tenant
            for name in Data.model_fields:
                assert _shown(getattr(outcome.data, name)) == _shown(getattr(missing.data, name))


def _shown(value: Any) -> Any:
    """A part by its members, absent ones left out."""
    names = getattr(value, "__struct_fields__", None)
    if names is None:
        return value or None
    return {name: getattr(value, name) for name in names if getattr(value, name)}


@pytest.mark.parametrize(
    ("kind", "field"), [(ACTION, "action"), (CHANGED, "credential"), (CHANGED, "change"), (GRANTED, "approver")]
)
@pytest.mark.parametrize("value", [GONE, None, ""])
def test_a_required_field_that_is_missing_is_a_dead_letter(kind: str, field: str, value: Any) -> None:
    assert field_at_fault(event(kind)) is None
    assert field_at_fault(event(kind, {field: value})) == f"data.{field}"


@pytest.mark.parametrize(
    "kind", ["stepup.required", VERIFIED, STARTED, "session.revoked", "approval.revoked", "stepup.failed"]
)
def test_no_other_type_requires_a_field(kind: str) -> None:
    assert field_at_fault(event(kind)) is None


@pytest.mark.parametrize("field", [*TEXTS, *PARTS, "token", "amr", "auth_time", "otp_step", "tenant"])
def test_the_known_fields_of_a_heartbeat_are_not_checked(field: str) -> None:
    for value in (5, "*", [None]):
        assert heard(event("heartbeat", {field: value})).lag_us == 0


def test_an_empty_string_in_amr_is_dropped_so_it_makes_no_login_a_verification() -> None:
    driver = Driver()
    driver.evidence(STARTED, "l-1", amr=["", ""])
    driver.evidence(STARTED, "l-2", amr=["", "pwd"])
    assert [(row["amr"], row["proved_at"] is None) for row in driver.evidence_rows] == [([], True), (["pwd"], False)]


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "9" * 30, "9" * 4_200, "1e-400", "0.1", "1.0", "-0", "0.10000000000000000000001"]
)
@pytest.mark.parametrize("field", ["token", "zz"])
def test_data_goes_on_record_as_it_was_sent_whatever_numbers_it_holds(number: str, field: str) -> None:
    sent = f'{{"action":"x","{field}":{{"n":{number}}}}}'.encode()
    value = raw(event()).replace(raw(NEEDED[ACTION]), sent)
    outcome = decode(value, T0_US)
    assert getattr(outcome, "raw_data", None) == sent
