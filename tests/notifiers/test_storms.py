"""Ten thousand alerts ring a handful of times, and each of them is on record."""

from __future__ import annotations

from tests.notifiers.world import AWAY, RATED, Counting, World, at, blind, shown, silence

CRITICAL_ONLY = """
version: 1
channels: [{name: pager, type: console}]
routes: [{match: {severity: critical}, to: [pager]}, {to: []}]
"""


def rings(world: World) -> int:
    return sum(world.pager.rings.values())


def test_ten_thousand_alerts_of_one_policy_ring_a_handful_of_times_and_each_is_on_record() -> None:
    world = World()
    for number in range(10_000):
        world.see(shown(number), partition=number % 4)
    world.pass_time(120)
    # Five by themselves, and one incident for each partition's rest.
    assert rings(world) == 9
    recorded = [told for told in world.told_of.values() if told.key.startswith("al_")]
    assert len(recorded) == 10_000
    assert len([told for told in recorded if told.group]) == 9_995
    assert all(state == "open" for state in world.pager.incidents.values())


def test_late_proofs_of_a_storm_take_back_what_was_triggered_and_nothing_else() -> None:
    world = World()
    for number in range(1000):
        world.see(shown(number))
    world.pass_time(120)
    triggered = set(world.pager.incidents)
    world.pager.log.clear()
    for number in range(1000):
        world.see(shown(number, 2, state="resolved", resolved_by="late_verification", count=0))
    world.pass_time(120)
    assert {key for step, key in world.pager.steps if step == "resolve"} == triggered
    assert {key for _, key in world.pager.steps} == triggered
    assert set(world.pager.incidents.values()) == {"resolved"}


def test_a_group_is_over_only_when_the_last_of_its_alerts_is() -> None:
    world = World()
    for number in range(8):
        world.see(shown(number))
    world.pass_time(120)
    (group,) = (key for key in world.pager.incidents if key.startswith("st_"))
    members = world.engine.floor.books[0].groups[group]
    assert len(members) == 3
    last = sorted(members)[-1]
    for key in members - {last}:
        world.see(shown(int(key[3:]), 2, state="resolved"))
    world.pass_time(120)
    assert world.pager.incidents[group] == "open"
    world.see(shown(int(last[3:]), 2, state="resolved"))
    world.pass_time(120)
    assert world.pager.incidents[group] == "resolved"


def test_a_storm_goes_on_in_the_same_incident_after_a_death() -> None:
    world = World()
    for number in range(100):
        world.see(shown(number))
    world.pass_time(10)
    before = rings(world)
    world.start()
    for number in range(100, 200):
        world.see(shown(number))
    world.pass_time(120)
    # The next process does not know what rang a moment ago: it may ring five times by itself again, but in one group.
    assert len([key for key in world.pager.incidents if key.startswith("st_")]) == 1
    assert rings(world) == before + 5


def test_alerts_of_different_policies_are_no_storm() -> None:
    world = World()
    for number in range(20):
        world.see(shown(number, policy=f"policy-{number}"))
    world.pass_time(10)
    assert rings(world) == 20


def test_five_alerts_in_a_minute_are_no_storm_and_the_sixth_is_one() -> None:
    world = World()
    for number in range(5):
        world.see(shown(number))
    world.pass_time(60)
    world.see(shown(5))
    world.pass_time(1)
    assert not any(key.startswith("st_") for key in world.pager.incidents)
    for number in range(6, 11):
        world.see(shown(number))
    world.pass_time(1)
    assert [key[:3] for _, key in world.pager.steps].count("st_") == 1


def test_a_rate_leaves_the_rest_to_one_digest_and_critical_alerts_ring_all_the_same() -> None:
    world = World(routes=RATED)
    for number in range(10):
        world.see(shown(number, severity="high", policy=f"policy-{number}"))
    for number in range(10, 15):
        world.see(shown(number, policy=f"policy-{number}"))
    world.pass_time(30)
    kinds = [key[:3] for key in world.pager.incidents]
    assert kinds.count("dg_") == 1
    assert kinds.count("al_") == 3 + 5
    assert {f"al_{number}" for number in range(10, 15)} <= set(world.pager.incidents)


def test_an_alert_in_a_digest_that_turns_critical_rings_by_itself() -> None:
    world = World(routes=RATED)
    for number in range(4):
        world.see(shown(number, severity="high", policy=f"policy-{number}"))
    world.pass_time(10)
    (key,) = (told.key for told in world.told_of.values() if told.group.startswith("dg_"))
    world.see(shown(int(key[3:]), 2, policy=f"policy-{key[3:]}"))
    world.pass_time(10)
    assert world.pager.incidents[key] == "open"


def test_an_update_waits_for_room_and_tells_the_last_state() -> None:
    world = World(routes=RATED)
    for number in range(3):
        world.see(shown(number, severity="high", policy=f"policy-{number}"))
    world.pass_time(5)
    world.see(shown(0, 2, severity="high", policy="policy-0", count=2))
    world.see(shown(0, 3, severity="high", policy="policy-0", count=3))
    world.pass_time(30)
    assert len(world.pager.log) == 3
    world.pass_time(60)
    assert [(delivery.step.value, delivery.version) for delivery in world.pager.log[3:]] == [("update", 3)]


def test_one_silent_source_pages_and_its_blind_alerts_do_not() -> None:
    world = World()
    for number in range(1, 1001):
        world.see(blind(number), partition=number % 4)
    world.pass_time(2)
    world.see(silence())
    world.pass_time(3600)
    assert world.pager.incidents == {"al_silence": "open"}
    assert {world.told(f"al_{number}").group for number in range(1, 1001)} == {"al_silence"}


def test_a_source_that_recovers_takes_its_page_back_and_its_blind_alerts_say_nothing() -> None:
    world = World()
    world.see(silence())
    world.see(blind(1), partition=1)
    world.pass_time(60)
    world.see(silence(2, state="resolved", resolved_by="source_recovered", updated_at=at(60)))
    world.pass_time(60)
    world.see(blind(1, 2, state="resolved", resolved_by="source_recovered"), partition=1)
    world.pass_time(3600)
    assert world.pager.steps == [("trigger", "al_silence"), ("resolve", "al_silence")]


def test_a_blind_alert_without_a_silence_pages_after_a_moment() -> None:
    world = World()
    world.see(blind(1))
    world.pass_time(9)
    assert world.pager.log == []
    world.pass_time(2)
    assert world.pager.incidents == {"al_1": "open"}


def test_a_blind_alert_that_keeps_changing_is_not_held_back_for_longer() -> None:
    world = World()
    for version in range(1, 13):
        world.see(blind(1, version, count=version))
        world.pass_time(1)
    assert world.pager.incidents == {"al_1": "open"}


def test_blind_alerts_page_where_nobody_heard_of_the_silence() -> None:
    world = World(routes=CRITICAL_ONLY)
    world.see(silence())
    world.see(blind(1, severity="critical"))
    world.pass_time(60)
    assert world.pager.incidents == {"al_1": "open"}


def test_blind_alerts_of_a_silence_that_was_over_before_anybody_heard_page_by_themselves() -> None:
    world = World(Counting(always=AWAY))
    world.see(silence())
    world.see(blind(1), partition=1)
    world.pass_time(600)
    world.see(silence(2, state="resolved", updated_at=at(600)))
    world.pager.always = None
    world.pass_time(600)
    assert world.pager.incidents == {"al_1": "open"}


def test_an_alert_that_came_too_late_is_no_matter_of_a_silent_source() -> None:
    world = World()
    world.see(silence())
    world.see(blind(1, reason="too_late"))
    world.pass_time(60)
    assert set(world.pager.incidents) == {"al_silence", "al_1"}
