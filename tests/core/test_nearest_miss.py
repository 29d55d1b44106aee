"""The nearest miss: which verification came nearest, what it failed, by how much, and its sentence (section 5)."""

import json

import pytest

from tests.core.driver import T0_US, Driver
from tests.core.given import BLIND, US, D, H, M, Row, S, action, event, judged, policy, says, step, verdict, verified

STRICT = policy("amr_any: [hwk, otp], binding: action, max_age: 5m")


def nearest(policies: str, *events: Row) -> Row | None:
    found: Row | None = judged(policies, *events)["a"]["nearest_miss"]
    return found


def test_the_candidate_with_the_fewest_failed_filters_is_nearest() -> None:
    far = verified("far", -M, session="s2")
    near = verified("near", -10 * M, bound_action="payments.payout.approve")
    found = nearest(STRICT, far, near, action())
    assert found == {"verification": "near", "failed": ["stale"], "by_us": 5 * M}


def test_of_equals_the_greatest_is_nearest() -> None:
    seconds = T0_US // S
    reported_late = verified("w", -M, auth_time=seconds - 600, session="s2")
    found = nearest(policy(), verified("v", -9 * M, session="s2"), reported_late, action())
    assert found is not None
    assert found["verification"] == "v"
    found = nearest(policy(), verified("e-10", session="s2"), verified("e-9", session="s2"), action())
    assert found is not None
    assert found["verification"] == "e-9"


def test_all_failed_filters_are_named_in_their_order() -> None:
    found = nearest(STRICT, verified(at=-H, session="s2", amr=["pwd"]), action())
    assert found is not None
    assert found["failed"] == ["wrong_session", "weak_factor", "stale", "wrong_binding"]


def test_by_us_is_the_age_beyond_max_age_where_stale_and_nothing_else() -> None:
    found = nearest(policy(), verified(at=-5 * M - US), action())
    assert found == {"verification": "v", "failed": ["stale"], "by_us": 1}
    found = nearest(policy(), verified(session="s2"), action())
    assert found == {"verification": "v", "failed": ["wrong_session"], "by_us": None}


def test_the_id_of_the_proof_goes_before_the_id_of_the_event() -> None:
    found = nearest(policy(), verified(session="s2", verification="p-1"), action())
    assert found is not None
    assert found["verification"] == "p-1"


def test_without_a_candidate_the_first_proof_after_the_fact_is_nearest() -> None:
    found = nearest(policy(), verified("2nd", 7 * S), verified("1st", 6 * S), action())
    assert found == {"verification": "1st", "failed": ["after_the_fact"], "by_us": S}


def test_the_first_after_the_fact_is_by_time_then_source_then_id() -> None:
    found = nearest(
        policy(), verified("e-9", 6 * S), verified("e-10", 6 * S), verified("a", 6 * S, source="/z"), action()
    )
    assert found is not None
    assert found["verification"] == "e-10"


def test_only_proofs_that_make_after_the_fact_hold_are_asked() -> None:
    found = nearest(policy(), verified("other", 6 * S, session="s2"), verified("own", 8 * S), action())
    assert found == {"verification": "own", "failed": ["after_the_fact"], "by_us": 3 * S}


def test_a_candidate_is_nearer_than_a_proof_after_the_fact() -> None:
    found = nearest(policy(), verified("old", -H), verified("new", M), action())
    assert found == {"verification": "old", "failed": ["stale"], "by_us": 55 * M}


def test_with_nothing_near_there_is_no_nearest_miss() -> None:
    assert nearest(policy(), action()) is None
    assert nearest(policy(), step("denied"), action()) is None
    assert nearest(policy(), verified(at=-D - US), action()) is None


def test_a_blind_action_shows_its_nearest_miss_too() -> None:
    silent = policy(sources="{name: /idp, silent_after: 5m}")
    stale = verified(at=-20 * M)
    assert says(silent, stale, action()) == BLIND
    assert nearest(silent, stale, action()) == {"verification": "v", "failed": ["stale"], "by_us": 15 * M}


def test_verified_exempt_too_late_and_unmatched_actions_have_none() -> None:
    assert nearest(policy(), verified("near", session="s2"), verified(), action()) is None
    rows = judged(policy(), verified("near", session="s2"), action(arrival=D + US), action("b", action="x.y"))
    assert (verdict(rows), rows["a"]["nearest_miss"]) == (("blind", "too_late"), None)
    assert rows["b"]["nearest_miss"] is None


@pytest.mark.parametrize(
    ("fields", "at", "sentence"),
    [
        ({"amr": ["hwk"]}, -5 * M - 42 * S, "security key tap 42 s too old"),
        ({"amr": ["otp"], "session": "s-77"}, -M, "one-time code in session s-77"),
        ({"amr": ["otp"], "session": None}, -M, "one-time code without a session"),
        ({"amr": ["pwd"]}, -M, "password not an accepted factor"),
        ({"amr": ["hwk"]}, 6 * S, "security key tap 1 s too late"),
        (
            {"amr": ["hwk"], "session": "s2"},
            -2 * H - 5 * M - 5 * M,
            "security key tap in session s2, 2 h 5 min too old",
        ),
    ],
)
def test_it_is_shown_as_a_sentence(fields: Row, at: int, sentence: str) -> None:
    driver = Driver(policy("amr_any: [hwk, otp]"))
    driver.evidence("stepup.verified", "v", **{"time_us": T0_US + at, **fields})
    driver.action("a", time_us=T0_US)
    driver.pulse(T0_US + 20 * S)
    assert json.loads(driver.verdict("a")["nearest_miss"])["sentence"] == sentence


def test_a_login_is_called_a_login_in_the_sentence() -> None:
    driver = Driver(policy("accept: [login], max_age: 1m"))
    driver.evidence("session.started", "l", time_us=T0_US - 2 * M, amr=["pwd"])
    driver.action("a", time_us=T0_US)
    driver.pulse(T0_US + 10 * S)
    assert json.loads(driver.verdict("a")["nearest_miss"])["sentence"] == "login by password 1 min too old"


def test_the_failed_filters_are_a_column_of_the_row() -> None:
    driver = Driver(policy())
    driver.evidence("stepup.verified", "v", time_us=T0_US - H, session="s2")
    driver.action("a", time_us=T0_US)
    driver.pulse(T0_US + 10 * S)
    assert driver.verdict("a")["failed"] == ["wrong_session", "stale"]


def test_the_event_after_the_fact_of_an_unaccepted_kind_is_no_miss() -> None:
    assert nearest(policy(), event("session.started", "l", M, session="s1", amr=["pwd"]), action()) is None
