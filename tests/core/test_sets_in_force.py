"""Which set maps and judges an event, whenever it is read and whenever the set became known (contract section 4)."""

from __future__ import annotations

import pytest

from stepwatch.schemas.times import HOUR_US, MINUTE_US, SECOND_US
from stepwatch.streams.sets import PolicySet, PolicySets, build_set
from tests.core.driver import T0_US, Driver

SECOND_BEGINS_US = T0_US + 20 * MINUTE_US


def a_set(text: str, begins_us: int | None = None) -> PolicySet:
    return build_set([("p.yaml", f"version: 1\n{text}")], begins_us)


def requires(max_age: str, policy_id: str = "p") -> str:
    return f'policies: [{{id: {policy_id}, match: {{action: ["payments.*"]}}, require: {{max_age: {max_age}}}}}]'


def test_the_set_at_an_event_s_own_time_maps_its_subject_whenever_it_arrives() -> None:
    plain = requires("1h")
    aliased = "identities: [{subject: alice, aliases: [al]}]\n" + plain
    driver = Driver(PolicySets([a_set(plain), a_set(aliased, SECOND_BEGINS_US)]))
    driver.pulse(SECOND_BEGINS_US + MINUTE_US)
    driver.action("before", subject="al", time_us=SECOND_BEGINS_US - 1)
    driver.action("from", subject="al", time_us=SECOND_BEGINS_US)
    driver.evidence("stepup.verified", "v", subject="al", time_us=SECOND_BEGINS_US - 1)
    driver.pulse(SECOND_BEGINS_US + 2 * MINUTE_US)
    subjects = {name: driver.verdict(name)["subject"] for name in ("before", "from")}
    assert subjects == {"before": "al", "from": "alice"}
    assert driver.evidence_rows[0]["subject"] == "al"
    assert driver.verdict("before")["verdict"] == "verified"
    assert driver.verdict("from")["verdict"] == "unverified"


@pytest.mark.parametrize("restarts", [False, True])
def test_every_revision_is_judged_by_the_set_at_the_action_s_own_time(restarts: bool) -> None:
    """The last proof is two minutes old: stale by the set of the action's time, and fresh by the next."""
    sets = PolicySets([a_set(requires("1m")), a_set(requires("5m"), SECOND_BEGINS_US)])
    driver = Driver(sets)
    driver.pulse(SECOND_BEGINS_US)
    driver.action("a", time_us=SECOND_BEGINS_US - 1)
    driver.pulse(SECOND_BEGINS_US + 10 * SECOND_US)
    if restarts:
        driver.restart()
    driver.evidence("stepup.verified", "v", time_us=SECOND_BEGINS_US - 2 * MINUTE_US)
    first, second = driver.revisions("a")
    assert (first["reason"], second["reason"]) == ("no_step_up", "stale")
    assert first["policy_version"] == second["policy_version"] == sets.sets[0].requirements["p"].version


@pytest.mark.parametrize("restarts", [False, True])
def test_a_set_that_became_known_later_judges_only_what_is_read_after_it(restarts: bool) -> None:
    """The set is applied at once, with an action open whose time it covers: the law holds for later arrivals only."""
    first, second = a_set(requires("1m", "old")), a_set(requires("5m", "new"), T0_US)
    driver = Driver(PolicySets([first]))
    driver.evidence("stepup.verified", "v", time_us=T0_US - 2 * MINUTE_US)
    driver.action("earlier", time_us=T0_US)
    driver.sets = PolicySets([first, second])
    driver.correlator.use(driver.sets)
    if restarts:
        driver.restart()
    driver.action("later", time_us=T0_US)
    driver.pulse(T0_US + 10 * SECOND_US)
    driver.pulse(T0_US + 2 * HOUR_US)
    judged = {name: (driver.verdict(name)["policy"], driver.verdict(name)["verdict"]) for name in ("earlier", "later")}
    assert judged == {"earlier": ("old", "unverified"), "later": ("new", "verified")}


@pytest.mark.parametrize(
    ("required", "shown", "verdict"),
    [
        ("{amr_any: [otp]}", {"amr": ["otp"]}, "verified"),
        ("{amr_any: [otp]}", {"amr": ["OTP"]}, "unverified"),
        ("{acr_any: ['é']}", {"acr": "\u00e9"}, "verified"),
        ("{acr_any: ['é']}", {"acr": "e\u0301"}, "unverified"),
        ("{same_session: true}", {"session": "S1"}, "unverified"),
        ("{binding: transaction}", {"transaction": "t1"}, "verified"),
        ("{binding: transaction}", {"transaction": "T1"}, "unverified"),
        ("{binding: transaction}", {"transaction": "t1 "}, "unverified"),
    ],
)
def test_names_compare_by_their_bytes_and_case_sensitively(required: str, shown: dict[str, str], verdict: str) -> None:
    driver = Driver(f'policies: [{{id: p, match: {{action: ["payments.*"]}}, require: {required}}}]')
    driver.evidence("stepup.verified", "v", time_us=T0_US, **shown)
    driver.action("a", transaction="t1")
    driver.action("upper", action="Payments.payout.approve")
    driver.pulse(T0_US + 10 * SECOND_US)
    assert driver.verdict("a")["verdict"] == verdict
    assert driver.verdict("upper")["reason"] == "no_policy"
