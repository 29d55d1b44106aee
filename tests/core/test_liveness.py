"""When `unverified` is fair: signs of life of the listed sources (contract section 5, `source_silent`)."""

import pytest

from stepwatch.streams.sets import PolicySets, build_set
from tests.core.driver import T0_US
from tests.core.given import (
    BLIND,
    PAYOUT,
    US,
    VERIFIED,
    D,
    H,
    M,
    Row,
    S,
    action,
    event,
    heartbeat,
    policy,
    says,
    unverified,
    verified,
)

SILENT = policy(sources="{name: /idp, silent_after: 5m}")
FAIR = unverified("no_step_up")
WINDOW_START = 10 * S - 5 * M
CLOSE = 10 * S + H


def test_without_a_sign_of_life_nothing_can_be_said() -> None:
    assert says(SILENT, action()) == BLIND


def test_a_source_without_silent_after_need_not_be_heard() -> None:
    assert says(policy(sources="{name: /idp, proves: [step_up]}"), action()) == FAIR


def test_a_covered_action_is_verified_whatever_the_source_s_silence() -> None:
    silent_elsewhere = policy(sources="{name: /feed, silent_after: 5m}")
    assert says(silent_elsewhere, verified(), action()) == VERIFIED


@pytest.mark.parametrize(
    ("arrival", "said"),
    [(WINDOW_START, FAIR), (WINDOW_START - US, BLIND), (CLOSE, FAIR), (CLOSE + US, BLIND)],
    ids=["its start", "just before", "the close", "just after the close"],
)
def test_a_sign_counts_from_silent_after_before_the_end_of_grace_to_the_close(arrival: int, said: object) -> None:
    assert says(SILENT, heartbeat(arrival), action()) == said


def test_the_window_goes_by_the_arrival_of_the_action() -> None:
    late = action(arrival=2 * H)
    assert says(SILENT, heartbeat(2 * H + WINDOW_START), late) == FAIR
    assert says(SILENT, heartbeat(2 * H + WINDOW_START - US), late) == BLIND
    assert says(SILENT, heartbeat(2 * H + CLOSE), late) == FAIR


def test_signs_on_both_sides_of_the_window_are_none() -> None:
    assert says(SILENT, heartbeat(WINDOW_START - US), heartbeat(CLOSE + US), action()) == BLIND


def test_regular_signs_long_before_and_after_do_not_hide_a_hole() -> None:
    before = [heartbeat(WINDOW_START - US - i * M) for i in range(9)]
    after = [heartbeat(CLOSE + US + i * M) for i in range(9)]
    assert says(SILENT, *before, *after, action()) == BLIND


def test_regular_signs_around_the_window_have_one_in_it() -> None:
    signs = [heartbeat(i * 5 * M - 3 * S) for i in range(-20, 20)]
    assert says(SILENT, *signs, action()) == FAIR


def test_a_heartbeat_of_another_source_is_no_sign() -> None:
    assert says(SILENT, heartbeat(0, source="/feed"), action()) == BLIND
    assert says(SILENT, heartbeat(0, source="stepwatch"), action()) == BLIND


def test_every_source_with_silent_after_has_to_be_heard() -> None:
    two = policy(sources="{name: /idp, silent_after: 5m}, {name: /feed, silent_after: 1m}")
    assert says(two, heartbeat(0), action()) == BLIND
    assert says(two, heartbeat(0, source="/feed"), action()) == BLIND
    assert says(two, heartbeat(0), heartbeat(0, source="/feed"), action()) == FAIR


def test_a_heartbeat_counts_for_every_tenant_and_subject() -> None:
    assert says(SILENT, heartbeat(0, tenant="acme", subject="bob"), action()) == FAIR


@pytest.mark.parametrize(
    "kind", ["stepup.required", "stepup.failed", "session.revoked", "session.started", "approval.revoked"]
)
def test_an_event_of_the_source_about_the_subject_is_a_sign(kind: str) -> None:
    sign = event(kind, "e", WINDOW_START, session="s9")
    assert says(SILENT, sign, action())[0] == "unverified"


def test_an_event_of_the_source_about_somebody_else_is_no_sign() -> None:
    assert says(SILENT, event("stepup.failed", "e", 0, session="s9", subject="bob"), action()) == BLIND
    assert says(SILENT, event("stepup.failed", "e", 0, session="s9", tenant="acme"), action()) == BLIND


def test_an_action_of_the_source_is_no_sign() -> None:
    assert says(SILENT, action("b", 0, source="/idp", action="x.y"), action()) == BLIND
    assert says(SILENT, action("b", 0, source="/idp", action=PAYOUT), action()) == BLIND


@pytest.mark.parametrize(
    ("arrival", "said"),
    [(WINDOW_START, FAIR), (WINDOW_START - US, BLIND), (CLOSE, FAIR), (CLOSE + US, BLIND)],
)
def test_the_window_of_events_has_the_same_ends(arrival: int, said: object) -> None:
    sign = event("session.revoked", "e", arrival - S, arrival=arrival, session="s9")
    assert says(SILENT, sign, action()) == said


def test_a_copy_is_no_sign() -> None:
    first = event("stepup.failed", "e", -H, session="s9")
    copy: Row = {**first, "arrival": heartbeat(0)["time"]}
    fresh: Row = {**first, "id": "e2", "arrival": heartbeat(0)["time"]}
    tolerant = policy("max_age: 1m", sources="{name: /idp, silent_after: 1h}")
    window = action(arrival=10 * M)
    assert says(tolerant, first, copy, window) == BLIND
    assert says(tolerant, first, fresh, window) == FAIR


def test_every_record_of_a_heartbeat_counts_though_it_is_a_copy() -> None:
    again: Row = {
        **heartbeat(-H, event_id="h"),
        "arrival": heartbeat(0)["time"],
        "data": {"complete_to": heartbeat(0)["time"]},
    }
    assert says(SILENT, heartbeat(-H, event_id="h"), again, action()) == FAIR


@pytest.mark.parametrize(
    ("lag", "said"), [(5 * M, FAIR), (5 * M + US, BLIND), (-M, FAIR)], ids=["silent_after", "more", "ahead"]
)
def test_a_sign_counts_only_where_the_feed_is_no_further_behind_than_silent_after(lag: int, said: object) -> None:
    assert says(SILENT, heartbeat(0, arrival=0, complete_to=-lag), action()) == said


@pytest.mark.parametrize(("lag", "said"), [(5 * M, FAIR), (5 * M + US, BLIND)])
def test_without_complete_to_the_time_of_a_heartbeat_says_how_far_behind_it_is(lag: int, said: object) -> None:
    assert says(SILENT, heartbeat(-lag, arrival=0), action()) == said


@pytest.mark.parametrize(("lag", "said"), [(5 * M, FAIR), (5 * M + US, BLIND)])
def test_the_time_of_any_other_event_says_how_far_behind_the_feed_is(lag: int, said: object) -> None:
    assert says(SILENT, event("session.revoked", "e", -lag, arrival=0, session="s9"), action()) == said


def test_a_feed_that_is_alive_but_hours_behind_is_blind() -> None:
    behind = [heartbeat(i * M, complete_to=i * M - 3 * H) for i in range(-10, 70, 5)]
    assert says(SILENT, *behind, action()) == BLIND


def test_a_punctual_feed_that_delivers_a_proof_too_late_makes_a_final_unverified() -> None:
    punctual = [heartbeat(i * M) for i in range(-10, 70, 5)]
    late = verified(at=-M, arrival=2 * H)
    assert says(SILENT, *punctual, late, action()) == FAIR
    patient = policy(sources="{name: /idp, silent_after: 5m}", defaults="grace: 2h, revise_within: 3h")
    assert says(patient, *punctual, late, action()) == VERIFIED


def test_too_late_goes_before_the_silence_of_a_source() -> None:
    assert says(SILENT, action(arrival=D + US)) == ("blind", "too_late")


def test_the_sources_are_those_of_the_set_in_force_at_the_action_s_time() -> None:
    heard, unheard = policy(), policy(sources="{name: /idp, silent_after: 5m}")
    sets = PolicySets([build_set([("p.yaml", heard)], None), build_set([("p.yaml", unheard)], T0_US)])
    assert says(sets, action("a", -US)) == FAIR
    assert says(sets, action("a", 0)) == BLIND


def test_each_set_asks_by_its_own_silent_after() -> None:
    short = policy(sources="{name: /idp, silent_after: 1m}")
    long = policy(sources="{name: /idp, silent_after: 10m}")
    sets = PolicySets([build_set([("p.yaml", short)], None), build_set([("p.yaml", long)], T0_US)])
    sign = heartbeat(-5 * M)
    assert says(sets, sign, action("a", -US)) == BLIND
    assert says(sets, sign, action("a", 0)) == FAIR
