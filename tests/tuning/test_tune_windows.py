"""`tune grace|dedup|lookback|clock-skew|patterns`: each number is what the engine says of the changed file."""

from __future__ import annotations

import pytest

from stepwatch.schemas.policy import show_duration
from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from stepwatch.streams.replay import replay
from stepwatch.streams.tuning.tune_base import NothingToTune
from stepwatch.streams.tuning.tune_clock_skew import tune_clock_skew
from stepwatch.streams.tuning.tune_dedup import tune_dedup
from stepwatch.streams.tuning.tune_grace import tune_grace
from stepwatch.streams.tuning.tune_lookback import tune_lookback
from stepwatch.streams.tuning.tune_patterns import tune_patterns
from tests.tuning.world import NINE_US, POLICY, Event, act, busy_days, event, evidence, lines, prove, sets_of

SEEDS = [1, 2, 3]


def replayed(events: list[Event], text: str) -> tuple[dict[str, str], int]:
    """Verdict by action, and the number of alerts, by a replay of the file."""
    rows = list(replay(lines(events), sets_of(text)))
    verdicts = {row["action_id"]: row["verdict"] for row in rows if row["kind"] == "verdict"}
    return verdicts, sum(row["kind"] == "alert" for row in rows)


# grace


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_grace_pages_is_what_a_file_without_revision_says(seed: int) -> None:
    events = busy_days(seed)
    for candidate in tune_grace(evidence(events), "payout", [7 * SECOND_US]).candidates:
        text = POLICY.replace("grace: 10s", f"grace: {show_duration(candidate.grace_us)}")
        then, pages = replayed(events, text.replace("revise_within: 1h", "revise_within: 0s"))
        last, _ = replayed(events, text)
        paged = [action for action, verdict in then.items() if verdict == "unverified"]
        assert (candidate.actions, candidate.pages) == (len(paged), pages)
        assert candidate.actions_withdrawn == sum(last[action] == "verified" for action in paged)


def test_a_page_is_withdrawn_only_when_each_of_its_actions_is_verified_after_all() -> None:
    events = [
        *(prove("v1", 0, arrival_s=100), act("a1", 10), act("a2", 500)),
        *(prove("v2", 0, "bob", arrival_s=100), act("b1", 10, "bob")),
    ]
    found = tune_grace(evidence(events), "payout")
    now = next(one for one in found.candidates if one.grace_us == 10 * SECOND_US)
    assert (now.pages, now.withdrawn, now.actions, now.actions_withdrawn) == (2, 1, 3, 2)
    assert found.delays_us == {"/idp": [90 * SECOND_US, 90 * SECOND_US]}


def test_a_proof_that_arrives_exactly_at_the_end_of_the_grace_spares_the_page() -> None:
    events = [prove("v1", 0, arrival_s=20), act("a1", 10)]
    pages = {one.grace_us: one.pages for one in tune_grace(evidence(events), "payout", [9_999_999]).candidates}
    assert (pages[10 * SECOND_US], pages[9_999_999]) == (0, 1)


def test_a_page_may_be_withdrawn_until_the_close_of_its_own_grace_and_not_after_it() -> None:
    minutes = [prove("v1", 0, arrival_s=10 + 65 * 60), act("a1", 10)]
    withdrawn = {
        one.grace_us: one.withdrawn for one in tune_grace(evidence(minutes), "payout", [299_999_999]).candidates
    }
    assert (withdrawn[299_999_999], withdrawn[5 * MINUTE_US]) == (0, 1)


def test_the_shortest_grace_that_leaves_few_withdrawn_is_recommended() -> None:
    events = []
    for person in range(40):
        who = f"p{person}"
        events += [prove("v", 0, who, arrival_s=10 + 25), act("a", 10, who), act("bad", 9_000, who)]
    advice = tune_grace(evidence(events), "payout").advice
    assert advice.window_us == 30 * SECOND_US
    assert advice.why.startswith("10s -> 30s: ")
    assert advice.why.endswith("now 40 of 80")


def test_events_that_arrive_at_their_own_time_say_nothing_about_a_grace() -> None:
    events = [one for n in range(40) for one in (prove("v", 0, f"p{n}"), act("a", 10, f"p{n}"))]
    advice = tune_grace(evidence(events), "payout").advice
    assert advice.window_us is None
    assert "do not say how late a source is" in advice.why


def test_a_failed_action_raises_no_page_and_is_not_counted() -> None:
    with pytest.raises(NothingToTune, match="can raise an alert"):
        tune_grace(evidence([act("a", 0, outcome="failure")]), "payout")


# dedup


@pytest.mark.parametrize("seed", SEEDS)
def test_each_dedup_makes_as_many_alerts_as_the_changed_file(seed: int) -> None:
    events = busy_days(seed)
    found = tune_dedup(evidence(events), "payout", [7 * MINUTE_US])
    for candidate in found.candidates:
        defaults = f"dedup: {show_duration(candidate.dedup_us)}, grace"
        assert candidate.alerts == replayed(events, POLICY.replace("grace", defaults, 1))[1]


def test_the_largest_alert_says_how_many_actions_one_page_would_hold() -> None:
    events = [act(f"a{n}", 60 * n) for n in range(5)] + [act("b", 0, "bob")]
    found = tune_dedup(evidence(events), "payout")
    largest = {one.dedup_us: (one.alerts, one.largest) for one in found.candidates}
    assert (largest[0], largest[HOUR_US]) == ((6, 1), (2, 5))
    assert (found.actions, found.people, found.now_us) == (6, 2, HOUR_US)


def test_a_dedup_beyond_which_few_alerts_are_spared_is_recommended() -> None:
    events = [act(f"a{k}-{n}", 3600 * k + 20 * n, f"p{p}") for p in range(8) for k in (0, 30) for n in range(10)]
    each = POLICY.replace("grace", "dedup: 0s, grace", 1)
    advice = tune_dedup(evidence(events, each), "payout").advice
    assert advice.window_us == 5 * MINUTE_US
    assert advice.why.startswith("0s -> 5m: 160 alerts become 16, of 160 actions of 8 people")
    kept = tune_dedup(evidence(events), "payout").advice
    assert (kept.window_us, kept.why.split(":")[0]) == (HOUR_US, "keep 1h")


# lookback


@pytest.mark.parametrize("seed", SEEDS)
def test_each_lookback_changes_what_the_changed_file_changes(seed: int) -> None:
    events = busy_days(seed)
    found = tune_lookback(evidence(events), [3 * HOUR_US])
    before = {row["action_id"]: row for row in replay(lines(events), sets_of()) if row["kind"] == "verdict"}
    for candidate in found.candidates:
        text = POLICY.replace("lookback: 24h", f"lookback: {show_duration(candidate.lookback_us)}")
        changes = {"verdict": 0, "reason": 0, "nearest_miss": 0}
        for row in replay(lines(events), sets_of(text)):
            was = before.get(row.get("action_id", ""))
            name = was and next((name for name in changes if row[name] != was[name]), None)
            if name:
                changes[name] += 1
        assert candidate.verdicts.total() == changes["verdict"]
        assert (candidate.reasons.total(), candidate.nearest) == (changes["reason"], changes["nearest_miss"])


def test_a_lookback_below_a_day_keeps_no_fewer_facts_and_a_longer_one_keeps_more() -> None:
    events = [act(f"a{n}", n * 12 * 3600, "bob") for n in range(20)]
    facts = {one.lookback_us: one.facts for one in tune_lookback(evidence(events)).candidates}
    assert facts[HOUR_US] == facts[DAY_US] < facts[2 * DAY_US] < facts[7 * DAY_US]


def test_a_shorter_lookback_that_says_the_same_with_fewer_facts_is_recommended() -> None:
    events = [act(f"a{n}", n * 12 * 3600, "bob") for n in range(20)]
    advice = tune_lookback(evidence(events, POLICY.replace("lookback: 24h", "lookback: 7d"))).advice
    assert advice.window_us == DAY_US
    assert advice.why.startswith("7d -> 1d: no verdict and no reason changes")


def test_a_lookback_shorter_than_a_max_age_is_refused_in_words() -> None:
    with pytest.raises(NothingToTune, match="4m: expected at least 5m, the longest `max_age`"):
        tune_lookback(evidence([act("a", 0)]), [4 * MINUTE_US])


# clock_skew


def test_pairs_that_contradict_causality_are_counted_by_their_two_sources() -> None:
    events = [
        event("stepup.challenged", "c1", 3, source="/app", challenge="ch-1"),
        prove("v1", 1, challenge="ch-1", verification="ver-1"),
        act("a1", 0.4, verification="ver-1"),
        event("stepup.denied", "d2", 60, source="/idp", challenge="ch-2"),
        event("stepup.challenged", "c2", 50, source="/app", challenge="ch-2"),
        event("session.started", "l", 100, "bob", source="/idp", amr=["pwd"]),
        act("b1", 98, "bob"),
    ]
    found = tune_clock_skew(evidence(events))
    said = {(one.cause, one.effect): (one.pairs, one.contradict, one.late_us) for one in found.sources}
    assert said == {
        ("/app", "/idp"): (2, 1, [2 * SECOND_US]),
        ("/idp", "/app"): (2, 2, [600_000, 2 * SECOND_US]),
    }
    assert (found.proofs, found.contradict) == (1, 1)


def test_of_several_causes_of_one_name_the_first_counts() -> None:
    logins = [event("session.started", f"l{at}", at, source="/idp", amr=["pwd"]) for at in (0, 100)]
    (said,) = tune_clock_skew(evidence([*logins, act("a1", 50), act("a2", 150)])).sources
    assert (said.pairs, said.contradict) == (2, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_skew_flips_what_the_changed_file_flips(seed: int) -> None:
    events = [prove(f"w{n}", 1000 * n + seed * n / 4, "zoe", verification=f"w{n}") for n in range(20)]
    events += [act(f"z{n}", 1000 * n, "zoe", verification=f"w{n}") for n in range(20)]
    before, _ = replayed(events, POLICY)
    for candidate in tune_clock_skew(evidence(events), [700_000]).candidates:
        then, _ = replayed(events, POLICY.replace("clock_skew: 5s", f"clock_skew: {show_duration(candidate.skew_us)}"))
        assert candidate.verdicts.total() == sum(then[action] != before[action] for action in then)
        assert candidate.covered == sum(0 < seed * n / 4 * SECOND_US <= candidate.skew_us for n in range(20))


def test_the_skew_that_covers_the_contradictions_is_recommended_and_a_broken_clock_is_not() -> None:
    def events(late_s: float) -> list[Event]:
        who = [f"p{n}" for n in range(40)]
        proofs = [prove("v", late_s, one, verification="v") for one in who]
        return proofs + [act("a", 0, one, verification="v") for one in who]

    advice = tune_clock_skew(evidence(events(8))).advice
    assert (advice.window_us, advice.why.split(":")[0]) == (10 * SECOND_US, "5s -> 10s")
    assert tune_clock_skew(evidence(events(-8))).advice.window_us == 5 * SECOND_US
    broken = tune_clock_skew(evidence(events(301))).advice
    assert (broken.window_us, "set the clock of the source right" in broken.why) == (None, True)


def test_events_that_name_nothing_are_refused_in_words() -> None:
    with pytest.raises(NothingToTune, match="no two events of which one must come first"):
        tune_clock_skew(evidence([act("a", 0), prove("v", 0)]))


# patterns


def test_with_the_count_of_the_contract_as_many_alerts_are_found_as_replay_raises() -> None:
    events = [
        event("stepup.challenged", f"c{n}-{who}", 60 * n, who, source="/idp", challenge=f"ch-{n}")
        for who, count in (("alice", 4), ("bob", 5), ("carol", 9))
        for n in range(count)
    ]
    events += [event("stepup.failed", f"f{n}", 20 * n, "dave", source="/idp", failure="wrong_code") for n in range(12)]
    fatigue, guessing = tune_patterns(evidence(events))
    raised = [row["alert"] for row in replay(lines(events), sets_of()) if row["kind"] == "alert"]
    found = {one.count: (one.anchors, one.alerts, one.people) for one in fatigue.candidates}
    assert (fatigue.now, found[5][1]) == (5, raised.count("mfa_fatigue"))
    assert [found[count][2] for count in (4, 5, 6, 9, 10)] == [4, 3, 2, 2, 1]
    assert found[5][0] == 1 + 5 + 8
    found = {one.count: (one.anchors, one.alerts, one.people) for one in guessing.candidates}
    assert (guessing.now, found[10], raised.count("otp_guessing")) == (10, (3, 1, 1), 1)
    assert found[13] == (0, 0, 0)


def test_only_events_of_the_period_are_looked_back_from() -> None:
    events = [event("stepup.failed", f"f{n}", 20 * n, source="/idp") for n in range(12)]
    _, guessing = tune_patterns(evidence(events, since_us=NINE_US + 220 * SECOND_US))
    assert (guessing.events, {one.count: one.anchors for one in guessing.candidates}[10]) == (1, 1)


def test_events_without_any_prompt_are_refused_in_words() -> None:
    with pytest.raises(NothingToTune, match="no challenge, denial or failure"):
        tune_patterns(evidence([act("a", 0), prove("v", 0)]))
