"""Who is who by the rows: what is joined, what is contested, what is only a hint."""

from __future__ import annotations

import itertools
import time

import pytest

from stepwatch.sources.names import Name, Names
from stepwatch.streams.proposing import Conflict, Evidence, Hint, Proposed, words_of

MAIL = "rosa@corp.example"
ARN = "arn:aws:sts::1:assumed-role/Admin/" + MAIL
Row = tuple[str, str, str]
"""(source, who, another name); a who that begins with `arn:` is a role's session."""


def evidence(*rows: Row, ids: tuple[str, ...] = ()) -> Evidence:
    made = Evidence()
    for source, who, other in rows:
        name = Name(other, "other", other in ids)
        made.add(source, f"{source}.log", [Names(Name(who, "who"), (name,), not who.startswith("arn:"))])
    return made


def proposed(*rows: Row, ids: tuple[str, ...] = ()) -> Proposed:
    return evidence(*rows, ids=ids).propose()


def people(found: Proposed) -> dict[str, list[str]]:
    return {one.subject: [alias.name for alias in one.aliases] for one in found.proposals}


def test_a_profile_and_its_address_are_one_person() -> None:
    assert people(proposed(("okta", "00u1", MAIL))) == {MAIL: ["00u1"]}


def test_an_address_joins_people_of_several_products_whatever_its_case() -> None:
    found = proposed(("okta", "00u1", MAIL), ("entra", "7f", "Rosa@Corp.example"), ("cloudtrail", ARN, MAIL))
    assert people(found) == {MAIL: ["00u1", "7f", "Rosa@Corp.example", ARN]}
    assert found.conflicts == []


def test_an_address_with_thousands_of_roles_takes_no_longer_than_as_many_addresses() -> None:
    began_s = time.process_time()
    found = proposed(*(("cloudtrail", f"arn:{number}/x", MAIL) for number in range(8000)))
    assert len(found.proposals[0].aliases) == 8000
    assert time.process_time() - began_s < 3


def test_an_id_that_a_product_made_joins_and_a_bare_word_does_not() -> None:
    assert people(proposed(("cloudtrail", "arn:x/rosa", "AIDA1"), ids=("AIDA1",))) == {"AIDA1": ["arn:x/rosa"]}
    assert people(proposed(("cloudtrail", "arn:x/rosa", "rosa"))) == {}


def test_an_arn_that_ends_in_an_address_is_no_address() -> None:
    assert people(proposed(("cloudtrail", ARN, MAIL))) == {MAIL: [ARN]}
    assert people(proposed(("cloudtrail", ARN, MAIL), ("cloudtrail", ARN.replace("rosa", "Rosa"), "x"))) == {
        MAIL: [ARN]
    }


def test_many_sessions_of_roles_may_be_one_person() -> None:
    found = proposed(("cloudtrail", "arn:a/x", MAIL), ("cloudtrail", "arn:b/x", MAIL))
    assert people(found) == {MAIL: ["arn:a/x", "arn:b/x"]}


def test_an_address_that_two_accounts_of_one_product_claim_is_a_conflict_and_joins_nobody() -> None:
    found = proposed(("okta", "00u1", MAIL), ("okta", "00u2", MAIL), ("okta", "00u2", MAIL), ("entra", "7f", MAIL))
    assert people(found) == {}
    (conflict,) = found.conflicts
    assert (conflict.names, conflict.source, conflict.accounts) == ((MAIL,), "okta", ("00u1", "00u2"))
    assert [(basis.beside, basis.rows) for basis in conflict.evidence] == [("00u2", 2), ("00u1", 1)]


def test_accounts_that_only_a_chain_of_names_would_join_are_a_conflict_too() -> None:
    rows = [("okta", "00u1", MAIL), ("okta", "00u2", "r@corp.example")]
    found = proposed(*rows, ("entra", "7f", MAIL), ("entra", "7f", "r@corp.example"))
    assert people(found) == {}
    assert [(one.source, one.accounts) for one in found.conflicts] == [("okta", ("00u1", "00u2"))]


def test_what_is_not_contested_is_proposed_beside_a_conflict() -> None:
    rows = [("okta", "00u1", "all@corp.example"), ("okta", "00u2", "all@corp.example"), ("okta", "00u1", MAIL)]
    found = proposed(*rows)
    assert people(found) == {MAIL: ["00u1"]}
    assert [one.names for one in found.conflicts] == [("all@corp.example",)]


def test_an_alias_says_in_which_file_field_and_rows_it_stands() -> None:
    (person,) = proposed(("okta", "00u1", MAIL), ("okta", "00u1", MAIL)).proposals
    assert person.aliases[0].evidence == ((2, "okta.log", "who", MAIL),)


def test_a_word_that_two_people_are_called_by_is_a_hint() -> None:
    found = proposed(("okta", "00u1", MAIL), ("keycloak", "9a7e", "rosa"), ("duo", "Rosa", "r.d@corp.example"))
    assert found.hints == [Hint("rosa", ("00u1", "9a7e", "Rosa"))]


def test_a_contested_address_is_no_hint_on_top() -> None:
    assert proposed(("okta", "00u1", MAIL), ("okta", "00u2", MAIL)).hints == []


@pytest.mark.parametrize(("people_called_so", "hints"), [(4, 1), (5, 0)])
def test_a_word_that_more_than_four_people_share_hints_at_nobody(people_called_so: int, hints: int) -> None:
    rows = [("keycloak", f"id-{n}", "admin") for n in range(people_called_so)]
    assert len([hint for hint in proposed(*rows).hints if hint.word == "admin"]) == hints


def test_the_order_of_rows_changes_nothing() -> None:
    rows = [("okta", "00u1", MAIL), ("okta", "00u2", "b@c.de"), ("entra", "7f", "B@c.de"), ("duo", "rosa", "rosa")]
    first, *others = (proposed(*order) for order in itertools.permutations(rows))
    assert all(other == first for other in others)


def test_contested_names_are_still_told_to_whoever_looks_for_a_partner() -> None:
    joined = evidence(("okta", "00u1", MAIL), ("okta", "00u2", MAIL)).joined()
    assert joined["00u1"] == {"00u1", "00u2", MAIL}


@pytest.mark.parametrize(
    ("name", "words"),
    [(ARN, {"rosa"}), ("arn:aws:iam::1:user/path/rosa", {"rosa"}), (MAIL, {"rosa"}), ("Rosa", {"rosa"}), ("ab", set())],
)
def test_a_name_calls_somebody_by_its_last_part(name: str, words: set[str]) -> None:
    assert words_of(name) == words


def test_no_row_proposes_nothing() -> None:
    assert proposed() == Proposed([], list[Conflict](), [])
