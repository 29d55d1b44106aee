"""What shares an incident is told as surely as what has its own: kills, members that leave, mutes, faults of ours."""

from __future__ import annotations

import pytest

from stepwatch.notifiers.mutes import Mute
from stepwatch.notifiers.notices import NotJudged, ShownAlert
from tests.notifiers.world import AWAY, ONE_CHANNEL, RATED, World, at, shown, silence


def stormy(number: int) -> ShownAlert:
    return shown(number)


def rated(number: int, version: int = 1, **changes: object) -> ShownAlert:
    """An alert that the channel's rate has no room for, of a policy of its own."""
    return shown(number, version, **{"severity": "high", "policy": f"policy-{number}", **changes})


def bug(number: int) -> NotJudged:
    return NotJudged(f"0@{number}", f"actions-0@{number}", "acme/alice", "KeyError: 'x'", at(0))


def group_of(world: World, begins: str) -> str:
    [group] = {told.group for told in world.told_of.values() if told.group.startswith(begins)}
    return group


def voiceless(world: World) -> list[str]:
    """The open alerts that no open incident speaks for."""
    told = world.told_of
    speakers = {key: (told[key].group or key) if key in told else key for key in world.alerts[0]}
    return [key for key, speaker in speakers.items() if world.pager.incidents.get(speaker) != "open"]


@pytest.mark.parametrize(("routes", "alert"), [(ONE_CHANNEL, stormy), (RATED, rated)], ids=["storm", "digest"])
def test_a_death_at_any_record_of_a_group_leaves_no_alert_that_nobody_speaks_for(routes: str, alert: object) -> None:
    records = 0
    while True:
        records += 1
        world = World(routes=routes)
        world.stays_dead = True
        for number in range(10):
            world.see(alert(number))  # type: ignore[operator]
        world.die_before_record = records
        world.pass_time(30)
        if not world.is_dead:
            break
        world.stays_dead = False
        world.start()
        world.pass_time(3600)
        assert voiceless(world) == [], f"killed before record {records}"
    # Two of each incident, one of the joining.
    assert records > 2 * 4


def test_a_partition_that_comes_back_goes_on_with_its_groups() -> None:
    world = World()
    for number in range(8):
        world.see(stormy(number))
    world.pass_time(10)
    group = group_of(world, "st_")
    told = list(world.told_of.values())
    world.engine.lose(0)
    world.engine.own(0, [shown(n, 2, state="resolved") for n in range(8)], told)
    world.pass_time(120)
    assert world.pager.incidents[group] == "resolved"


def test_whoever_joins_a_digest_after_others_left_it_is_told() -> None:
    world = World(routes=RATED)
    for number in range(8):
        world.see(rated(number, 9))
    world.pass_time(5)
    group = group_of(world, "dg_")
    members = sorted(world.engine.floor.books[0].groups[group])
    for key in members[:3]:
        world.see(rated(int(key[3:]), 10, severity="critical"))
    world.pass_time(5)
    for number in range(20, 24):
        world.see(rated(number))
    world.pass_time(120)
    [first, second] = [delivery for delivery in world.pager.log if delivery.key == group]
    assert (first.step.value, first.message.title.split(",")[0]) == ("trigger", "5 alerts")
    assert (second.step.value, second.message.title.split(",")[0]) == ("update", "6 alerts")
    # As many as ever joined it.
    assert world.told(group).count == 9


def test_whoever_joins_a_digest_after_others_left_and_the_process_died_is_told() -> None:
    world = World(routes=RATED)
    for number in range(8):
        world.see(rated(number, 9))
    world.pass_time(5)
    group = group_of(world, "dg_")
    for key in sorted(world.engine.floor.books[0].groups[group])[:3]:
        world.see(rated(int(key[3:]), 10, severity="critical"))
    world.pass_time(40)
    for number in range(20, 24):
        world.see(rated(number))
    # They have joined, and the digest has not said so yet.
    world.pager.die = "before"
    world.pass_time(120)
    assert world.lives == 2
    assert [step for step, key in world.pager.steps if key == group] == ["trigger", "update"]
    assert world.told(group).count == 9
    assert voiceless(world) == []


def test_a_digest_whose_alerts_all_ring_by_themselves_is_taken_back() -> None:
    world = World(routes=RATED)
    for number in range(5):
        world.see(rated(number))
    world.pass_time(5)
    group = group_of(world, "dg_")
    for key in sorted(world.engine.floor.books[0].groups[group]):
        world.see(rated(int(key[3:]), 2, severity="critical"))
    world.pass_time(120)
    assert world.pager.incidents[group] == "resolved"
    assert world.pager.log[-1].message.lines[1] == "do: nothing"


def test_a_thousand_events_that_nobody_judged_ring_a_handful_of_times() -> None:
    world = World()
    keys = [world.engine.see_bug(0, bug(number)) for number in range(1000)]
    world.pass_time(120)
    assert sum(world.pager.rings.values()) == 6
    assert all(world.engine.is_told(0, key) for key in keys)
    [group] = [key for key in world.pager.incidents if key.startswith("st_")]
    assert world.told(group).count == 995
    commands = {delivery.message.command for delivery in world.pager.log if delivery.key == group}
    assert commands == {"stepwatch dead-letters list --error bug"}


def test_events_that_nobody_judged_are_no_longer_read_only_when_their_group_was_told() -> None:
    world = World()
    keys = [world.engine.see_bug(0, bug(number)) for number in range(6)]
    world.pass_time(0)
    world.pager.always = AWAY
    world.pass_time(1)
    late = world.engine.see_bug(0, bug(7))
    world.pass_time(30)
    assert all(world.engine.is_told(0, key) for key in keys)
    assert not world.engine.is_told(0, late)
    for key in keys:
        world.engine.drop_bug(0, key)
    world.pager.always = None
    world.pass_time(600)
    assert world.engine.is_told(0, late)
    # A page of a fault of ours is never taken back by itself.
    assert world.engine.drop_bug(0, late) != []
    world.pass_time(600)
    assert "resolve" not in [step for step, _ in world.pager.steps]


def test_an_event_that_nobody_judged_is_another_one_after_its_topic_was_made_anew() -> None:
    world = World()
    world.engine.see_bug(0, bug(1))
    world.pass_time(1)
    world.engine.see_bug(0, bug(1)._replace(time=at(3600)))
    world.pass_time(1)
    assert list(world.pager.rings.values()) == [1, 1]


def test_many_sources_that_fall_silent_at_once_share_an_incident() -> None:
    world = World()
    for number in range(50):
        world.see(silence(alert_id=f"al_s{number}", reason=f"/idp{number}"))
    world.pass_time(60)
    assert sum(world.pager.rings.values()) == 6


def test_an_alert_that_is_looked_at_twice_counts_once_for_a_storm() -> None:
    world = World()
    for number in range(5):
        world.see(shown(number, policy="a"))
    world.pass_time(0)
    # Joins and triggers in turn: what breaks a row of joins is looked at again.
    for number in range(5, 9):
        world.see(shown(number, policy="a"))
        world.see(shown(100 + number, policy="b"))
    world.pass_time(1)
    assert {world.told(f"al_{100 + number}").group for number in range(5, 9)} == {""}


def mute(until_s: float, **match: object) -> Mute:
    said = {"match": match, "from": at(0), "until": at(until_s)}
    return Mute.model_validate({**said, "reason": "load test", "by": "olga", "id": "mu_1"})


def test_a_mute_holds_for_the_group_of_a_muted_alert_that_opens_again() -> None:
    world = World()
    for number in range(8):
        world.see(stormy(number))
    world.pass_time(120)
    group = group_of(world, "st_")
    for number in range(8):
        world.see(shown(number, 2, state="resolved", count=0))
    world.pass_time(120)
    world.engine.set_mute(mute(840, policy="payout-approve"))
    member = int(sorted(world.engine.floor.books[0].groups[group])[0][3:])
    world.see(shown(member, 3))
    world.pass_time(300)
    assert (world.pager.incidents[group], world.pager.rings[group]) == ("resolved", 1)
    world.pass_time(301)
    assert (world.pager.incidents[group], world.pager.rings[group]) == ("open", 2)


def test_a_group_rings_for_one_open_alert_that_is_not_muted() -> None:
    world = World()
    for number in range(8):
        world.see(stormy(number))
    world.engine.set_mute(mute(600, subject=[f"user{number}" for number in range(7)]))
    world.pass_time(30)
    assert world.pager.incidents == {"al_7": "open"}
