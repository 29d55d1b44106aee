"""What a person reads: durations, factors, reasons, nearest misses, titles (contract section 5, the nearest miss)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.streams import patterns
from stepwatch.streams.patterns import denied_then_acted, fresh_credential, policy_gap, source_silence
from stepwatch.streams.wording import FACTORS, PATTERNS, REASONS, deed, duration
from tests.core.driver import T0_US, Driver
from tests.core.given import MS, PAYOUT, US, D, H, M, Row, S, policy

PROVING = policy("amr_any: [hwk]", sources="{name: /idp, proves: [step_up]}")
STRICT = policy("amr_any: [hwk], binding: transaction, same_device: true, max_uses: 1")


def sentence(policies: str, **fields: Any) -> str:
    """The nearest miss of an action of session s1, transaction t1 and device d1, with one proof a minute before."""
    driver = Driver(policies)
    at = fields.pop("at", -M)
    revoked, used = fields.pop("revoked", False), fields.pop("used", False)
    proof: Row = {
        "time_us": T0_US + at,
        "amr": ["hwk"],
        "transaction": "t1",
        "client": {"device": "d1"},
        **fields,
    }
    driver.evidence("stepup.verified", "v", **proof)
    if revoked:
        driver.evidence("session.revoked", "r", time_us=T0_US - S)
    if used:
        driver.action("before", time_us=T0_US - S, transaction="t1", client={"device": "d1"})
    driver.action("a", time_us=T0_US, transaction="t1", client={"device": "d1"})
    driver.pulse(driver.log.now_us + 10 * S)
    found = driver.verdict("a")["nearest_miss"]
    return str(json.loads(found)["sentence"]) if found else ""


@pytest.mark.parametrize(
    ("policies", "fields", "said"),
    [
        (PROVING, {"source": "/other"}, "security key tap from /other, which may not prove it"),
        (STRICT, {"session": "s-77"}, "security key tap in session s-77"),
        (STRICT, {"session": None}, "security key tap without a session"),
        (STRICT, {"revoked": True}, "security key tap revoked before the action"),
        (STRICT, {"amr": ["otp"]}, "one-time code not an accepted factor"),
        (STRICT, {"amr": []}, "proof not an accepted factor"),
        (STRICT, {"at": -5 * M - 42 * S}, "security key tap 42 s too old"),
        (STRICT, {"at": -5 * M - US}, "security key tap 0.001 ms too old"),
        (STRICT, {"at": -D}, "security key tap 23 h 55 min too old"),
        (STRICT, {"transaction": "t2"}, "security key tap given for something else"),
        (STRICT, {"client": {"device": "d2"}}, "security key tap from another device or address"),
        (STRICT, {"used": True}, "security key tap already used up"),
        (STRICT, {"at": 5 * S + US}, "security key tap 0.001 ms too late"),
        (STRICT, {"at": 35 * S}, "security key tap 30 s too late"),
        (
            STRICT,
            {"amr": ["sms"], "session": "s2", "transaction": None},
            "code by text message in session s2, not an accepted factor, given for something else",
        ),
    ],
)
def test_each_filter_that_failed_is_said_in_words(policies: str, fields: dict[str, Any], said: str) -> None:
    assert sentence(policies, **fields) == said


@pytest.mark.parametrize("code", sorted(FACTORS))
def test_each_known_factor_has_a_name_in_words(code: str) -> None:
    said = sentence(policy("amr_any: [none-of-these]"), amr=[code])
    assert said == f"{FACTORS[code]} not an accepted factor"


def test_the_strongest_known_factor_names_the_proof_and_unknown_ones_name_themselves() -> None:
    other = policy("amr_any: [none-of-these]")
    assert sentence(other, amr=["pwd", "user", "hwk"]) == "security key tap not an accepted factor"
    assert sentence(other, amr=["retina", "vibe"]) == "retina and vibe not an accepted factor"


@pytest.mark.parametrize(
    ("us", "said"),
    [
        (0, "0 ms"),
        (1, "0.001 ms"),
        (999_999, "999.999 ms"),
        (S, "1 s"),
        (1_500 * MS, "1.5 s"),
        (42 * S, "42 s"),
        (M, "1 min"),
        (M + 500 * MS, "1 min"),
        (7 * M + 30 * S, "7 min 30 s"),
        (H - S, "59 min 59 s"),
        (H, "1 h"),
        (3 * H + 5 * M + 9 * S, "3 h 5 min"),
        (D - US, "23 h 59 min"),
        (D, "1 d"),
        (400 * D + 23 * H + 59 * M, "400 d 23 h"),
        (-42 * S, "-42 s"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(us: int, said: str) -> None:
    assert duration(us) == said


# reasons, patterns, titles

STATED_REASONS = """untrusted_source wrong_session voided weak_factor stale wrong_binding context_mismatch over_used
after_the_fact denied failed bypassed abandoned no_step_up too_late overload source_silent"""


def test_every_reason_of_the_contract_has_a_sentence_of_its_own() -> None:
    assert sorted(REASONS) == sorted(STATED_REASONS.split())
    assert len(set(REASONS.values())) == len(REASONS)


def test_every_pattern_has_a_title_and_an_explanation() -> None:
    alone = (denied_then_acted, fresh_credential, policy_gap, source_silence)
    named = {pattern.name for pattern in patterns.EVIDENCE_PATTERNS} | {module.NAME for module in alone[:3]}
    assert set(PATTERNS) == named | {"source_silence"}
    assert all(title and meaning for title, meaning in PATTERNS.values())


def test_an_alert_says_why_and_how_near_a_proof_came() -> None:
    driver = Driver(policy("amr_any: [hwk]"))
    driver.evidence("stepup.verified", "v", amr=["hwk"], time_us=T0_US - 5 * M - 42 * S)
    driver.action("a", time_us=T0_US, resource={"type": "payout", "id": "po_1"}, on_behalf_of="bob")
    driver.pulse(T0_US + 10 * S)
    (row,) = driver.alerts
    assert row["title"] == f"alice for bob: {PAYOUT} on payout po_1: not verified"
    assert row["explanation"] == "the last proof was too old; nearest: security key tap 42 s too old"


def test_a_blind_alert_says_that_nothing_can_be_said() -> None:
    driver = Driver(policy(sources="{name: /idp, silent_after: 5m}"))
    driver.action("a", time_us=T0_US)
    driver.pulse(T0_US + 10 * S)
    (row,) = driver.alerts
    assert row["title"] == f"alice: {PAYOUT}: cannot be judged"
    assert row["explanation"] == "a source of proofs was silent, so nothing can be said"


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (("", ""), "alice: a.b"),
        (("payout", ""), "alice: a.b on payout"),
        (("", "po"), "alice: a.b on po"),
        (("payout", "po"), "alice: a.b on payout po"),
    ],
)
def test_a_deed_says_who_did_what_to_what(resource: tuple[str, str], said: str) -> None:
    assert deed("alice", "a.b", *resource, "") == said


def test_of_deeds_a_title_says_how_many_more_and_of_one_flood_it_does_not() -> None:
    driver = Driver(policy())
    for number in range(7):
        driver.evidence("stepup.challenged", f"c{number}", challenge=f"c{number}", time_us=T0_US + number * S)
    driver.action("a", session="s2", time_us=T0_US + 10 * S)
    driver.action("b", session="s2", time_us=T0_US + 11 * S)
    driver.pulse(T0_US + M)
    titles = {row["kind"]: row["title"] for row in driver.open_alerts.values()}
    assert titles == {
        "mfa_fatigue": "alice: flooded with prompts",
        "unverified_action": f"alice: {PAYOUT}: not verified (and 1 more)",
    }
