"""When an application must ask for a proof, what it then says, and that the audit would have said the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwatch.schemas.times import HOUR_US, MINUTE_US, SECOND_US, parse_time
from stepwatch.sdk import Event, MemoryReporter
from stepwatch.sdk.assurance import LocalAssurance, Proof
from stepwatch.sdk.events import Source
from stepwatch.sdk.otp_events import moment
from stepwatch.sdk.stepup import StepUpNeed, require_step_up
from tests.core.given import judged
from tests.sdk.codes import START_US

BANK = Source("/bank", tenant="acme")
PAYOUT = "payments.payout.approve"
US = 1
TAP = Proof("p-1", "step_up", START_US - MINUTE_US, START_US - MINUTE_US, ("otp",), "phr", "s-1")


class Known:
    """An assurance that knows these proofs."""

    def __init__(self, *proofs: Proof) -> None:
        self._proofs = proofs

    def proofs(self, tenant: str, subject: str) -> Sequence[Proof]:
        return self._proofs


def asked(*proofs: Proof, **said: Any) -> StepUpNeed:
    """Whether alice must prove who she is, at `START_US`, given these proofs."""
    given_ = {"max_age": "5m", "subject": "alice", "session": "s-1", "assurance": Known(*proofs), **said}
    return require_step_up(PAYOUT, now=lambda: START_US, **given_)


def aged(age_us: int) -> Proof:
    return replace(TAP, at_us=START_US - age_us, time_us=START_US - age_us)


# What suffices, in pairs.


@pytest.mark.parametrize(
    ("proof", "said", "lacking"),
    [
        (TAP, {}, None),
        (aged(5 * MINUTE_US), {}, None),
        (aged(5 * MINUTE_US + US), {}, "stale"),
        (aged(5 * MINUTE_US), {"max_age": timedelta(minutes=5)}, None),
        (aged(5 * MINUTE_US), {"max_age": timedelta(minutes=4)}, "stale"),
        (aged(-5 * SECOND_US), {}, None),
        (aged(-5 * SECOND_US - US), {}, "no_step_up"),
        (replace(TAP, session="s-2"), {}, "wrong_session"),
        (replace(TAP, session="s-2"), {"same_session": False}, None),
        (replace(TAP, session="s-2", root_session="r"), {"root_session": "r"}, None),
        (replace(TAP, session="r"), {"root_session": "r"}, None),
        (replace(TAP, session="s-2", root_session="s-1"), {}, None),
        (replace(TAP, session=""), {}, "wrong_session"),
        (TAP, {"amr_any": ["hwk", "otp"]}, None),
        (TAP, {"amr_any": ["hwk"]}, "weak_factor"),
        (TAP, {"acr_values": ["phrh", "phr"]}, None),
        (TAP, {"acr_values": ["phrh"]}, "weak_factor"),
        (replace(TAP, kind="login"), {}, "no_step_up"),
        (replace(TAP, kind="login"), {"accept": ["step_up", "login"]}, None),
        (replace(TAP, bound_action=PAYOUT), {"binding": "action"}, None),
        (TAP, {"binding": "action"}, "wrong_binding"),
        (replace(TAP, transaction="t"), {"binding": "transaction", "transaction": "t"}, None),
        (replace(TAP, transaction="u"), {"binding": "transaction", "transaction": "t"}, "wrong_binding"),
    ],
)
def test_a_proof_suffices_where_it_meets_every_condition(proof: Proof, said: dict[str, Any], lacking: str) -> None:
    need = asked(proof, **said)
    assert (need.required, need.lacking) == (lacking is not None, lacking)
    assert need.proof == (None if lacking else proof)


def test_without_any_proof_one_is_demanded() -> None:
    assert asked().lacking == "no_step_up"


def test_of_several_proofs_the_newest_that_suffices_is_relied_on() -> None:
    newest = replace(aged(SECOND_US), verification="p-3", amr=("sms",))
    need = asked(TAP, replace(aged(2 * MINUTE_US), verification="p-0"), newest, amr_any=["otp"])
    assert (need.verification, need.age_us) == ("p-1", MINUTE_US)


# What is said.


def test_the_challenge_is_that_of_rfc_9470_with_acr_values_and_max_age() -> None:
    need = asked(aged(HOUR_US), acr_values=["phrh", "phr"])
    assert need.headers == {
        "WWW-Authenticate": 'Bearer error="insufficient_user_authentication", '
        'error_description="More recent authentication is required", acr_values="phrh phr", max_age="300"'
    }
    assert asked().www_authenticate == (
        'Bearer error="insufficient_user_authentication", '
        'error_description="Another authentication is required", max_age="300"'
    )
    assert asked(TAP).headers == {}


@pytest.mark.parametrize(
    ("proofs", "said", "result", "reason"),
    [
        ((), {}, "required", None),
        ((), {"reason": "amount_over_limit"}, "required", "amount_over_limit"),
        ((aged(HOUR_US),), {}, "required", "auth_too_old"),
        ((aged(HOUR_US),), {"reason": "new_payee"}, "required", "new_payee"),
        ((TAP,), {"reason": "new_payee"}, "previously_satisfied", "new_payee"),
    ],
)
def test_the_decision_and_the_proof_fit_into_the_actions_event(
    proofs: tuple[Proof, ...], said: dict[str, Any], result: str, reason: str | None
) -> None:
    need = asked(*proofs, **said)
    event = BANK.action_performed(PAYOUT, subject="alice", decision=need.decision, verification=need.verification)
    assert event["data"]["decision"] == {"result": result, **({"reason": reason} if reason else {})}
    assert event["data"].get("verification") == ("p-1" if result == "previously_satisfied" else None)


# What is reported.


def test_a_proof_that_is_needed_is_reported_with_the_reason_and_what_it_is_for() -> None:
    memory = MemoryReporter()
    said: dict[str, Any] = {"root_session": "r-1", "transaction": "t-1", "reason": "amount_over_limit"}
    asked(source=BANK, report=memory.report, **said)
    (event,) = memory.events
    assert (event["type"], event["source"], event["subject"]) == ("stepwatch.stepup.required", "/bank", "alice")
    assert parse_time(event["time"]) == START_US
    assert event["data"] == {
        "tenant": "acme",
        "session": "s-1",
        "root_session": "r-1",
        "reason": "amount_over_limit",
        "bound_action": PAYOUT,
        "transaction": "t-1",
        "decision": {"result": "required", "reason": "amount_over_limit"},
    }


def test_that_none_is_needed_is_said_by_the_action_alone() -> None:
    memory = MemoryReporter()
    need = asked(TAP, source=BANK, report=memory.report, reason="amount_over_limit")
    assert memory.events == []
    memory.report(BANK.action_performed(PAYOUT, subject="alice", session="s-1", decision=need.decision))
    decision = {"result": "previously_satisfied", "reason": "amount_over_limit"}
    memory.assert_reported("action.performed", decision=decision)


def test_a_report_that_fails_changes_no_answer_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def full(event: Event) -> None:
        raise OSError("no space left")

    need = asked(source=BANK, report=full, reason="new_payee")
    assert need == asked(reason="new_payee")
    assert "stepwatch.stepup.required" in caplog.text


def test_the_assurance_is_asked_about_the_tenant_of_the_source() -> None:
    tenants: list[str] = []

    class Asks:
        def proofs(self, tenant: str, subject: str) -> Sequence[Proof]:
            tenants.append(tenant)
            return ()

    report: list[Event] = []
    asked(assurance=Asks())
    asked(assurance=Asks(), source=BANK, report=report.append, reason="new_payee")
    asked(assurance=Asks(), source=BANK, report=report.append, reason="new_payee", tenant="acme")
    assert (tenants, len(report)) == (["default", "acme", "acme"], 2)


def test_where_the_assurance_cannot_be_asked_a_proof_is_demanded_and_that_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Away:
        def proofs(self, tenant: str, subject: str) -> Sequence[Proof]:
            raise ConnectionError("away")

    need = asked(assurance=Away())
    assert (need.required, need.lacking) == (True, "unknown")
    assert "default/alice" in caplog.text


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"max_age": "5"}, "max_age"),
        ({"max_age": 300}, "max_age"),
        ({"max_age": "0s"}, "max_age"),
        ({"max_age": timedelta(milliseconds=999)}, "max_age"),
        ({"subject": ""}, "subject"),
        ({"session": None}, "session"),
        ({"amr_any": "otp"}, "amr_any"),
        ({"accept": "step_up"}, "accept"),
        ({"accept": []}, "accept"),
        ({"accept": ["stepup"]}, "accept"),
        ({"accept": ["login", 7]}, "accept"),
        ({"accept": None}, "accept"),
        ({"acr_values": "phr"}, "acr_values"),
        ({"acr_values": ['a"b']}, "acr_values"),
        ({"acr_values": ["a b"]}, "acr_values"),
        ({"acr_values": ["a\r\nSet-Cookie: x"]}, "acr_values"),
        ({"binding": "transaction"}, "transaction"),
        ({"binding": "both"}, "binding"),
        ({"source": BANK}, "report"),
        ({"report": list[Event]().append}, "report"),
        ({"source": BANK, "report": list[Event]().append}, "reason"),
        ({"source": BANK, "report": list[Event]().append, "reason": "new_payee", "tenant": "default"}, "tenant"),
    ],
)
def test_an_argument_with_which_no_proof_could_suffice_is_named(said: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        asked(TAP, **said)


# The law: with the same conditions the application demands a proof exactly where the audit would miss one.

_IDS = st.sampled_from(["s-1", "s-2", "r-1", None])
_PROOFS = st.fixed_dictionaries(
    {
        "age_us": st.sampled_from([-6, -5, 0, 1, 300, 301, 4000]).map(lambda s: s * SECOND_US)
        | st.integers(-6 * SECOND_US, 301 * SECOND_US),
        "session": _IDS,
        "root_session": _IDS,
        "amr": st.sampled_from([["otp"], ["hwk"], ["sms"]]),
        "acr": st.sampled_from(["phr", None]),
        "bound_action": st.sampled_from([PAYOUT, "payments.other", None]),
        "transaction": st.sampled_from(["t-1", "t-2", None]),
        "credential": st.sampled_from(["c-1", "c-2"]),
        "login": st.booleans(),
        "proved_before_us": st.sampled_from([0, 0, 40, 200]).map(lambda s: s * SECOND_US),
    }
)
_CONDITIONS = st.fixed_dictionaries(
    {
        "same_session": st.booleans(),
        "amr_any": st.sampled_from([[], ["otp"], ["otp", "hwk"]]),
        "acr": st.sampled_from([[], ["phr"]]),
        "accept": st.sampled_from([["step_up"], ["login"], ["step_up", "login"]]),
        "binding": st.sampled_from(["none", "action", "transaction"]),
        "revoked": st.sampled_from([None, "c-1", "s-1"]),
        "root_session": st.sampled_from([None, "r-1"]),
    }
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_PROOFS, max_size=4), _CONDITIONS, st.randoms())
def test_law_a_proof_is_demanded_exactly_where_the_audit_would_miss_one(
    proofs: list[dict[str, Any]], said: dict[str, Any], chance: Random
) -> None:
    events = [_event_of(f"v-{number}", **proof) for number, proof in enumerate(proofs)]
    before = moment(START_US - 30 * SECOND_US)
    if said["revoked"] == "c-1":
        events.append(BANK.credential_changed(subject="alice", credential="c-1", change="revoked", time=before))
    elif said["revoked"] == "s-1":
        events.append(BANK.session_revoked(subject="alice", session="s-1", time=before))
    assurance = LocalAssurance()
    for event in chance.sample(events, len(events)):
        assurance.report(event)
    need = require_step_up(
        PAYOUT,
        max_age="5m",
        subject="alice",
        session="s-1",
        root_session=said["root_session"],
        tenant="acme",
        assurance=assurance,
        same_session=said["same_session"],
        amr_any=said["amr_any"],
        acr_values=said["acr"],
        accept=said["accept"],
        binding=said["binding"],
        transaction="t-1",
        now=lambda: START_US,
    )
    action = BANK.action_performed(
        PAYOUT,
        subject="alice",
        session="s-1",
        root_session=said["root_session"],
        transaction="t-1",
        id="a",
        time=moment(START_US),
    )
    require = {
        "max_age": "5m",
        "same_session": said["same_session"],
        "amr_any": said["amr_any"],
        "acr_any": said["acr"],
        "accept": said["accept"],
        "binding": said["binding"],
    }
    policy = {"id": "payout", "match": {"action": ["payments.*"]}, "require": require}
    row = judged(f"policies: [{json.dumps(policy)}]", *events, action)["a"]
    assert need.required == (row["verdict"] == "unverified")
    assert need.verification == row["verification"]
    assert need.age_us == row["age_us"]


def _event_of(
    event_id: str, *, age_us: int, proved_before_us: int, login: bool, bound_action: Any, transaction: Any, **said: Any
) -> Any:
    time_us = START_US - age_us
    said = {**said, "subject": "alice", "id": event_id, "time": moment(time_us)}
    if proved_before_us:
        said["auth_time"] = (time_us - proved_before_us) / SECOND_US
    if login:
        return BANK.session_started(**{**said, "session": said["session"] or "s-9"})
    return BANK.stepup_verified(**said, bound_action=bound_action, transaction=transaction)
