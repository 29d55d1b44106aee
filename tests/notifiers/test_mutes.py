"""Silence on purpose: which alerts, until when; what was told before is still taken back."""

from __future__ import annotations

from typing import Any

import pytest

from stepwatch.notifiers.mutes import Mute, encode_mute, ended, muted_by, read_mute
from stepwatch.schemas.times import format_time
from tests.notifiers.world import T0_S, World, shown

SECOND_US = 1_000_000
T0_US = int(T0_S) * SECOND_US


def mute(seconds: float = 600, begins: float = 0, **match: Any) -> Mute:
    return Mute.model_validate(
        {
            "match": match,
            "from": format_time(T0_US + int(begins * SECOND_US)),
            "until": format_time(T0_US + int(seconds * SECOND_US)),
            "reason": "the payout service moves",
            "by": "olga",
            "id": "mu_1",
        }
    )


@pytest.mark.parametrize(
    ("match", "quiet"),
    [
        ({}, True),
        ({"policy": "payout-*"}, True),
        ({"policy": ["wire", "payout-approve"]}, True),
        ({"policy": "payout"}, False),
        ({"policy": "payout-*", "tenant": "other"}, False),
        ({"subject": "user1", "kind": "unverified_action", "severity": "critical"}, True),
        ({"alert_id": "al_1"}, True),
        ({"owner": "nobody"}, False),
    ],
)
def test_a_mute_is_of_the_alerts_on_which_all_its_conditions_hold(match: dict[str, Any], quiet: bool) -> None:
    assert (muted_by(shown(), [mute(**match)], T0_US) is not None) is quiet


def test_a_mute_holds_from_its_begin_up_to_its_end() -> None:
    window = mute(60, begins=10)
    moments = (T0_US + 10 * SECOND_US - 1, T0_US + 10 * SECOND_US, T0_US + 60 * SECOND_US - 1, T0_US + 60 * SECOND_US)
    assert [window.holds(moment) for moment in moments] == [False, True, True, False]


def test_a_mute_ends_up_in_its_record_and_comes_out_the_same() -> None:
    key, value = encode_mute(mute(policy="payout-*"))
    assert key == b"!mute|mu_1"
    assert read_mute(value) == mute(policy="payout-*")
    over = ended(mute(), "ivo", T0_US + 5)
    assert read_mute(encode_mute(over)[1]) == over
    assert (over.until, over.ended_by) == (T0_US + 5, "ivo")


def test_the_record_of_a_mute_keeps_who_made_it_when_and_until_when_it_was_to_last() -> None:
    made = mute().model_copy(update={"made": T0_US})
    over = ended(read_mute(encode_mute(made)[1]), "ivo", T0_US + 60 * SECOND_US)
    kept = read_mute(encode_mute(over)[1])
    assert (kept.made, kept.by, kept.reason) == (T0_US, "olga", "the payout service moves")
    assert (kept.until, kept.ended_by, kept.planned) == (T0_US + 60 * SECOND_US, "ivo", T0_US + 600 * SECOND_US)
    assert ended(kept, "eve", T0_US + 61 * SECOND_US).planned == kept.planned
    assert kept.words.endswith(
        "until 2026-11-24T09:04:20Z (ended by ivo, it was to last until 2026-11-24T09:13:20Z) by olga at "
        "2026-11-24T09:03:20Z: the payout service moves"
    )


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"match":{"colour":"red"}}', b"\xff"])
def test_a_record_that_is_no_mute_is_refused_with_its_field(value: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_mute(value)


def test_a_muted_alert_rings_when_the_mute_is_over_and_it_is_still_open() -> None:
    world = World()
    world.engine.set_mute(mute(600))
    world.see(shown())
    world.see(shown(2))
    world.pass_time(300)
    world.see(shown(2, 2, state="resolved"))
    world.pass_time(299)
    assert world.pager.log == []
    world.pass_time(2)
    assert world.pager.steps == [("trigger", "al_1")]


def test_an_incident_that_rang_before_the_mute_is_taken_back_within_it() -> None:
    world = World()
    world.see(shown())
    world.pass_time(1)
    world.engine.set_mute(mute(600))
    world.see(shown(version=2, count=7))
    world.pass_time(1)
    world.see(shown(version=3, state="resolved"))
    world.pass_time(1)
    assert [step for step, _ in world.pager.steps] == ["trigger", "resolve"]


def test_a_mute_that_is_ended_lets_the_alerts_ring_at_once() -> None:
    world = World()
    world.engine.set_mute(mute(3600))
    world.see(shown())
    world.pass_time(60)
    world.engine.set_mute(ended(mute(3600), "ivo", int(world.now_s * SECOND_US)))
    world.pass_time(1)
    assert world.pager.incidents == {"al_1": "open"}
