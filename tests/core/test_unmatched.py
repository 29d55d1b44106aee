"""Who only ever acts or only ever proves, and who the other half may be."""

from __future__ import annotations

import json

import pytest

from stepwatch.sources.names import Name, Names
from stepwatch.streams.decode import Event, decode
from stepwatch.streams.proposing import Evidence
from stepwatch.streams.unmatched import Tally, Unmatched
from tests.core.driver import Row, sets_of
from tests.core.given import action, event, policy, step, verified

MAIL = "rosa@corp.example"


def unmatched(*events: Row, names: tuple[tuple[str, str], ...] = (), policies: str = "") -> list[Unmatched]:
    """What is found in some events; `names` are pairs that rows of Okta name together."""
    tally, evidence = Tally(sets_of(policies or policy())), Evidence()
    for said in events:
        decoded = decode(json.dumps(said).encode(), None)
        assert isinstance(decoded, Event)
        tally.add(decoded)
    for who, other in names:
        evidence.add("okta", "f", [Names(Name(who, "actor.id"), (Name(other, "actor.alternateId"),))])
    return tally.unmatched(evidence)


def partners(found: list[Unmatched]) -> dict[str, list[str]]:
    return {one.subject: [partner.subject for partner in one.partners] for one in found}


def test_one_who_acts_and_proves_is_matched() -> None:
    assert unmatched(action(), verified()) == []


def test_a_deed_under_one_name_and_its_proof_under_another_are_two_halves() -> None:
    acts, proves = unmatched(action(subject="alice"), action("b", subject="alice"), verified(subject="00u1"))
    assert (acts.subject, acts.only, acts.times, acts.policed, acts.sources) == ("alice", "acts", 2, 2, ("/app",))
    assert (proves.subject, proves.only, proves.times, proves.policed) == ("00u1", "proves", 1, 0)


def test_an_alias_of_the_policies_joins_them() -> None:
    known = policy(more='identities: [{subject: alice, aliases: ["00u1"]}]')
    assert unmatched(action(), verified(subject="00u1"), policies=known) == []


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (step("denied", subject="bob"), []),
        (step("challenged", subject="bob"), []),
        (event("session.started", "s", subject="bob"), []),
        (event("session.started", "s", subject="bob", amr=["pwd"]), ["bob"]),
        (verified(subject="bob"), ["bob"]),
    ],
    ids=["a refusal", "a prompt", "a login that says no factor", "a login by password", "a step-up"],
)
def test_only_a_verification_proves(evidence: Row, found: list[str]) -> None:
    assert [one.subject for one in unmatched(evidence)] == found


def test_whose_actions_are_policed_comes_first_for_there_the_alerts_are() -> None:
    free = [action(f"f{n}", subject="free", action="x.y") for n in range(3)]
    assert [(one.subject, one.policed) for one in unmatched(*free, action(subject="held"))] == [
        ("held", 1),
        ("free", 0),
    ]


def test_two_names_in_one_row_make_a_likely_partner() -> None:
    found = unmatched(action(subject=MAIL), verified(subject="00u1"), names=(("00u1", MAIL),))
    assert partners(found) == {MAIL: ["00u1"], "00u1": [MAIL]}
    assert found[0].partners[0].why == f"rows name both beside {MAIL}"


def test_a_partner_may_be_one_who_acts_and_proves() -> None:
    half = action(subject=MAIL)
    found = unmatched(half, action("b", subject="00u1"), verified(subject="00u1"), names=(("00u1", MAIL),))
    assert partners(found) == {MAIL: ["00u1"]}


def test_a_word_that_both_are_called_is_a_weaker_reason() -> None:
    found = unmatched(action(subject="arn:aws:iam::1:user/Rosa"), verified(subject=MAIL))
    assert [partner.why for one in found for partner in one.partners] == ["both are called rosa"] * 2


def test_somebody_of_another_tenant_is_no_partner() -> None:
    assert partners(unmatched(action(subject="rosa"), verified(subject=MAIL, tenant="t2"))) == {"rosa": [], MAIL: []}


@pytest.mark.parametrize(("people", "named"), [(3, 3), (4, 0)])
def test_who_might_be_more_than_three_is_probably_none_of_them(people: int, named: int) -> None:
    proofs = [verified(f"v{n}", subject=f"rosa@c{n}.example") for n in range(people)]
    found = partners(unmatched(action(subject="rosa"), *proofs))
    assert len(found["rosa"]) == named
