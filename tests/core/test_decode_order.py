"""An event with two faults is named by the first in the contract's order (section 3)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest

from stepwatch.schemas.times import HOUR_US, format_time
from tests.core.driver import T0_US, Row
from tests.core.raw_events import ACTION, VERIFIED, event, field_at_fault, read

Break = Callable[[Row], None]


def envelope(name: str, value: object) -> Break:
    return lambda made: made.__setitem__(name, value)


def in_data(name: str, value: object) -> Break:
    def change(made: Row) -> None:
        if isinstance(made["data"], dict):
            made["data"][name] = value

    return change


FAULTS: list[tuple[str, str, Break]] = [
    # (name, the field that is named, what is broken), in the order of the contract.
    ("id", "id", envelope("id", 5)),
    ("source", "source", envelope("source", "")),
    ("type", "type", envelope("type", "com.example.order")),
    ("time", "time", envelope("time", "yesterday")),
    ("arrival", "arrival", envelope("arrival", "soon")),
    ("time ahead", "time", envelope("time", format_time(T0_US + HOUR_US))),
    ("data", "data", envelope("data", [])),
    ("tenant", "data.tenant", in_data("tenant", "a b")),
    ("tenant's type", "data.tenant", in_data("tenant", 5)),
    ("subject", "subject", envelope("subject", None)),
]
REST: list[tuple[str, str, Break]] = [
    ("session", "data.session", in_data("session", 5)),
    ("client.ip", "data.client.ip", in_data("client", {"ip": 5})),
    ("token", "data.token", in_data("token", [])),
    ("amr", "data.amr", in_data("amr", "hwk")),
    ("otp_step", "data.otp_step", in_data("otp_step", 1.5)),
    ("auth_time", "data.auth_time", in_data("auth_time", "now")),
    ("auth_time ahead", "data.auth_time", in_data("auth_time", 2 * T0_US // 1_000_000)),
    ("action", "data.action", in_data("action", None)),
]
CANNOT_BOTH_BE = {
    frozenset({"time", "time ahead"}),
    frozenset({"arrival", "time ahead"}),
    frozenset({"tenant", "tenant's type"}),
    *(frozenset({"data", name}) for name in ("tenant", "tenant's type", *(rest[0] for rest in REST))),
}


def both(first: str, second: str) -> Row:
    made = event(ACTION, arrival=format_time(T0_US))
    for name, _, break_it in [*FAULTS, *REST]:
        if name in (first, second):
            break_it(made)
    return made


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, field, _ in [*FAULTS, *REST]])
def test_each_fault_alone_is_named_by_its_path(name: str, field: str) -> None:
    assert field_at_fault(both(name, name), None) == field


@pytest.mark.parametrize(
    ("first", "field", "second"),
    [
        (first[0], first[1], second[0])
        for first, second in [*combinations(FAULTS, 2), *((fault, rest) for fault in FAULTS for rest in REST)]
        if frozenset({first[0], second[0]}) not in CANNOT_BOTH_BE
    ],
)
def test_of_two_faults_the_one_that_the_contract_names_first_is_named(first: str, field: str, second: str) -> None:
    assert field_at_fault(both(first, second), None) == field


@pytest.mark.parametrize(("first", "second"), list(combinations(REST, 2)), ids=lambda rest: rest[0])
def test_of_two_faults_in_the_rest_of_data_either_is_named(
    first: tuple[str, str, Break], second: tuple[str, str, Break]
) -> None:
    assert field_at_fault(both(first[0], second[0]), None) in (first[1], second[1])


def test_a_malformed_arrival_is_named_before_a_time_that_would_be_ahead_of_it() -> None:
    made = event(ACTION, arrival="soon", time=format_time(T0_US + HOUR_US))
    assert field_at_fault(made, None) == "arrival"


def test_an_unknown_type_of_ours_is_skipped_before_time_is_looked_at_but_not_before_id_and_source() -> None:
    unknown = "stepwatch.device.seen"
    assert field_at_fault(event(ACTION, {"tenant": 5}, type=unknown, time=5, arrival=5), None) is None
    assert field_at_fault(event(ACTION, type=unknown, source=5), None) == "source"
    assert read(event(ACTION, type=unknown, time=5), None).type == unknown


def test_the_wrong_family_is_named_before_a_wrong_time_and_after_a_wrong_source() -> None:
    assert field_at_fault(event(VERIFIED, time=5), family="action") == "type"
    assert field_at_fault(event(VERIFIED, source=5), family="action") == "source"


def test_a_heartbeat_is_read_up_to_its_data_in_the_same_order() -> None:
    for first, field, _ in FAULTS[:7]:
        made = both(first, "data")
        if first != "type":
            made["type"] = "stepwatch.heartbeat"
        assert field_at_fault(made, None) == field
