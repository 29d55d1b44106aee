"""What a receiver refuses: whose fault it is, who is told instead, and that an end is never given up."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from stepwatch.notifiers.delivery import Answer, Outcome
from tests.notifiers.world import AWAY, GONE, MISSET, REFUSED, WITH_BACKUP, Counting, World, shown, silence

HOUR_S = 3600.0
WAITING = "stepwatch_notify_waiting"


def test_an_end_that_is_refused_is_tried_until_it_is_taken() -> None:
    world = World()
    world.see(shown())
    world.pass_time(1)
    world.pager.always = REFUSED
    world.see(shown(version=2, state="resolved"))
    world.pass_time(HOUR_S)
    tries = len(world.pager.log)
    assert 10 < tries < 60
    world.start()
    world.pass_time(1)
    world.pager.always = None
    world.pass_time(600)
    assert world.pager.incidents == {"al_1": "resolved"}


def test_an_end_that_is_refused_holds_up_no_other_alert() -> None:
    class Picky(Counting):
        async def deliver(self, delivery):  # type: ignore[no-untyped-def]
            self.always = REFUSED if delivery.step.value == "resolve" else None
            return await super().deliver(delivery)

    world = World(Picky())
    world.see(shown())
    world.pass_time(1)
    world.see(shown(version=2, state="resolved"))
    world.pass_time(1)
    world.see(shown(2))
    world.pass_time(0)
    assert world.pager.incidents["al_2"] == "open"


def test_a_wrong_key_is_no_fault_of_the_alert_which_rings_when_the_key_is_right() -> None:
    world = World(Counting(always=MISSET))
    world.see(shown())
    world.pass_time(HOUR_S)
    assert world.told("al_1").refused == 0
    world.start()
    world.pass_time(1)
    world.pager.always = None
    world.pass_time(600)
    assert world.pager.incidents == {"al_1": "open"}


def test_a_wrong_key_calls_another_channel_at_once_for_everything_that_waits() -> None:
    pager, mail = Counting("pager", always=MISSET), Counting("mail")
    world = World(pager, mail, routes=WITH_BACKUP)
    for number in range(4):
        world.see(shown(number, policy=f"policy-{number}"))
    world.pass_time(0)
    assert set(mail.incidents) == {f"al_{number}" for number in range(4)}
    assert len(pager.log) == 1


def test_who_was_told_in_place_of_one_that_refused_is_told_after_a_restart_too() -> None:
    pager, mail = Counting("pager", answers=[REFUSED]), Counting("mail", always=AWAY)
    world = World(pager, mail, routes=WITH_BACKUP)
    world.see(shown())
    world.pass_time(60)
    assert mail.incidents == {}
    world.start()
    mail.always = None
    world.pass_time(600)
    assert (pager.incidents, mail.incidents) == ({}, {"al_1": "open"})


def test_a_group_that_is_refused_is_told_elsewhere_after_a_restart_too() -> None:
    pager, mail = Counting("pager"), Counting("mail", always=AWAY)
    world = World(pager, mail, routes=WITH_BACKUP)
    for number in range(5):
        world.see(shown(number))
    world.pass_time(1)
    pager.answers = [REFUSED]
    for number in range(5, 8):
        world.see(shown(number))
    world.pass_time(30)
    world.start()
    mail.always = None
    world.pass_time(600)
    assert [key[:3] for key in mail.incidents] == ["st_"]


def test_the_end_of_an_alert_is_told_to_who_was_told_in_place_of_another() -> None:
    pager, mail = Counting("pager", answers=[REFUSED]), Counting("mail")
    world = World(pager, mail, routes=WITH_BACKUP)
    world.see(shown())
    world.pass_time(1)
    world.see(shown(version=2, state="resolved"))
    world.pass_time(600)
    assert (pager.steps, mail.incidents) == ([("trigger", "al_1")], {"al_1": "resolved"})


@pytest.mark.parametrize("when", ["at once", "after a restart"])
def test_a_channel_that_is_enabled_hears_of_what_it_refused_before(when: str) -> None:
    world = World(Counting(answers=[REFUSED]))
    world.see(shown())
    world.pass_time(60)
    if when == "after a restart":
        world.start(lambda engine: engine.set_disabled("pager", "", world.now))
    else:
        world.engine.set_disabled("pager", "", world.now)
    world.pass_time(0)
    assert world.pager.incidents == {"al_1": "open"}


def test_what_is_refused_after_a_channel_was_enabled_stays_refused() -> None:
    world = World(Counting(always=REFUSED))
    world.engine.set_disabled("pager", "", world.now)
    world.pass_time(60)
    world.see(shown())
    world.pass_time(HOUR_S)
    assert len(world.pager.log) == 1


def test_a_channel_that_is_enabled_sends_at_once_what_waited() -> None:
    world = World(Counting(answers=[Answer(Outcome.RETRY, "429", HOUR_S, unsent=True)]))
    world.see(shown(severity="high"))
    world.pass_time(60)
    world.engine.set_disabled("pager", "", world.now)
    world.pass_time(0)
    assert world.pager.incidents == {"al_1": "open"}


def test_an_alert_that_grows_is_told_again_to_a_receiver_that_refused_it() -> None:
    pager, mail = Counting("pager", answers=[REFUSED]), Counting("mail")
    world = World(pager, mail, routes=WITH_BACKUP)
    world.see(shown())
    world.pass_time(1)
    world.see(shown(version=2, count=3))
    world.pass_time(1)
    assert (pager.incidents, mail.incidents) == ({"al_1": "open"}, {"al_1": "open"})


def test_a_channel_that_wants_nothing_more_calls_another_after_a_restart_too() -> None:
    pager, mail = Counting("pager", answers=[GONE]), Counting("mail", always=AWAY)
    world = World(pager, mail, routes=WITH_BACKUP)
    world.see(shown())
    world.pass_time(60)
    world.start()
    mail.always = None
    world.pass_time(600)
    assert mail.incidents == {"al_1": "open"}


def test_a_partition_that_goes_from_a_channel_that_wants_nothing_leaves_nothing_waiting() -> None:
    world = World(Counting(answers=[GONE]))
    world.see(silence())
    world.see(shown(2), partition=1)
    world.pass_time(5)
    assert REGISTRY.get_sample_value(WAITING, {"channel": "pager"}) == 2
    world.engine.lose(0)
    world.engine.lose(1)
    world.pass_time(3600)
    assert REGISTRY.get_sample_value(WAITING, {"channel": "pager"}) == 0
