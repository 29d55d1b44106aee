"""Filter 8 of contract section 5: how often one proof may be used, and by which earlier actions it was."""

import pytest

from stepwatch.streams.sets import PolicySets, build_set
from tests.core.driver import T0_US
from tests.core.given import (
    US,
    VERIFIED,
    H,
    M,
    S,
    action,
    event,
    judged,
    policy,
    reason,
    unverified,
    verdict,
    verified,
)

ONCE = policy("max_uses: 1, max_age: 1h", defaults="lookback: 1h")
OVER_USED = unverified("over_used")
TWO_POLICIES = """version: 1
policies:
  - {id: payout, match: {action: ["payments.payout.*"]}, require: {max_uses: 1}}
  - {id: refund, match: {action: ["payments.refund.*"]}, require: {max_uses: 1}}
"""


def test_without_max_uses_a_proof_covers_any_number_of_actions() -> None:
    rows = judged(policy(), verified(), *(action(f"a{i}", i) for i in range(20)))
    assert {row["verdict"] for row in rows.values()} == {"verified"}


def test_a_proof_covers_max_uses_actions_and_not_one_more() -> None:
    twice = policy("max_uses: 2")
    rows = judged(twice, verified(), action("1st", 0), action("2nd", 1), action("3rd", 2))
    assert [verdict(rows, name) for name in ("1st", "2nd", "3rd")] == [VERIFIED, VERIFIED, OVER_USED]


def test_earlier_is_by_time_then_source_then_id() -> None:
    rows = judged(
        ONCE,
        verified(),
        action("a-2", 0, source="/app"),
        action("a-10", 0, source="/app"),
        action("a-0", 0, source="/web"),
    )
    assert [reason(rows, name) for name in ("a-10", "a-2", "a-0")] == ["step_up", "over_used", "over_used"]


def test_the_order_of_arrival_does_not_decide_who_was_earlier() -> None:
    rows = judged(ONCE, verified(), action("early", 0, arrival=5 * M), action("late", 1, arrival=M))
    assert (verdict(rows, "early"), verdict(rows, "late")) == (VERIFIED, OVER_USED)


@pytest.mark.parametrize("outcome", ["success", "unknown", "who knows"])
def test_actions_that_succeeded_or_may_have_use_the_proof_up(outcome: str) -> None:
    rows = judged(ONCE, verified(), action("b", -S, outcome=outcome), action())
    assert verdict(rows) == OVER_USED


@pytest.mark.parametrize("outcome", ["failure", "denied"])
def test_actions_that_did_not_happen_use_nothing_up_but_are_judged(outcome: str) -> None:
    rows = judged(ONCE, verified(), action("b", -S, outcome=outcome), action(), action("c", S, outcome=outcome))
    assert (verdict(rows, "b"), verdict(rows), verdict(rows, "c")) == (VERIFIED, VERIFIED, OVER_USED)


def test_an_earlier_action_exactly_lookback_before_counts() -> None:
    # The skew lets a proof cover an action a little older than itself, so both reach the same proof.
    skewed = policy("max_uses: 1, max_age: 1h", defaults="lookback: 1h, clock_skew: 10s")
    rows = judged(skewed, verified(at=-H + S), action("b", -H), action())
    assert (verdict(rows, "b"), verdict(rows)) == (VERIFIED, OVER_USED)


def test_an_earlier_action_a_microsecond_older_than_lookback_does_not_count() -> None:
    skewed = policy("max_uses: 1, max_age: 1h", defaults="lookback: 1h, clock_skew: 10s")
    rows = judged(skewed, verified(at=-H + S), action("b", -H - US), action())
    assert (verdict(rows, "b"), verdict(rows)) == (VERIFIED, VERIFIED)


def test_actions_of_another_policy_use_nothing_up() -> None:
    rows = judged(TWO_POLICIES, verified(), action("b", -S, action="payments.refund.make"), action())
    assert (verdict(rows, "b"), verdict(rows)) == (VERIFIED, VERIFIED)


def test_the_same_policy_id_in_an_earlier_set_is_the_same_policy() -> None:
    sets = PolicySets(
        [
            build_set([("p.yaml", policy("max_uses: 9"))], None),
            build_set([("p.yaml", policy("max_uses: 1"))], T0_US),
        ]
    )
    rows = judged(sets, verified(), action("b", -S), action())
    assert (verdict(rows, "b"), verdict(rows)) == (VERIFIED, OVER_USED)


def test_two_reports_of_one_verification_id_are_one_proof() -> None:
    reports = [verified("r1", -2 * M, verification="p"), verified("r2", -M, verification="p", source="/other")]
    rows = judged(ONCE, *reports, action("b", -90 * S), action())
    assert (verdict(rows, "b"), verdict(rows)) == (VERIFIED, OVER_USED)


def test_without_a_verification_id_each_event_is_a_proof_of_its_own() -> None:
    rows = judged(ONCE, verified("v"), verified("v", source="/other"), action("b", -S), action())
    assert (verdict(rows, "b"), verdict(rows)) == (VERIFIED, VERIFIED)


def test_a_verification_id_is_not_mixed_up_with_the_id_of_an_event() -> None:
    rows = judged(ONCE, verified("x", -2 * M, verification="v"), verified("v", -M), action("b", -S), action())
    assert (rows["b"]["verification"], rows["a"]["verification"], verdict(rows)) == ("v", "v", VERIFIED)


def test_an_over_used_proof_leaves_the_next_one() -> None:
    rows = judged(ONCE, verified("old", -2 * M), verified("new", -M), action("b", -S), action(), action("c", S))
    assert [rows[name]["verification"] for name in ("b", "a", "c")] == ["new", "old", None]


def test_an_earlier_action_that_chose_another_proof_uses_nothing_up() -> None:
    rows = judged(ONCE, verified("own", -2 * M, session="s2"), verified("v"), action("b", -S, session="s2"), action())
    assert (rows["b"]["verification"], verdict(rows)) == ("own", VERIFIED)


def test_an_unverified_earlier_action_uses_nothing_up() -> None:
    rows = judged(ONCE, verified(), action("b", -S, session="s2"), action())
    assert (verdict(rows, "b"), verdict(rows)) == (unverified("wrong_session"), VERIFIED)


def test_an_exempt_or_too_late_earlier_action_uses_nothing_up() -> None:
    rows = judged(ONCE, verified(), action("b", -S, arrival=25 * H), action(arrival=25 * H - 2 * S))
    assert (verdict(rows, "b"), verdict(rows)) == (("blind", "too_late"), ("blind", "too_late"))
    long = policy("max_uses: 1", defaults="accept_late: 1h")
    rows = judged(long, verified(), action("b", -S, arrival=H), action(arrival=H))
    assert (verdict(rows, "b"), verdict(rows)) == (("blind", "too_late"), VERIFIED)


def test_a_chain_of_earlier_actions_is_followed_to_its_start() -> None:
    proofs = [verified(f"v{i}", -(9 - i) * S) for i in range(4)]
    rows = judged(ONCE, *proofs, *(action(f"a{i}", i) for i in range(5)))
    assert [rows[f"a{i}"]["verification"] for i in range(5)] == ["v3", "v2", "v1", "v0", None]


# What an earlier action chose is judged as it stood at the smaller of both closes.


def test_an_earlier_action_that_arrives_at_the_close_counts_and_a_microsecond_later_not() -> None:
    close = 10 * S + H
    rows = judged(ONCE, verified(), action("b", -S, arrival=close), action())
    assert verdict(rows) == OVER_USED
    rows = judged(ONCE, verified(), action("b", -S, arrival=close + US), action())
    assert verdict(rows) == VERIFIED


def test_a_proof_that_reaches_the_earlier_action_after_my_close_does_not_change_mine() -> None:
    # b arrives late, so its close is later than a's; a proof that comes in between is chosen by b in the end, but
    # for a, b stands as it stood at a's close: with v.
    in_between = verified("newer", -30 * S, arrival=10 * S + H + S)
    rows = judged(ONCE, verified("v", -M), in_between, action("b", -S, arrival=M), action())
    assert (rows["b"]["verification"], verdict(rows)) == ("newer", OVER_USED)


def test_a_proof_that_arrives_after_the_earlier_one_s_close_does_not_change_what_it_chose() -> None:
    # a arrives late: what comes between both closes counts for a, but b had chosen v by then for good.
    between = verified("newer", -30 * S, arrival=10 * S + H + S)
    rows = judged(ONCE, verified("v", -M), between, action("b", -S), action(arrival=M))
    assert (rows["b"]["verification"], rows["a"]["verification"]) == ("v", "newer")


def test_the_horizon_of_the_last_action_reaches_down_the_whole_chain() -> None:
    # c sees a as a stood at c's close, and a saw b as b stood at c's close: the smaller close goes down the chain.
    late = verified("late", -40 * S, arrival=10 * S + H + 2 * S)
    chain = [
        verified("v1", -M),
        verified("v2", -50 * S),
        late,
        action("b", -2 * S, arrival=M),
        action("a", -S, arrival=M),
        action("c", 0),
    ]
    rows = judged(ONCE, *chain)
    assert [rows[name]["verification"] for name in ("b", "a", "c")] == ["late", "v2", None]
    assert verdict(rows, "c") == OVER_USED


def test_what_an_earlier_action_used_stays_used_though_the_proof_was_voided_after_it() -> None:
    lost = event("credential.changed", "lost", -500_000, credential="k1", change="revoked")
    rows = judged(ONCE, verified(credential="k1"), action("b", -S), lost, action())
    assert (verdict(rows, "b"), verdict(rows)) == (VERIFIED, unverified("voided"))
    assert rows["a"]["nearest_miss"]["failed"] == ["voided", "over_used"]
