"""Filters 1 to 7 of contract section 5: what a candidate fails, each at its edge."""

from typing import Any

import pytest

from tests.core.driver import T0_US
from tests.core.given import (
    PAYOUT,
    US,
    VERIFIED,
    D,
    M,
    Row,
    S,
    action,
    event,
    judged,
    policy,
    says,
    unverified,
    verdict,
    verified,
)

PROVES = "{name: /idp, proves: [step_up]}, {name: /sso, proves: [login]}, {name: /feed}"
BOTH = "accept: [step_up, login]"


def revoked(at: int, event_id: str = "r", **fields: Any) -> Row:
    return event("session.revoked", event_id, at, **fields)


def changed(at: int, change: str = "revoked", credential: str = "key-1", **fields: Any) -> Row:
    return event("credential.changed", f"c{at}", at, change=change, credential=credential, **fields)


# untrusted_source


def test_any_source_can_prove_where_none_is_listed_with_proves() -> None:
    assert says(policy(), verified(source="/x"), action()) == VERIFIED
    assert says(policy(sources="{name: /idp}"), verified(source="/x"), action()) == VERIFIED


@pytest.mark.parametrize("source", ["/sso", "/feed", "/unknown", "/IDP"])
def test_once_one_source_is_listed_with_proves_others_prove_nothing(source: str) -> None:
    trusted = policy(sources=PROVES)
    assert says(trusted, verified(source=source), action()) == unverified("untrusted_source")
    assert says(trusted, verified(source="/idp"), action()) == VERIFIED


def test_a_source_proves_only_the_kinds_that_it_is_listed_with() -> None:
    trusted = policy(BOTH, sources=PROVES)
    at_idp = event("session.started", "l", -M, session="s1", amr=["pwd"], source="/idp")
    at_sso = event("session.started", "l", -M, session="s1", amr=["pwd"], source="/sso")
    assert says(trusted, at_idp, action()) == unverified("untrusted_source")
    assert says(trusted, at_sso, action()) == ("verified", "login")


# wrong_session


@pytest.mark.parametrize(
    ("of_action", "of_proof", "covers"),
    [
        ({"session": "s1"}, {"session": "s1"}, True),
        ({"session": "s1"}, {"session": "s2"}, False),
        ({"session": "s1"}, {"session": "S1"}, False),
        ({"session": "s1", "root_session": "r"}, {"session": "s2", "root_session": "r"}, True),
        ({"session": "s1", "root_session": "r"}, {"session": "s1", "root_session": "q"}, True),
        ({"session": "s1", "root_session": "r"}, {"session": "r"}, True),
        ({"session": "r"}, {"session": "s2", "root_session": "r"}, True),
        ({"root_session": "r"}, {"root_session": "r"}, True),
        ({"root_session": "r"}, {"session": "r"}, True),
        ({"session": "s1", "root_session": "r"}, {"session": "s2"}, False),
        ({"session": ""}, {"session": ""}, False),
        ({"session": None}, {"session": None}, False),
        ({"session": "s1"}, {"session": ""}, False),
        ({"session": ""}, {"session": "s1"}, False),
    ],
)
def test_with_same_session_the_sessions_or_the_roots_are_present_and_equal(
    of_action: Row, of_proof: Row, covers: bool
) -> None:
    nothing: Row = {"session": None, "root_session": None}
    said = says(policy(), verified(**{**nothing, **of_proof}), action(**{**nothing, **of_action}))
    assert said == (VERIFIED if covers else unverified("wrong_session"))


def test_without_same_session_any_session_will_do() -> None:
    loose = policy("same_session: false")
    assert says(loose, verified(session="s2"), action()) == VERIFIED
    assert says(loose, verified(session=None), action(session=None)) == VERIFIED


# voided


def test_a_revocation_voids_a_proof_made_before_it() -> None:
    assert says(policy(), verified(at=-M), revoked(-30 * S, session="s1"), action()) == unverified("voided")


@pytest.mark.parametrize(
    ("at", "voids"), [(-M, False), (-M + US, True), (0, True), (US, False)], ids=["at", "after", "action", "later"]
)
def test_a_revocation_voids_from_just_after_the_proof_to_the_action_inclusive(at: int, voids: bool) -> None:
    for lost in (revoked(at, session="s1"), changed(at)):
        said = says(policy(), verified(at=-M, credential="key-1"), lost, action())
        assert said == (unverified("voided") if voids else VERIFIED)


def test_a_revocation_after_auth_time_voids_though_it_comes_before_the_event() -> None:
    proof = verified(at=-10 * S, auth_time=T0_US // S - 120)
    assert says(policy(), proof, revoked(-M, session="s1"), action()) == unverified("voided")


@pytest.mark.parametrize(
    ("named", "voids"),
    [
        ({}, True),
        ({"session": ""}, True),
        ({"session": "s1"}, True),
        ({"session": "s2"}, False),
        ({"session": "root"}, True),
        ({"root_session": "root"}, True),
        ({"root_session": "s1"}, True),
        ({"root_session": "other"}, False),
        ({"session": "s2", "root_session": "root"}, False),
    ],
)
def test_a_revocation_names_a_session_or_its_root_or_else_all(named: Row, voids: bool) -> None:
    proof = verified(session="s1", root_session="root")
    said = says(policy(), proof, revoked(-30 * S, **named), action(root_session="root"))
    assert said == (unverified("voided") if voids else VERIFIED)


def test_a_session_revoked_without_root_is_its_own_root() -> None:
    assert says(policy(), verified(), revoked(-30 * S, root_session="s1"), action()) == unverified("voided")


def test_a_later_proof_counts_again_after_a_revocation() -> None:
    rows = judged(policy(), verified("old", -3 * M), revoked(-2 * M), verified("new", -M), action())
    assert rows["a"]["verification"] == "new"


@pytest.mark.parametrize("change", ["created", "updated"])
def test_only_the_revocation_of_a_credential_voids(change: str) -> None:
    assert says(policy(), verified(credential="key-1"), changed(-30 * S, change), action()) == VERIFIED


def test_the_revocation_of_another_credential_or_of_none_voids_nothing() -> None:
    assert says(policy(), verified(credential="key-2"), changed(-30 * S), action()) == VERIFIED
    assert says(policy(), verified(), changed(-30 * S), action()) == VERIFIED


def test_a_revocation_of_another_subject_voids_nothing() -> None:
    assert says(policy(), verified(), revoked(-30 * S, subject="bob"), action()) == VERIFIED


def test_a_revocation_counts_until_the_close_and_not_a_microsecond_longer() -> None:
    close = 10 * S + 60 * M
    at_close = revoked(-30 * S, session="s1", arrival=close)
    past_it = revoked(-30 * S, session="s1", arrival=close + US)
    assert says(policy(), verified(), at_close, action()) == unverified("voided")
    assert says(policy(), verified(), past_it, action()) == VERIFIED


# weak_factor


@pytest.mark.parametrize(
    ("amr", "covers"), [(["hwk"], True), (["pwd", "otp"], True), (["pwd"], False), ([], False), (["HWK"], False)]
)
def test_one_of_the_methods_is_in_amr_any(amr: list[str], covers: bool) -> None:
    said = says(policy("amr_any: [hwk, otp]"), verified(amr=amr), action())
    assert said == (VERIFIED if covers else unverified("weak_factor"))


@pytest.mark.parametrize(("acr", "covers"), [("phr", True), ("phrh", True), ("Phr", False), ("", False), (None, False)])
def test_the_class_is_exactly_one_of_acr_any(acr: str, covers: bool) -> None:
    said = says(policy("acr_any: [phr, phrh]"), verified(acr=acr), action())
    assert said == (VERIFIED if covers else unverified("weak_factor"))


def test_where_both_are_set_both_are_asked() -> None:
    both = policy("amr_any: [hwk], acr_any: [phr]")
    assert says(both, verified(acr="phr"), action()) == VERIFIED
    assert says(both, verified(acr="low"), action()) == unverified("weak_factor")
    assert says(both, verified(acr="phr", amr=["otp"]), action()) == unverified("weak_factor")


# stale


def test_a_verification_exactly_max_age_old_still_covers() -> None:
    assert says(policy("max_age: 5m"), verified(at=-5 * M), action()) == VERIFIED


def test_a_verification_a_microsecond_older_than_max_age_is_stale() -> None:
    assert says(policy("max_age: 5m"), verified(at=-5 * M - US), action()) == unverified("stale")


def test_age_is_from_auth_time_and_is_not_rearmed_by_use_or_by_a_newer_report() -> None:
    seconds = T0_US // S
    reported_again = verified("again", -10 * S, auth_time=seconds - 301)
    assert says(policy("max_age: 5m"), reported_again, action()) == unverified("stale")
    rows = judged(policy("max_age: 5m"), verified(at=-7 * M), action("used", -3 * M), action("a"))
    assert (verdict(rows, "used"), verdict(rows, "a")) == (VERIFIED, unverified("stale"))


# wrong_binding


def test_without_a_binding_any_challenge_will_do() -> None:
    assert says(policy(), verified(bound_action="x.y", transaction="t9"), action(transaction="t1")) == VERIFIED


@pytest.mark.parametrize(("bound", "covers"), [(PAYOUT, True), ("payments.payout", False), ("", False), (None, False)])
def test_bound_to_an_action_the_challenge_was_for_that_action(bound: str, covers: bool) -> None:
    said = says(policy("binding: action"), verified(bound_action=bound), action())
    assert said == (VERIFIED if covers else unverified("wrong_binding"))


@pytest.mark.parametrize(
    ("of_action", "of_proof", "covers"),
    [("t1", "t1", True), ("t1", "t2", False), ("t1", None, False), (None, "t1", False), ("", "", False)],
)
def test_bound_to_a_transaction_both_are_present_and_equal(of_action: str, of_proof: str, covers: bool) -> None:
    said = says(policy("binding: transaction"), verified(transaction=of_proof), action(transaction=of_action))
    assert said == (VERIFIED if covers else unverified("wrong_binding"))


def test_a_challenge_does_not_lend_its_binding_to_the_verification() -> None:
    challenged = event("stepup.challenged", "c", -2 * M, session="s1", challenge="ch", transaction="t1")
    bound = policy("binding: transaction")
    answered = verified(challenge="ch")
    assert says(bound, challenged, answered, action(transaction="t1")) == unverified("wrong_binding")


# context_mismatch


@pytest.mark.parametrize(("of_action", "of_proof", "covers"), [("d", "d", True), ("d", "e", False), ("", "", False)])
def test_with_same_device_both_are_present_and_equal(of_action: str, of_proof: str, covers: bool) -> None:
    said = says(
        policy("same_device: true"), verified(client={"device": of_proof}), action(client={"device": of_action})
    )
    assert said == (VERIFIED if covers else unverified("context_mismatch"))


@pytest.mark.parametrize(
    ("of_action", "of_proof", "covers"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
        ("::FFFF:cb00:7107", "203.0.113.7", True),
        ("2001:db8::1", "2001:0DB8:0:0:0:0:0:1", True),
        ("2001:db8::1", "2001:db8::2", False),
        ("no address", "no address", True),
        ("", "", False),
        ("203.0.113.7", None, False),
    ],
)
def test_with_same_ip_addresses_compare_as_addresses(of_action: str, of_proof: str, covers: bool) -> None:
    said = says(policy("same_ip: true"), verified(client={"ip": of_proof}), action(client={"ip": of_action}))
    assert said == (VERIFIED if covers else unverified("context_mismatch"))


def test_without_them_the_client_is_not_asked() -> None:
    assert says(policy(), verified(client={"ip": "203.0.113.7"}), action(client={"ip": "198.51.100.1"})) == VERIFIED


# all of them


def test_each_filter_is_judged_on_each_candidate_and_their_names_come_in_their_order() -> None:
    strict = policy(
        "amr_any: [otp], max_age: 5m, binding: action, same_ip: true, max_uses: 1",
        sources="{name: /other, proves: [step_up]}",
    )
    wrong = verified(at=-D + M, session="s9")
    rows = judged(strict, wrong, revoked(-M), action())
    assert rows["a"]["nearest_miss"]["failed"] == [
        "untrusted_source",
        "wrong_session",
        "voided",
        "weak_factor",
        "stale",
        "wrong_binding",
        "context_mismatch",
    ]


def test_claims_on_the_action_itself_prove_nothing() -> None:
    claimed = action(token={"acr": "phr", "amr": ["hwk"], "auth_time": T0_US // S}, verification="v")
    said = says(policy(), claimed)
    assert said == unverified("no_step_up")
