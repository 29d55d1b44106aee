"""Which verifications are candidates, which of them is chosen, and what is on record of it (contract section 5)."""

from typing import Any

import pytest

from stepwatch.streams.sets import PolicySets, build_set
from tests.core.driver import T0_US
from tests.core.given import (
    US,
    VERIFIED,
    D,
    H,
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

LOGIN = policy("accept: [login], max_age: 1h", defaults="same_session: true")


def login(event_id: str = "l", at: int = -M, **fields: Any) -> Row:
    return event("session.started", event_id, at, **{"session": "s1", "amr": ["pwd"], **fields})


def test_a_step_up_covers_where_step_up_is_accepted() -> None:
    assert says(policy(), verified(), action()) == VERIFIED


def test_a_login_covers_where_login_is_accepted() -> None:
    assert says(LOGIN, login(), action()) == ("verified", "login")


def test_a_login_is_no_candidate_by_default() -> None:
    assert says(policy("max_age: 1h"), login(), action()) == unverified("no_step_up")


def test_a_step_up_is_no_candidate_where_only_login_is_accepted() -> None:
    assert says(LOGIN, verified(), action()) == unverified("no_step_up")


def test_both_kinds_cover_where_both_are_accepted() -> None:
    both = policy("accept: [login, step_up], max_age: 1h")
    rows = judged(both, login(at=-2 * M), verified(at=-M), action("a"), action("b", -90 * S))
    assert verdict(rows) == VERIFIED
    assert verdict(rows, "b") == ("verified", "login")


@pytest.mark.parametrize("amr", [[], [""], None])
def test_a_login_without_a_factor_is_no_verification(amr: object) -> None:
    assert says(LOGIN, login(amr=amr), action()) == unverified("no_step_up")


def test_a_step_up_without_a_factor_is_a_verification() -> None:
    assert says(policy(), verified(amr=[]), action()) == VERIFIED


def test_a_proof_exactly_lookback_old_is_a_candidate() -> None:
    old = policy("max_age: 1h", defaults="lookback: 1h")
    assert says(old, verified(at=-H), action()) == VERIFIED


def test_a_proof_a_microsecond_older_than_lookback_is_no_candidate() -> None:
    old = policy("max_age: 1h", defaults="lookback: 1h")
    assert says(old, verified(at=-H - US), action()) == unverified("no_step_up")


def test_lookback_goes_by_when_it_was_proved_and_not_by_the_event_s_time() -> None:
    old = policy("max_age: 1h", defaults="lookback: 1h")
    seconds = T0_US // S
    assert says(old, verified(at=-M, auth_time=seconds - 3600), action()) == VERIFIED
    assert says(old, verified(at=-M, auth_time=seconds - 3601), action()) == unverified("no_step_up")


def test_a_proof_exactly_clock_skew_after_the_action_covers() -> None:
    assert says(policy(), verified(at=5 * S), action()) == VERIFIED


def test_a_proof_a_microsecond_beyond_the_skew_came_after_the_fact() -> None:
    assert says(policy(), verified(at=5 * S + US), action()) == unverified("after_the_fact")


def test_with_no_skew_a_proof_of_the_same_microsecond_covers() -> None:
    exact = policy(defaults="clock_skew: 0s")
    assert says(exact, verified(at=0), action()) == VERIFIED
    assert says(exact, verified(at=US), action()) == unverified("after_the_fact")


def test_the_skew_goes_by_the_event_s_time_and_not_by_when_it_was_proved() -> None:
    seconds = T0_US // S
    late = verified(at=5 * S + US, auth_time=seconds - 60)
    assert says(policy(), late, action()) == unverified("after_the_fact")


def test_a_proof_of_another_subject_or_tenant_is_no_candidate() -> None:
    assert says(policy(), verified(subject="bob"), action()) == unverified("no_step_up")
    assert says(policy(), verified(tenant="acme"), action()) == unverified("no_step_up")


def test_a_proof_under_an_alias_is_the_subject_s_own() -> None:
    aliased = policy(more='identities: [{subject: alice, aliases: ["alice@corp"]}]')
    assert says(aliased, verified(subject="alice@corp"), action()) == VERIFIED


def test_a_proof_that_arrives_exactly_at_the_close_counts() -> None:
    close = 10 * S + H
    assert says(policy(), verified(arrival=close), action()) == VERIFIED


def test_a_proof_that_arrives_a_microsecond_after_the_close_does_not_count() -> None:
    close = 10 * S + H
    assert says(policy(), verified(arrival=close + US), action()) == unverified("no_step_up")


def test_the_close_goes_by_the_arrival_of_the_action_and_not_by_its_time() -> None:
    late = action(arrival=2 * H)
    assert says(policy(), verified(arrival=3 * H + 10 * S), late) == VERIFIED
    assert says(policy(), verified(arrival=3 * H + 10 * S + US), late) == unverified("no_step_up")


def test_grace_and_revise_within_make_the_close() -> None:
    short = policy(defaults="revise_within: 2s", alert="grace: 3s")
    assert says(short, verified(arrival=5 * S), action()) == VERIFIED
    assert says(short, verified(arrival=5 * S + US), action()) == unverified("no_step_up")


def test_an_action_that_arrived_exactly_accept_late_after_its_time_is_judged() -> None:
    assert says(policy(), verified(), action(arrival=D)) == VERIFIED


def test_an_action_a_microsecond_later_than_accept_late_is_too_late_even_with_a_proof() -> None:
    assert says(policy(), verified(), action(arrival=D + US)) == ("blind", "too_late")


def test_the_proof_made_last_is_chosen() -> None:
    rows = judged(policy(), verified("old", -2 * M), verified("new", -M), action())
    assert (rows["a"]["verification"], rows["a"]["age_us"]) == ("new", M)


def test_the_proof_made_last_is_chosen_whichever_was_reported_last() -> None:
    seconds = T0_US // S
    reported_last = verified("reported-last", -10 * S, auth_time=seconds - 120)
    rows = judged(policy(), verified("made-last", -M), reported_last, action())
    assert rows["a"]["verification"] == "made-last"


def test_of_proofs_made_at_once_the_greatest_time_then_source_then_id_is_chosen() -> None:
    seconds = T0_US // S
    same_at = [
        verified("e-10", -60 * S, source="/idp"),
        verified("e-9", -60 * S, source="/idp"),
        verified("e-1", -60 * S, source="/idq"),
        verified("x", -59 * S, source="/aaa", auth_time=seconds - 60),
    ]
    for count, chosen in ((1, "e-10"), (2, "e-9"), (3, "e-1"), (4, "x")):
        assert judged(policy(), *same_at[:count], action())["a"]["verification"] == chosen


def test_a_greater_candidate_that_fails_a_filter_does_not_displace_one_that_passes() -> None:
    rows = judged(policy(), verified("mine", -2 * M), verified("other", -M, session="s9"), action())
    assert rows["a"]["verification"] == "mine"


def test_the_proof_s_own_id_is_on_record_or_else_the_event_s() -> None:
    assert judged(policy(), verified("v"), action())["a"]["verification"] == "v"
    assert judged(policy(), verified("v", verification="proof-7"), action())["a"]["verification"] == "proof-7"


def test_the_age_on_record_is_from_the_proof_and_negative_within_the_skew() -> None:
    seconds = T0_US // S
    assert judged(policy(), verified(at=5 * S), action())["a"]["age_us"] == -5 * S
    cut = verified(at=-10 * S, auth_time=seconds - 59.5)
    assert judged(policy(), cut, action())["a"]["age_us"] == 60 * S


@pytest.mark.parametrize(
    ("auth_time", "age"),
    [(-62, 62 * S), (-61, 61 * S), (-60, 59_500_000), (-59, 59_500_000), (100, 59_500_000)],
    ids=["earlier", "the second before", "the same second", "the second after", "far later"],
)
def test_auth_time_counts_only_where_it_is_an_earlier_whole_second(auth_time: int, age: int) -> None:
    proof = verified(at=-59_500_000, auth_time=T0_US // S + auth_time)
    assert judged(policy(), proof, action())["a"]["age_us"] == age


def test_a_requirement_is_the_one_of_the_set_in_force_at_the_action_s_time() -> None:
    strict, loose = policy("max_age: 1m"), policy("max_age: 10m")
    sets = PolicySets(
        [build_set([("p.yaml", strict)], None), build_set([("p.yaml", loose)], T0_US)],
    )
    rows = judged(sets, verified(at=-2 * M), action("b", -US), action("a", 0))
    assert verdict(rows, "b") == unverified("stale")
    assert verdict(rows, "a") == VERIFIED
