"""Who goes first: news before reminders, and what is critical before a pause is over."""

from __future__ import annotations

import asyncio

from stepwatch.notifiers.delivery import Answer, Outcome
from tests.notifiers.world import T0_S, WITH_BACKUP, Counting, World, shown

PAUSE = Answer(Outcome.RETRY, "429", 3600.0, unsent=True)


def test_reminders_keep_no_new_alert_waiting() -> None:
    class Slow(Counting):
        async def deliver(self, delivery):  # type: ignore[no-untyped-def]
            world.now_s += 0.05
            return await super().deliver(delivery)

    world = World(Slow(resend_every_s=60.0))

    async def go(until_s: float) -> None:
        # As `World.run`, but the receiver itself takes time.
        while world.now_s < T0_S + until_s:
            wait_s = await world.engine.lanes["pager"].step()
            world.now_s += min(wait_s or 0.0, 1.0)

    # More than can be said again within a minute.
    for number in range(1300):
        world.see(shown(number, policy=f"policy-{number}"))
    asyncio.run(go(200))
    world.see(shown(9999, severity="low", policy="other"))
    asyncio.run(go(202))
    assert world.pager.incidents["al_9999"] == "open"


def test_what_grows_worse_is_told_before_reminders_too() -> None:
    world = World(Counting(resend_every_s=60.0))
    for number in range(3):
        world.see(shown(number, policy=f"policy-{number}"))
    world.pass_time(59)
    world.now_s += 2
    world.see(shown(2, 2, policy="policy-2", count=7))
    world.pager.log.clear()
    world.pass_time(0)
    assert [(key, delivery.version) for (_, key), delivery in zip(world.pager.steps, world.pager.log, strict=True)] == [
        ("al_2", 2),
        ("al_0", 1),
        ("al_1", 1),
    ]


def test_a_pause_that_a_receiver_asks_for_keeps_what_is_critical_for_five_minutes_at_most() -> None:
    world = World(Counting(answers=[PAUSE]))
    world.see(shown(1, severity="high"))
    world.pass_time(1)
    world.see(shown(2))
    world.pass_time(290)
    assert world.pager.incidents == {}
    world.pass_time(20)
    assert world.pager.incidents == {"al_2": "open"}


def test_a_critical_alert_that_met_the_pause_itself_is_tried_again_within_five_minutes() -> None:
    world = World(Counting(answers=[PAUSE, PAUSE]))
    world.see(shown())
    world.pass_time(310)
    assert len(world.pager.log) == 2
    world.pass_time(310)
    assert world.pager.incidents == {"al_1": "open"}


def test_a_pause_is_kept_for_what_is_not_critical() -> None:
    world = World(Counting(answers=[PAUSE]))
    world.see(shown(severity="high"))
    world.pass_time(3599)
    assert len(world.pager.log) == 1
    world.pass_time(2)
    assert world.pager.incidents == {"al_1": "open"}


def test_a_pause_longer_than_the_patience_of_the_route_calls_another_channel_at_once() -> None:
    mail = Counting("mail")
    world = World(Counting("pager", answers=[PAUSE]), mail, routes=WITH_BACKUP)
    world.see(shown())
    world.pass_time(0)
    assert mail.incidents == {"al_1": "open"}
