"""`tune max-age`: every number is what the engine says when the file is changed, and the advice follows from them."""

from __future__ import annotations

import pytest

from stepwatch.schemas.policy import show_duration
from stepwatch.schemas.times import HOUR_US, MINUTE_US, SECOND_US
from stepwatch.streams.replay import replay
from stepwatch.streams.tuning.chances import DRAWS, GROUPS_MAX, knee, knees_drawn, share_of, wilson
from stepwatch.streams.tuning.tune_base import NothingToTune
from stepwatch.streams.tuning.tune_max_age import LADDER_US, histogram, tune_max_age
from tests.tuning.world import NINE_US, POLICY, act, busy_days, event, evidence, lines, prove, sets_of

LIMITED = POLICY.replace("{amr_any: [hwk]}", "{amr_any: [hwk], max_uses: 1}")


def with_max_age(text: str, window_us: int) -> str:
    return text.replace("max_age: 5m", f"max_age: {show_duration(window_us)}")


@pytest.mark.parametrize("text", [POLICY, LIMITED], ids=["any number of uses", "one use"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_window_says_what_a_replay_of_the_changed_file_says(text: str, seed: int) -> None:
    events = busy_days(seed)
    found = tune_max_age(evidence(events, text), "payout", [7 * MINUTE_US])
    now = {row["action_id"]: row["verdict"] for row in replay(lines(events), sets_of(text)) if row["kind"] == "verdict"}
    for candidate in found.candidates:
        rows = list(replay(lines(events), sets_of(with_max_age(text, candidate.window_us))))
        then = {row["action_id"]: row for row in rows if row["kind"] == "verdict"}
        assert candidate.verified.count == sum(row["verdict"] == "verified" for row in then.values())
        flips = {"verified": 0, "unverified": 0}
        for action_id, row in then.items():
            if row["verdict"] != now[action_id]:
                flips[row["verdict"]] += 1
        assert candidate.to_verified.total() == flips["verified"]
        assert candidate.to_unverified.total() == flips["unverified"]
        assert candidate.alerts == sum(row["kind"] == "alert" for row in rows)


def test_the_ladder_the_window_of_now_and_those_asked_for_are_tried_up_to_lookback() -> None:
    text = POLICY.replace("lookback: 24h", "lookback: 90m").replace("max_age: 5m", "max_age: 4m")
    found = tune_max_age(evidence([act("a", 0)], text), "payout", [7 * MINUTE_US])
    windows = [candidate.window_us for candidate in found.candidates]
    asked = {4 * MINUTE_US, 7 * MINUTE_US, 90 * MINUTE_US}
    assert windows == sorted({*(window for window in LADDER_US if window <= 90 * MINUTE_US), *asked})


def test_the_flips_of_a_window_name_the_people_they_happen_to() -> None:
    events = [
        *(prove("v1", 0), act("a1", 400)),
        *(prove("v2", 0, "bob"), act("a2", 450, "bob"), act("a3", 460, "bob")),
        *(prove("v3", 0, "carol"), act("a4", 10, "carol")),
    ]
    found = tune_max_age(evidence(events), "payout")
    assert found.at(10 * MINUTE_US).to_verified == {"default/alice": 1, "default/bob": 2}
    assert found.at(SECOND_US).to_unverified == {"default/carol": 1}
    assert found.at(5 * MINUTE_US).to_verified.total() == found.at(5 * MINUTE_US).to_unverified.total() == 0


def test_the_age_is_of_the_proof_that_passes_every_other_filter() -> None:
    events = [
        prove("other-session", 95, session="s-9"),
        prove("weak", 90, amr=["sms"]),
        prove("good", 40),
        act("a", 100),
        act("nothing", 100, "bob"),
    ]
    found = tune_max_age(evidence(events), "payout")
    assert found.ages_us == [60 * SECOND_US]
    assert found.unproved == {"no_step_up": 1}


def test_an_action_that_came_too_late_is_left_out_and_counted() -> None:
    events = [act("late", 0, arrival_s=24 * 3600 + 1), act("in-time", 0, arrival_s=24 * 3600)]
    found = tune_max_age(evidence(events), "payout")
    assert (found.actions, found.left_out) == (1, 1)


def test_actions_before_the_period_use_proofs_up_but_are_not_counted() -> None:
    events = [prove("v", 0), act("before", 10), act("within", 20)]
    found = tune_max_age(evidence(events, LIMITED, NINE_US + 20 * SECOND_US), "payout")
    assert (found.actions, found.at(5 * MINUTE_US).verified.count) == (1, 0)
    assert found.unproved == {"over_used": 1}


def test_a_knee_far_from_now_is_recommended_with_its_flips_and_interval() -> None:
    events = []
    for person in range(20):
        for number in range(3):
            at_s = 10_000 * number
            events += [prove(f"v{number}", at_s - 500 - person, f"p{person}"), act(f"a{number}", at_s, f"p{person}")]
    found = tune_max_age(evidence(events), "payout")
    assert (found.knee_us, found.knees_us) == (10 * MINUTE_US, (10 * MINUTE_US, 10 * MINUTE_US))
    assert found.advice.window_us == 10 * MINUTE_US
    assert "5m -> 10m: 60 of 60 verdicts become verified (people: 20), alerts go from 60 to 0" in found.advice.why
    low, high = found.at(10 * MINUTE_US).verified.interval
    assert f"(95 %: {low:.1%} to {high:.1%})" in found.advice.why


def test_a_window_of_nothing_is_tried_like_any_other() -> None:
    text = POLICY.replace("max_age: 5m", "max_age: 0s")
    events = [
        one for n in range(40) for one in (prove(f"v{n}", 900 * n - 3, f"p{n % 8}"), act(f"a{n}", 900 * n, f"p{n % 8}"))
    ]
    found = tune_max_age(evidence(events, text), "payout")
    assert (found.now_us, found.at(0).verified.count, found.at(0).to_verified.total()) == (0, 0, 0)
    assert found.advice.window_us == 10 * SECOND_US
    assert found.advice.why.startswith("0s -> 10s: 40 of 40 verdicts become verified (people: 8)")


def test_a_window_of_now_at_the_knee_is_kept() -> None:
    events = []
    for person in range(10):
        for number in range(4):
            events += [
                prove(f"v{number}", 9_000 * number - 200, f"p{person}"),
                act(f"a{number}", 9_000 * number, f"p{person}"),
            ]
    found = tune_max_age(evidence(events), "payout")
    assert found.advice.window_us == 5 * MINUTE_US
    assert found.advice.why.startswith("keep 5m: ")


def test_few_actions_and_few_people_get_no_advice() -> None:
    few_people = [one for n in range(40) for one in (prove(f"v{n}", 1000 * n - 400), act(f"a{n}", 1000 * n))]
    few_actions = [act(f"a{n}", 0, f"p{n}") for n in range(29)]
    for events in (few_people, few_actions):
        advice = tune_max_age(evidence(events), "payout").advice
        assert advice.window_us is None
        assert "too few to say" in advice.why


def test_windows_that_change_nothing_leave_all_as_it_is() -> None:
    events = [act(f"a{n}", 100 * n, f"p{n % 9}") for n in range(40)]
    advice = tune_max_age(evidence(events), "payout").advice
    assert advice.window_us == 5 * MINUTE_US
    assert "hardly a verdict flips" in advice.why


@pytest.mark.parametrize(
    ("policy", "also_us", "words"),
    [
        ("payouts", 60, "no policy payouts; the files have payout"),
        ("payout", 25 * HOUR_US, "25h: expected more than 0s and at most 1d, the `lookback` of payout"),
        ("payout", 0, "0s: expected more than 0s"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_words(policy: str, also_us: int, words: str) -> None:
    with pytest.raises(NothingToTune) as refused:
        tune_max_age(evidence([act("a", 0)]), policy, [also_us])
    assert words in str(refused.value)


def test_events_without_an_action_of_the_policy_are_refused_in_words() -> None:
    other = event("action.performed", "a", 0, action="note.write")
    with pytest.raises(NothingToTune, match="no action that policy payout demands a proof of"):
        tune_max_age(evidence([other, prove("v", 0)]), "payout")


def test_a_bin_holds_the_age_that_ends_it_and_negative_ages_lie_in_the_first() -> None:
    assert histogram([-3, 0, 10, 11, 20], [10, 20, 30]) == [3, 2, 0]


def test_the_wilson_interval_is_that_of_the_tables() -> None:
    # Newcombe 1998, table I: 81 of 263, and none of 20.
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_people_who_differ_widen_the_interval_and_alike_people_do_not() -> None:
    alike = share_of(dict.fromkeys(map(str, range(20)), (5, 10)))
    apart = share_of({str(n): (10 * (n % 2), 10) for n in range(20)})
    assert (alike.effective, round(apart.effective)) == (200, 19)
    assert apart.interval.high - apart.interval.low > 2 * (alike.interval.high - alike.interval.low)


def test_where_all_agree_each_person_counts_once() -> None:
    assert share_of(dict.fromkeys(map(str, range(10)), (9, 9))).effective == 10
    assert share_of({}).interval == (0.0, 1.0)


def test_the_knee_is_where_the_curve_bends_and_a_straight_one_has_none() -> None:
    assert knee([(1, 0), (10, 90), (100, 95), (1000, 100)]) == 10
    assert knee([(1, 0), (10, 33), (100, 67), (1000, 100)]) is None
    assert knee([(1, 7), (10, 7), (100, 7)]) is None


def test_people_are_drawn_as_often_as_chance_would_draw_them() -> None:
    # A knee is found where the first was drawn, and at least half as often as the second: with Poisson numbers of
    # mean 1 in 0.632 - 0.368 * 0.264 - 0.184 * 0.019 = 0.53 of the draws; drawn once at most it would be 0.63.
    pairs = [{f"a{n}": [0, 3, 3, 3], f"b{n}": [0, 0, 0, 2]} for n in range(60)]
    found = sum(len(knees_drawn([1, 10, 100, 1000], pair)) for pair in pairs)
    assert found / (60 * DRAWS) == pytest.approx(0.53, abs=0.025)


def test_more_people_than_groups_are_drawn_in_groups_and_none_is_lost() -> None:
    people = {f"p{n}": [0, 9, 9, 10] for n in range(2 * GROUPS_MAX)}
    assert knees_drawn([1, 10, 100, 1000], people) == [10] * DRAWS
