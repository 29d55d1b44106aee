"""What the fields of `data` mean, and what they do not decide (contract section 3)."""

from __future__ import annotations

from typing import Any

import pytest

from stepwatch.schemas.times import MINUTE_US, SECOND_US, format_time
from tests.core.driver import T0_US, Driver, Row

T0_S = T0_US // SECOND_US
GRACE_US = 10 * SECOND_US


def policy(require: str = "", match: str = 'action: ["payments.*"]') -> str:
    return f"policies: [{{id: p, match: {{{match}}}, require: {{{require}}}}}]"


def judged(driver: Driver, action_id: str = "a-1") -> tuple[str, str]:
    """(verdict, reason) once every grace is over."""
    driver.pulse(driver.log.now_us + GRACE_US)
    row = driver.verdict(action_id)
    return row["verdict"], row["reason"]


def without_times(row: Row, *others: str) -> Row:
    return {name: value for name, value in row.items() if name not in ("decided_at", "event_data", *others)}


VERIFIED = ("verified", "step_up")
NO_STEP_UP = ("unverified", "no_step_up")


@pytest.mark.parametrize(
    ("of_proof", "of_action", "covered"),
    [
        ({"session": "s1"}, {"session": "s1"}, True),
        ({"session": "s1"}, {"session": "s2"}, False),
        ({"session": "s1", "root_session": "r"}, {"session": "s2", "root_session": "r"}, True),
        ({"session": "s1", "root_session": "r"}, {"session": "r"}, True),
        ({"session": "r"}, {"session": "s2", "root_session": "r"}, True),
        ({"session": "s1", "root_session": ""}, {"session": "s2", "root_session": "s1"}, True),
        ({"session": "s1", "root_session": "r"}, {"session": "s2", "root_session": "q"}, False),
        ({"session": "", "root_session": "r"}, {"session": "", "root_session": "r"}, True),
        ({"session": ""}, {"session": ""}, False),
        ({"session": "s1"}, {"session": ""}, False),
    ],
)
def test_the_root_of_a_session_is_root_session_or_else_the_session_itself(
    of_proof: Row, of_action: Row, covered: bool
) -> None:
    driver = Driver(policy())
    driver.evidence("stepup.verified", "v-1", **of_proof)
    driver.action("a-1", **of_action)
    assert judged(driver) == (VERIFIED if covered else ("unverified", "wrong_session"))


def test_on_behalf_of_is_on_record_and_decides_nothing() -> None:
    plain, delegated = Driver(policy()), Driver(policy())
    cases: list[tuple[Driver, Row]] = [(plain, {}), (delegated, {"on_behalf_of": "bob"})]
    for driver, more in cases:
        driver.evidence("stepup.verified", "v-bob", subject="bob")
        driver.action("a-1", **more)
        judged(driver)
    assert delegated.verdict("a-1")["on_behalf_of"] == "bob"
    assert without_times(delegated.verdict("a-1"), "on_behalf_of") == without_times(
        plain.verdict("a-1"), "on_behalf_of"
    )
    assert delegated.verdict("a-1")["reason"] == "no_step_up"


@pytest.mark.parametrize("sensitivity", ["low", "moderate", "high", "critical"])
def test_a_known_sensitivity_is_on_record_and_must_be_in_the_list(sensitivity: str) -> None:
    driver = Driver(policy(match="sensitivity: [high, critical]"))
    driver.action("a-1", resource={"sensitivity": sensitivity})
    expected = NO_STEP_UP if sensitivity in ("high", "critical") else ("not_required", "no_policy")
    assert judged(driver) == expected
    assert driver.verdict("a-1")["sensitivity"] == sensitivity


@pytest.mark.parametrize("sensitivity", ["HIGH", "severe", " high", "", None])
def test_a_sensitivity_outside_its_list_counts_as_missing_and_so_matches_every_list(sensitivity: Any) -> None:
    driver = Driver(policy(match="sensitivity: [critical]"))
    driver.action("a-1", resource={"sensitivity": sensitivity})
    assert judged(driver) == NO_STEP_UP
    assert driver.verdict("a-1")["sensitivity"] == ""


@pytest.mark.parametrize(
    ("sent", "recorded"),
    [
        ({}, "success"),
        ({"outcome": None}, "success"),
        ({"outcome": ""}, "success"),
        ({"outcome": "success"}, "success"),
        ({"outcome": "failure"}, "failure"),
        ({"outcome": "denied"}, "denied"),
        ({"outcome": "Success"}, "unknown"),
        ({"outcome": "unknown"}, "unknown"),
        ({"outcome": "maybe"}, "unknown"),
    ],
)
def test_outcome_is_success_by_default_and_any_other_word_is_unknown_and_each_is_audited(
    sent: Row, recorded: str
) -> None:
    driver = Driver(policy())
    driver.action("a-1", **sent)
    assert judged(driver) == NO_STEP_UP
    assert driver.verdict("a-1")["outcome"] == recorded
    driver.action("a-2", action="reports.view", **sent)
    assert driver.verdict("a-2")["outcome"] == recorded


@pytest.mark.parametrize(
    ("outcome", "counts"), [("success", True), ("maybe", True), ("failure", False), ("denied", False)]
)
def test_only_success_and_unknown_use_a_verification_up_and_raise_alerts(outcome: str, counts: bool) -> None:
    driver = Driver(policy("max_uses: 1"))
    driver.evidence("stepup.verified", "v-1")
    driver.action("a-1", outcome=outcome)
    driver.action("a-2", time_us=T0_US + SECOND_US)
    assert judged(driver, "a-1") == VERIFIED
    assert judged(driver, "a-2") == (("unverified", "over_used") if counts else VERIFIED)
    alone = Driver(policy())
    alone.action("a-1", outcome=outcome)
    assert judged(alone) == NO_STEP_UP
    assert [alert["kind"] for alert in alone.alerts] == (["unverified_action"] if counts else [])


def test_the_access_tokens_claims_are_on_record_and_prove_nothing() -> None:
    driver = Driver(policy("amr_any: [hwk], acr_any: [phr], accept: [step_up, login]"))
    driver.action("a-1", token={"acr": "phr", "amr": ["hwk"], "auth_time": T0_S - 1, "sub": "alice"})
    assert judged(driver) == NO_STEP_UP
    row = driver.verdict("a-1")
    assert (row["amr"], row["acr"], row["verification"]) == ([], "", "")
    assert '"auth_time": 1795510799' in driver.revisions("a-1")[0]["event_data"]


@pytest.mark.parametrize("result", ["required", "previously_satisfied", "not_required", "exempt", "other"])
def test_the_applications_own_decision_is_on_record_and_decides_nothing(result: str) -> None:
    driver = Driver(policy())
    driver.action("a-1", decision={"result": result, "reason": "amount_over_limit", "policy": "app-7"})
    assert judged(driver) == NO_STEP_UP
    row = driver.verdict("a-1")
    assert (row["decision_result"], row["decision_reason"]) == (result, "amount_over_limit")


def test_the_proof_that_an_application_claims_is_on_record_and_decides_nothing() -> None:
    driver = Driver(policy())
    driver.evidence("stepup.verified", "e-1", time_us=T0_US - SECOND_US, verification="v-real")
    driver.action("a-1", time_us=T0_US, verification="v-claimed")
    assert judged(driver) == VERIFIED
    row = driver.verdict("a-1")
    assert (row["verification"], row["claimed_verification"]) == ("v-real", "v-claimed")
    alone = Driver(policy())
    alone.action("a-1", verification="v-claimed")
    assert judged(alone) == NO_STEP_UP


def test_two_reports_with_one_verification_id_are_one_proof_and_are_used_up_once() -> None:
    driver = Driver(policy("max_uses: 1"))
    driver.evidence("stepup.verified", "e-1", source="/idp", verification="v-7")
    driver.evidence("stepup.verified", "e-2", source="/app", verification="v-7", time_us=T0_US + 1)
    driver.action("a-1", time_us=T0_US + SECOND_US)
    driver.action("a-2", time_us=T0_US + 2 * SECOND_US)
    assert judged(driver, "a-1") == VERIFIED
    assert judged(driver, "a-2") == ("unverified", "over_used")


def test_two_reports_without_a_verification_id_are_two_proofs() -> None:
    driver = Driver(policy("max_uses: 1"))
    driver.evidence("stepup.verified", "e-1", source="/idp")
    driver.evidence("stepup.verified", "e-1", source="/app")
    driver.action("a-1", time_us=T0_US + SECOND_US)
    driver.action("a-2", time_us=T0_US + 2 * SECOND_US)
    assert judged(driver, "a-1") == judged(driver, "a-2") == VERIFIED


@pytest.mark.parametrize(
    ("auth_time", "time_us", "proved_us"),
    [
        (None, T0_US + 5, T0_US + 5),
        (T0_S, T0_US, T0_US),
        (T0_S, T0_US + 999_999, T0_US + 999_999),
        (T0_S - 1, T0_US, T0_US - SECOND_US),
        (T0_S, T0_US + SECOND_US, T0_US),
        (T0_S + 0.999, T0_US + SECOND_US, T0_US),
        (T0_S - 0.001, T0_US, T0_US - SECOND_US),
        (T0_S + 1, T0_US, T0_US),
        (T0_S + 600, T0_US, T0_US),
    ],
)
@pytest.mark.parametrize("kind", ["stepup.verified", "session.started"])
def test_it_was_proved_at_auth_time_where_that_is_an_earlier_whole_second_and_else_at_time(
    auth_time: float | None, time_us: int, proved_us: int, kind: str
) -> None:
    driver = Driver(policy())
    driver.evidence(kind, "v-1", time_us=time_us, amr=["hwk"], auth_time=auth_time)
    assert driver.evidence_rows[0]["proved_at"] == format_time(proved_us)


@pytest.mark.parametrize(("auth_time", "by_us"), [(T0_S - 300, 0), (T0_S - 300.5, SECOND_US), (T0_S - 299.5, 0)])
def test_the_fraction_of_auth_time_is_cut_so_it_makes_a_proof_older_and_never_younger(
    auth_time: float, by_us: int
) -> None:
    driver = Driver(policy("max_age: 5m"))
    driver.evidence("stepup.verified", "v-1", auth_time=auth_time)
    driver.action("a-1")
    assert judged(driver) == (("unverified", "stale") if by_us else VERIFIED)


def test_an_auth_time_on_anything_but_a_verification_means_nothing() -> None:
    driver = Driver(policy())
    driver.evidence("stepup.denied", "d-1", time_us=T0_US, auth_time=T0_S - 3600)
    assert driver.evidence_rows[0]["proved_at"] is None
    driver.action("a-1", auth_time=T0_S - 7200)
    assert judged(driver) == ("unverified", "denied")


@pytest.mark.parametrize(
    ("binding", "field", "value"),
    [("action", "bound_action", "payments.payout.approve"), ("transaction", "transaction", "sha256:5f1c")],
)
def test_what_a_step_up_is_bound_to_is_its_own_field_and_not_that_of_its_challenge_or_of_a_login(
    binding: str, field: str, value: str
) -> None:
    bound: dict[str, Any] = {field: value}
    require = f"binding: {binding}, accept: [step_up, login]"
    its_own = Driver(policy(require))
    its_own.evidence("stepup.verified", "v-1", **bound)
    its_own.action("a-1", transaction="sha256:5f1c")
    assert judged(its_own) == VERIFIED
    its_challenges = Driver(policy(require))
    its_challenges.evidence("stepup.challenged", "c-1", challenge="c", **bound)
    its_challenges.evidence("stepup.verified", "v-1", challenge="c")
    its_challenges.action("a-1", transaction="sha256:5f1c")
    assert judged(its_challenges) == ("unverified", "wrong_binding")
    a_logins = Driver(policy(require))
    a_logins.evidence("session.started", "l-1", amr=["hwk"], **bound)
    a_logins.action("a-1", transaction="sha256:5f1c")
    assert judged(a_logins) == ("unverified", "wrong_binding")


def test_a_transaction_that_is_missing_on_both_sides_binds_nothing() -> None:
    driver = Driver(policy("binding: transaction"))
    driver.evidence("stepup.verified", "v-1", transaction="")
    driver.action("a-1", transaction=None)
    assert judged(driver) == ("unverified", "wrong_binding")


def test_a_login_without_a_factor_is_no_verification_and_one_with_a_factor_is() -> None:
    driver = Driver(policy("accept: [login]"))
    driver.evidence("session.started", "l-1")
    driver.evidence("session.started", "l-2", amr=[""])
    driver.action("a-1")
    assert judged(driver) == NO_STEP_UP
    driver.evidence("session.started", "l-3", time_us=T0_US, amr=["pwd"])
    assert judged(driver) == ("verified", "login")


@pytest.mark.parametrize("reason", ["new_payee", "unknown", None, "", "whatever"])
@pytest.mark.parametrize("kind", ["stepup.required", "stepup.challenged"])
def test_why_a_step_up_was_triggered_is_on_record_as_it_was_said(kind: str, reason: str | None) -> None:
    driver = Driver(policy())
    driver.evidence(kind, "t-1", reason=reason)
    assert driver.evidence_rows[0]["reason"] == (reason or "")


def test_a_credential_that_is_revoked_voids_its_own_proofs_and_one_that_is_updated_does_not() -> None:
    for change, expected in (("revoked", ("unverified", "voided")), ("updated", VERIFIED)):
        driver = Driver(policy())
        driver.evidence("stepup.verified", "v-1", credential="c-1", time_us=T0_US)
        driver.evidence("credential.changed", "c-1", credential="c-1", change=change, time_us=T0_US + 1)
        driver.action("a-1", time_us=T0_US + 2)
        assert judged(driver) == expected


def test_the_address_of_whoever_acts_is_kept_with_action_and_proof() -> None:
    client = {"ip": "203.0.113.7", "device": "d-3", "user_agent": "curl/8", "country": "CH", "asn": 64500}
    driver = Driver(policy())
    driver.evidence("stepup.verified", "v-1", client=client)
    driver.action("a-1", client=client)
    for row in (driver.evidence_rows[0], driver.verdict("a-1")):
        assert (row["client_ip"], row["client_device"], row["client_country"]) == ("203.0.113.7", "d-3", "CH")
        assert row["user_agent"] == "curl/8"


def test_strings_are_compared_by_their_bytes_and_case() -> None:
    driver = Driver(policy())
    driver.evidence("stepup.verified", "v-1", session="S1")
    driver.evidence("stepup.verified", "v-2", session="é", time_us=T0_US + MINUTE_US)
    driver.action("a-1", session="s1", time_us=T0_US + MINUTE_US)
    driver.action("a-2", session="e\u0301", time_us=T0_US + MINUTE_US)
    assert judged(driver, "a-1") == judged(driver, "a-2") == ("unverified", "wrong_session")
