"""No incident stays open in silence: what the topic forgot, and what a channel out of the file was told."""

from __future__ import annotations

from msgspec.structs import replace

from stepwatch.notifiers.routing import parse_routes
from tests.notifiers.world import AWAY, ONE_CHANNEL, RATED, WITH_BACKUP, Counting, World, shown

BOTH = WITH_BACKUP.replace("to: [pager], escalate: {to: mail, after: 5m}", "to: [pager, mail]")


def test_an_incident_whose_alert_the_topic_forgot_while_we_were_down_is_taken_back() -> None:
    world = World()
    world.see(shown())
    world.pass_time(1)
    world.alerts[0].clear()
    world.start()
    world.pass_time(60)
    assert world.pager.incidents == {"al_1": "resolved"}
    message = world.pager.log[-1].message
    assert (message.title, message.lines[1]) == ("the incident al_1 is over", "do: nothing")
    assert [told.key for told in world.engine.sweep()[0]] == ["al_1"]


def test_an_end_that_a_receiver_has_not_heard_when_the_topic_forgets_is_told_after_a_restart() -> None:
    world = World()
    world.see(shown())
    world.pass_time(1)
    world.pager.always = AWAY
    world.see(shown(version=2, state="resolved"))
    world.pass_time(1)
    assert world.engine.forget(0, "al_1") == []
    world.alerts[0].clear()
    world.pager.always = None
    world.start()
    world.pass_time(600)
    assert world.pager.incidents == {"al_1": "resolved"}


def test_what_was_over_when_the_topic_forgot_it_is_forgotten_without_a_word() -> None:
    world = World()
    world.see(shown())
    world.pass_time(1)
    world.see(shown(version=2, state="resolved"))
    world.pass_time(1)
    world.alerts[0].clear()
    told = list(world.told_of.values())
    world.engine.lose(0)
    assert world.engine.own(0, [], told) == told
    world.pass_time(600)
    assert [step for step, _ in world.pager.steps] == ["trigger", "resolve"]


def storm(world: World) -> str:
    for number in range(8):
        world.see(shown(number))
    world.pass_time(120)
    [group] = [key for key in world.pager.incidents if key.startswith("st_")]
    return group


def test_a_group_whose_last_alert_the_topic_forgot_is_taken_back() -> None:
    world = World()
    group = storm(world)
    for number in range(8):
        world.see(shown(number, 2, state="resolved", resolved_by="expired", count=0))
        world.engine.forget(0, f"al_{number}")
    world.pass_time(60)
    assert set(world.pager.incidents.values()) == {"resolved"}
    assert group in {told.key for told in world.engine.sweep()[0]}
    assert world.engine.floor.books[0].told == {}


def test_a_group_whose_alerts_the_topic_forgot_while_we_were_down_is_taken_back() -> None:
    world = World()
    group = storm(world)
    world.alerts[0].clear()
    world.start()
    world.pass_time(60)
    assert world.pager.incidents[group] == "resolved"
    assert set(world.pager.incidents.values()) == {"resolved"}


def test_a_group_that_is_forgotten_and_joined_again_goes_on() -> None:
    world = World()
    group = storm(world)
    world.pager.always = AWAY
    members = sorted(world.engine.floor.books[0].groups[group])
    for key in members:
        world.see(shown(int(key[3:]), 2, state="resolved", count=0))
        world.engine.forget(0, key)
    late = replace(world.told(members[0]), key="al_99", writer="a former owner", at=world.now)
    world.see(shown(99))
    world.engine.adopt(0, late)
    world.pager.always = None
    world.pass_time(600)
    assert world.engine.sweep() == {}
    assert world.pager.incidents[group] == "open"


def test_incidents_at_a_channel_that_left_the_file_are_counted_and_keep_nothing_in_the_ledger() -> None:
    mail = Counting("mail")
    world = World(Counting("pager"), mail, routes=BOTH)
    world.see(shown())
    world.pass_time(1)
    assert world.engine.strangers() == {}
    world.routes = parse_routes("routes.yaml", ONE_CHANNEL)
    del world.receivers["mail"]
    world.start()
    assert world.engine.strangers() == {"mail": 1}
    world.see(shown(version=2, state="resolved"))
    world.pass_time(1)
    assert {told.channel for told in world.engine.forget(0, "al_1")} == {"pager", "mail"}
    assert world.engine.strangers() == {}


def test_a_channel_that_is_put_back_hears_the_end_of_what_it_was_told() -> None:
    mail = Counting("mail")
    world = World(Counting("pager"), mail, routes=BOTH)
    world.see(shown())
    world.pass_time(1)
    with_mail, world.routes = world.routes, parse_routes("routes.yaml", ONE_CHANNEL)
    del world.receivers["mail"]
    world.start()
    world.see(shown(version=2, state="resolved"))
    world.pass_time(1)
    world.routes, world.receivers["mail"] = with_mail, mail
    world.start()
    world.pass_time(1)
    assert mail.incidents == {"al_1": "resolved"}


def test_a_digest_that_ends_after_the_rate_left_the_file_says_nothing_of_a_rate() -> None:
    world = World(routes=RATED)
    for number in range(8):
        world.see(shown(number, severity="high", policy=f"policy-{number}"))
    world.pass_time(5)
    world.routes = parse_routes("routes.yaml", ONE_CHANNEL)
    world.start()
    [group] = [key for key in world.pager.incidents if key.startswith("dg_")]
    for key in world.engine.floor.books[0].groups[group]:
        world.see(shown(int(key[3:]), 2, severity="high", policy=f"policy-{key[3:]}", state="acknowledged"))
    world.pass_time(200)
    [told] = [delivery for delivery in world.pager.log if (delivery.key, delivery.version) == (group, 10)]
    assert told.message.lines[0] == "not sent one by one: more in a minute than this channel took when they came"
