"""What `events check` warns of: events that are taken and of no use. A table of cases, each with its right twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepwatch.cli.events_check import Checker
from stepwatch.cli.events_findings import Finding
from stepwatch.cli.events_policies import Demands
from stepwatch.cli.lines import Origin
from stepwatch.streams.sets import PolicySets, build_set
from tests.cli.console import event, payout, run, write_events, write_policy
from tests.core.driver import T0_US
from tests.core.raw_events import GONE, raw
from tests.core.raw_events import event as core_event

Row = dict[str, Any]
FAR_US = T0_US + 10**9
"""A clock that is behind no event of these tests."""


def findings_of(line: Row, policies: str = "", now_us: int = FAR_US) -> list[Finding]:
    demands = Demands(PolicySets([build_set([("p.yaml", policies)], None)])) if policies else None
    _, found = Checker(demands, now_us).look(raw(line), Origin("", 1))
    assert all(finding.level == "warning" for finding in found), found
    return found


def cases_of(line: Row, policies: str = "", now_us: int = FAR_US) -> list[tuple[str, str]]:
    return [(finding.code, finding.field) for finding in findings_of(line, policies, now_us)]


def hint_of(line: Row, policies: str = "") -> str:
    (found,) = findings_of(line, policies)
    return found.hint


def action(**data: Any) -> Row:
    return core_event(data={"resource": {"type": "payout", "sensitivity": "high"}, **data})


def proof(**data: Any) -> Row:
    return core_event("stepup.verified", source="/idp", data={"amr": ["hwk"], **data})


# whatever the policies are: (what is wrong, its twin that is right, code, field, hint)
Case = tuple[Row, Row, str, str, str]
CASES: dict[str, Case] = {
    "amr only mfa": (proof(amr=["mfa"]), proof(amr=["mfa", "hwk"]), "vague_amr", "data.amr", "amr_any cannot be met"),
    "a login with amr only mfa": (
        core_event("session.started", data={"amr": ["mfa"]}),
        core_event("session.started", data={"amr": ["pwd"]}),
        "vague_amr",
        "data.amr",
        "not which",
    ),
    "a proof without amr": (proof(amr=[]), proof(), "no_amr", "data.amr", "meets no policy with amr_any"),
    "reason unknown": (
        core_event("stepup.challenged", data={"reason": "unknown"}),
        core_event("stepup.challenged"),
        "no_reason",
        "data.reason",
        "trigger_quality",
    ),
    "no reason": (
        core_event("stepup.required"),
        core_event("stepup.required", data={"reason": "new_payee"}),
        "no_reason",
        "data.reason",
        "a defect",
    ),
    "no sensitivity": (
        action(resource={"type": "payout"}),
        action(),
        "no_sensitivity",
        "data.resource.sensitivity",
        "every policy",
    ),
    "another sensitivity": (
        action(resource={"sensitivity": "High"}),
        action(),
        "unknown_word",
        "data.resource.sensitivity",
        "`high`",
    ),
    "another outcome": (
        action(outcome="sucess"),
        action(outcome="unknown"),
        "unknown_word",
        "data.outcome",
        "counts as `unknown`",
    ),
    "another failure": (
        core_event("stepup.failed", data={"failure": "bad"}),
        core_event("stepup.failed", data={"failure": "wrong_code"}),
        "unknown_word",
        "data.failure",
        "on record",
    ),
    "another change": (
        core_event("credential.changed", data={"change": "deleted"}),
        core_event("credential.changed", data={"change": "revoked"}),
        "unknown_word",
        "data.change",
        "nothing follows",
    ),
    "another decision": (
        action(decision={"result": "yes"}),
        action(decision={"result": "required"}),
        "unknown_word",
        "data.decision.result",
        "on record",
    ),
    "an action that is no name": (action(action="Approve Payout"), action(), "action_name", "data.action", "payments."),
    "auth_time after time": (
        proof(auth_time=T0_US // 10**6 + 1),
        proof(auth_time=T0_US // 10**6),
        "auth_time_later",
        "data.auth_time",
        "does not count",
    ),
    "a misspelt field": (
        action(sesion="s"),
        action(sesion="s", session="s1"),
        "misspelt",
        "data.sesion",
        "`data.session`?",
    ),
    "a field in another style": (
        action(rootSession="s"),
        action(root_session="s"),
        "misspelt",
        "data.rootSession",
        "`data.root_session`?",
    ),
    "a member in another style": (
        action(client={"userAgent": "x"}),
        action(client={"asn": 1}),
        "misspelt",
        "data.client.userAgent",
        "`data.client.user_agent`?",
    ),
    "a member outside its object": (
        action(ip="1.2.3.4"),
        action(currency="EUR"),
        "misspelt",
        "data.ip",
        "`data.client.ip`?",
    ),
    "a field beside data": (
        core_event("session.started", session="s", data={"session": GONE, "amr": ["pwd"]}),
        core_event("session.started", traceparent="00-1", data={"amr": ["pwd"]}),
        "misspelt",
        "session",
        "`data.session`?",
    ),
    "an unknown type of ours": (
        core_event("stepup.verifed"),
        core_event("stepup.denied"),
        "unknown_type",
        "type",
        "did you mean stepwatch.stepup.verified?",
    ),
    "the name of the pulses": (
        core_event("heartbeat", source="stepwatch"),
        core_event("heartbeat", source="/idp"),
        "reserved_source",
        "source",
        "no sign",
    ),
    "a complete_to that is none": (
        core_event("heartbeat") | {"data": {"complete_to": "now"}},
        core_event("heartbeat") | {"data": {"complete_to": "2026-11-24T09:00:00Z"}},
        "complete_to",
        "data.complete_to",
        "`time` stands in",
    ),
    "a complete_to in another style": (
        core_event("heartbeat") | {"data": {"completeTo": "2026-11-24T09:00:00Z"}},
        core_event("heartbeat") | {"data": {"session": 5}},
        "misspelt",
        "data.completeTo",
        "`data.complete_to`?",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_of_no_use_is_told_and_its_right_twin_is_not(name: str) -> None:
    wrong, right, code, field, hint = CASES[name]
    assert cases_of(wrong) == [(code, field)]
    assert hint in hint_of(wrong)
    assert cases_of(right) == []


@pytest.mark.parametrize(("ahead_us", "told"), [(5_000_000, False), (5_000_001, True)])
def test_a_clock_more_than_five_seconds_ahead_of_this_machine_is_told(ahead_us: int, told: bool) -> None:
    assert cases_of(action(), now_us=T0_US - ahead_us) == [("clock_ahead", "time")] * told


@pytest.mark.parametrize(("ahead_us", "words"), [(600_000_000, "NTP"), (600_000_001, "would be refused")])
def test_a_clock_more_than_ten_minutes_ahead_would_be_refused_when_sent(ahead_us: int, words: str) -> None:
    (found,) = findings_of(action(), now_us=T0_US - ahead_us)
    assert words in found.hint


def test_where_a_file_says_the_arrival_that_is_the_clock() -> None:
    line = action() | {"time": "2026-11-24T09:00:00Z", "arrival": "2026-11-24T08:59:54Z"}
    assert cases_of(line) == [("clock_ahead", "time")]
    assert cases_of(line | {"arrival": "2026-11-24T08:59:55Z"}) == []


# by policies
POLICIES = """\
version: 1
defaults: {same_session: false}
sources:
  - {name: /idp, proves: [step_up]}
  - {name: /payments/api, silent_after: 5m}
identities:
  - {subject: alice, aliases: ["alice@acme.example"]}
policies:
  - id: payout-approve
    match: {action: ["payments.payout.*"], resource_type: [payout]}
    require: {amr_any: [hwk, otp], same_session: true, binding: transaction}
    exempt: {when: "subject.startsWith('svc-')"}
  - id: key-export
    match: {action: ["kms.key.export"]}
    require: {amr_any: [hwk], acr_any: [phr], same_session: true, same_device: true, same_ip: true}
  - id: elsewhere
    match: {action: ["payments.*"], tenant: [other]}
    require: {amr_any: [sms], same_session: true}
"""
LOGIN_POLICY = "version: 1\npolicies: [{id: any, require: {accept: [login]}}]"


def app(**said: Any) -> Row:
    data = {"transaction": "t", "session": "s", **said}
    return action(**data) | {"source": "/payments/api"}


def proved(**said: Any) -> Row:
    return proof(**{"session": "s", "acr": "phr", **said})


BY_POLICY: dict[str, Case] = {
    "an action without session": (
        app(session=GONE),
        app(session=GONE, root_session="l"),
        "no_session",
        "data.session",
        "session is missing: policy payout-approve demands same_session and can never be met",
    ),
    "a proof without session": (
        proved(session=GONE),
        proved(session=GONE, root_session="l"),
        "no_session",
        "data.session",
        "session is missing: policies payout-approve and key-export demand same_session and can never be met",
    ),
    "an action without transaction": (
        app(transaction=GONE),
        app(),
        "no_transaction",
        "data.transaction",
        "policy payout-approve demands binding",
    ),
    "a proof for such an action without transaction": (
        proved(bound_action="payments.payout.approve"),
        proved(bound_action="payments.payout.approve", transaction="t"),
        "no_transaction",
        "data.transaction",
        "policy payout-approve demands binding: transaction and can never be met",
    ),
    "an action without device": (
        app(action="kms.key.export", client={"ip": "1.2.3.4"}),
        app(action="kms.key.export", client={"ip": "1.2.3.4", "device": "d"}),
        "no_device",
        "data.client.device",
        "policy key-export demands same_device",
    ),
    "an action without address": (
        app(action="kms.key.export", client={"device": "d"}),
        app(action="kms.key.export", client={"ip": "1.2.3.4", "device": "d"}),
        "no_ip",
        "data.client.ip",
        "policy key-export demands same_ip",
    ),
    "an action without the type that a policy asks for": (
        app(resource={"sensitivity": "high"}),
        app(resource={"type": "x", "sensitivity": "high"}),
        "no_resource_type",
        "data.resource.type",
        "policy payout-approve asks for a resource_type",
    ),
    "a proof by a source that may not prove": (
        proved() | {"source": "/payments/api"},
        proved(),
        "may_not_prove",
        "source",
        "proves: [step_up]",
    ),
    "a source that is nearly one of those listed": (
        app() | {"source": "/payment/api"},
        app() | {"source": "/crm"},
        "source_unlisted",
        "source",
        "did you mean /payments/api?",
    ),
    "a heartbeat of a source that is nearly one of those listed": (
        core_event("heartbeat", source="/ipd"),
        core_event("heartbeat", source="/idp"),
        "source_unlisted",
        "source",
        "did you mean /idp?",
    ),
    "a factor that no policy takes": (
        proved(amr=["sms"]),
        proved(amr=["sms", "otp"]),
        "amr_not_accepted",
        "data.amr",
        "payout-approve and key-export",
    ),
    "a class that no policy of that action takes": (
        proved(acr="low", bound_action="kms.key.export"),
        proved(bound_action="kms.key.export"),
        "acr_not_accepted",
        "data.acr",
        "policy key-export cannot be met",
    ),
    "an alias that nobody lists": (
        app() | {"subject": "bob@acme.example"},
        app() | {"subject": "alice@acme.example"},
        "subject_unlisted",
        "subject",
        "`identities`",
    ),
}


@pytest.mark.parametrize("name", BY_POLICY)
def test_what_the_policies_cannot_use_is_told_and_its_right_twin_is_not(name: str) -> None:
    wrong, right, code, field, hint = BY_POLICY[name]
    assert cases_of(wrong, POLICIES) == [(code, field)]
    assert hint in hint_of(wrong, POLICIES)
    assert cases_of(right, POLICIES) == []
    assert cases_of(wrong) == [], "it is the policies that cannot use it"


def test_an_exempt_action_needs_neither_session_nor_transaction() -> None:
    bare = app(session=GONE, transaction=GONE)
    assert cases_of(bare | {"subject": "svc-1"}, POLICIES) == []
    assert cases_of(bare, POLICIES) == [("no_session", "data.session"), ("no_transaction", "data.transaction")]


def test_a_policy_of_another_tenant_asks_nothing_of_this_one() -> None:
    other = proved(tenant="other", amr=["sms"], session=GONE, bound_action="payments.x")
    assert hint_of(other, POLICIES) == "session is missing: policy elsewhere demands same_session and can never be met"


def test_a_login_without_amr_is_told_where_a_policy_accepts_logins() -> None:
    login = core_event("session.started", data={"session": "s"})
    assert cases_of(login) == cases_of(login, POLICIES) == []
    assert cases_of(login, LOGIN_POLICY) == [("no_amr", "data.amr")]
    assert "policy any accepts a login" in hint_of(login, LOGIN_POLICY)


def test_of_many_policies_some_are_named_and_the_rest_counted() -> None:
    policies = "".join(f"\n  - {{id: p{number}}}" for number in range(8))
    hint = hint_of(proof(), f"version: 1\npolicies:{policies}")
    assert "policies p0, p1, p2, p3, p4 and 3 more demand same_session" in hint


def test_the_set_in_force_at_the_time_of_the_event_is_asked() -> None:
    old = build_set([("a.yaml", "version: 1\npolicies: []")], None)
    new = build_set([("b.yaml", "version: 1\npolicies: [{id: new}]")], T0_US)
    checker = Checker(Demands(PolicySets([old, new])), FAR_US)
    before = proof() | {"time": "2026-11-24T08:59:59Z", "id": "before"}
    assert checker.look(raw(before), Origin("", 1))[1] == []
    (found,) = checker.look(raw(proof()), Origin("", 2))[1]
    assert "policy new demands" in found.hint


def test_copies_and_conflicts_within_a_file_are_told_by_canonical_subject(tmp_path: Path) -> None:
    first = payout("p-1", "10:00:00", resource={"sensitivity": "low", "type": "payout"}, transaction="t")
    alias = {**first, "subject": "alice@acme.example"}
    other = {**alias, "time": "2026-11-24T10:00:01Z"}
    lines = write_events(tmp_path / "e.jsonl", first, first, alias, other, event("session.started", "p-1", "10:00:00"))
    policy = write_policy(tmp_path, POLICIES)
    rows = run(tmp_path, "events", "check", "--json", lines, "--policy", policy).rows
    assert [(row["line"], row["code"]) for row in rows] == [(2, "copy"), (3, "conflict"), (4, "conflict")]
    assert {row["line"]: row["got"] for row in rows}[3] == '"p-1", as on line 1'
