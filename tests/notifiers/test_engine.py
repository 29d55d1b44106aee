"""One incident at the receiver for each alert, whatever the receiver answers and wherever the process dies."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from stepwatch.notifiers.delivery import Answer, Outcome
from tests.notifiers.world import AWAY, GONE, OK, REFUSED, SILENT, Counting, World, shown

HOUR_S = 3600.0
TLS = Answer(Outcome.RETRY, "the certificate is not one that we trust", unsent=True)


def test_each_step_of_an_alert_reaches_the_receiver_under_its_own_key() -> None:
    world = World()
    for alert in (
        shown(),
        shown(version=2, count=2),
        shown(version=3, count=2, state="acknowledged"),
        shown(version=4, count=0, state="resolved", resolved_by="late_verification"),
    ):
        world.see(alert)
        world.pass_time()
    steps = [step for step, _ in world.pager.steps]
    assert steps == ["trigger", "update", "acknowledge", "resolve"]
    assert {key for _, key in world.pager.steps} == {"al_1"}
    assert world.told("al_1").state.value == "resolved"


def test_a_count_that_only_falls_is_not_told_and_one_that_rises_again_is() -> None:
    world = World()
    told = []
    for version, count in enumerate((1, 3, 2, 3, 4), 1):
        world.see(shown(version=version, count=count))
        world.pass_time()
        told.append(len(world.pager.log))
    assert told == [1, 2, 2, 3, 4]


@pytest.mark.parametrize("looks", ["at each", "at the last only", "after a death"])
def test_a_new_deed_after_a_late_proof_is_told_though_the_count_was_told_before(looks: str) -> None:
    world = World()
    world.see(shown(count=2))
    world.pass_time()
    world.see(shown(version=2, count=1))
    if looks == "at each":
        world.pass_time()
    elif looks == "after a death":
        world.start()
    world.see(shown(version=3, count=2))
    world.pass_time()
    assert world.pager.steps == [("trigger", "al_1"), ("update", "al_1")]


def test_an_alert_that_was_over_before_anybody_was_told_is_never_spoken_of() -> None:
    world = World()
    world.see(shown())
    world.see(shown(version=2, state="resolved"))
    world.pass_time(HOUR_S)
    assert world.pager.log == []


def test_states_that_were_missed_are_told_as_one() -> None:
    world = World(Counting(always=AWAY))
    for version, count in enumerate((1, 2, 5), 1):
        world.see(shown(version=version, count=count))
        world.pass_time(60)
    world.pager.always = None
    world.pager.log.clear()
    world.pass_time(HOUR_S)
    assert world.pager.steps == [("trigger", "al_1")]
    assert world.pager.log[0].version == 3


def test_an_acknowledged_alert_that_was_over_and_opens_again_rings_again() -> None:
    world = World()
    world.see(shown())
    world.pass_time()
    world.see(shown(version=2, state="acknowledged"))
    world.pass_time()
    world.see(shown(version=3, state="resolved"))
    world.see(shown(version=4, count=2))
    world.pass_time()
    assert world.pager.incidents == {"al_1": "open"}
    assert world.pager.rings["al_1"] == 2


@pytest.mark.parametrize("failure", [AWAY, TLS, SILENT, Answer(Outcome.RETRY, "500"), Answer(Outcome.RETRY, "429", 30)])
def test_two_hours_of_outage_end_in_one_incident_for_each_alert(failure: Answer) -> None:
    world = World(Counting(always=failure, takes_lost=False))
    for number in range(3):
        world.see(shown(number))
    world.pass_time(2 * HOUR_S)
    tries = len(world.pager.log)
    # Once an hour at the least, and no hammering: the waits grow to five minutes.
    assert 20 < tries < 400
    world.pager.always = None
    world.pass_time(600)
    assert world.pager.incidents == {f"al_{number}": "open" for number in range(3)}
    assert set(world.pager.rings.values()) == {1}


def test_what_is_told_after_an_outage_is_true_when_it_is_told() -> None:
    world = World(Counting(always=AWAY))
    world.see(shown())
    world.pass_time(1800)
    assert "until" in dict(world.pager.log[-1].message.facts)
    world.pass_time(HOUR_S)
    world.pager.always = None
    world.pass_time(600)
    assert "until" not in dict(world.pager.log[-1].message.facts)


def test_an_alert_that_came_and_went_while_nobody_answered_the_door_is_never_spoken_of() -> None:
    world = World(Counting(always=AWAY))
    world.see(shown())
    world.pass_time(HOUR_S)
    world.see(shown(version=2, state="resolved"))
    world.pager.always = None
    world.pager.log.clear()
    world.pass_time(HOUR_S)
    assert world.pager.log == []


def test_a_trigger_whose_reply_was_lost_is_taken_back_when_the_alert_is_over() -> None:
    world = World(Counting(answers=[SILENT]))
    world.see(shown())
    world.pass_time()
    world.see(shown(version=2, state="resolved"))
    world.pass_time(HOUR_S)
    assert world.pager.steps == [("trigger", "al_1"), ("resolve", "al_1")]
    assert world.pager.incidents == {"al_1": "resolved"}


def test_a_receiver_that_asks_for_a_pause_gets_it() -> None:
    world = World(Counting(answers=[Answer(Outcome.RETRY, "429", 120.0, unsent=True)]))
    world.see(shown())
    world.pass_time(119)
    assert len(world.pager.log) == 1
    world.pass_time(2)
    assert len(world.pager.log) == 2


def test_a_pause_of_a_year_is_an_hour() -> None:
    world = World(Counting(answers=[Answer(Outcome.RETRY, "429", 3e7, unsent=True)]))
    world.see(shown())
    world.pass_time(HOUR_S + 1)
    assert world.pager.incidents == {"al_1": "open"}


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_death_around_the_sending_sends_the_same_key_again(point: str) -> None:
    world = World(Counting(die=point))
    world.see(shown())
    world.pass_time(60)
    assert world.lives == 2
    assert world.pager.incidents == {"al_1": "open"}
    assert world.pager.rings == {"al_1": 1}


@pytest.mark.parametrize("record", [1, 2, 3])
def test_a_death_at_a_record_of_the_ledger_leaves_one_incident(record: int) -> None:
    world = World()
    world.die_before_record = record
    world.see(shown())
    world.pass_time(60)
    world.see(shown(version=2, count=2))
    world.pass_time(60)
    assert world.lives == 2
    assert world.pager.incidents == {"al_1": "open"}
    assert world.pager.rings == {"al_1": 1}


def test_what_was_sent_before_a_death_is_taken_back_though_no_record_says_that_it_arrived() -> None:
    world = World(Counting(die="after"))
    world.see(shown())
    # While the process is dead the alert resolves; the next one knows only that a trigger was on its way.
    world.alerts[0]["al_1"] = shown(version=2, state="resolved")
    world.pass_time(60)
    assert world.lives == 2
    assert world.pager.incidents == {"al_1": "resolved"}


def test_a_message_that_is_refused_is_not_sent_again_until_the_alert_changes() -> None:
    world = World(Counting(answers=[REFUSED]))
    world.see(shown())
    world.pass_time(HOUR_S)
    assert len(world.pager.log) == 1
    assert world.told("al_1").words == "400 Bad Request"
    world.see(shown(version=2, count=2))
    world.pass_time(60)
    assert world.pager.incidents == {"al_1": "open"}


def test_a_channel_that_is_gone_gets_nothing_until_it_is_enabled() -> None:
    world = World(Counting(answers=[GONE]))
    world.see(shown())
    world.pass_time(HOUR_S)
    world.start()
    world.see(shown(2))
    world.pass_time(HOUR_S)
    assert len(world.pager.log) == 1
    assert world.said[-1] == ("pager", "410 Gone")
    world.engine.set_disabled("pager", "", world.now)
    world.pass_time(60)
    assert world.pager.incidents == {"al_1": "open", "al_2": "open"}


def test_one_message_that_always_fails_holds_up_no_other() -> None:
    class Picky(Counting):
        async def deliver(self, delivery):  # type: ignore[no-untyped-def]
            self.always = Answer(Outcome.RETRY, "500") if delivery.key == "al_0" else OK
            self.takes_lost = False
            return await super().deliver(delivery)

    world = World(Picky())
    for number in range(4):
        world.see(shown(number))
    world.pass_time(300)
    assert world.pager.incidents == {f"al_{number}": "open" for number in (1, 2, 3)}


def test_a_record_of_a_former_owner_that_was_slow_to_notice_is_put_right() -> None:
    world = World()
    world.see(shown())
    world.pass_time()
    late = world.told("al_1")
    world.see(shown(version=2, state="resolved"))
    world.pass_time()
    # The former owner's trigger came to the receiver after our resolution, and so did its record.
    world.pager.incidents["al_1"] = "open"
    world.engine.adopt(0, replace(late, writer="a former owner"))
    world.pass_time()
    assert world.pager.incidents == {"al_1": "resolved"}


def test_a_receiver_that_forgets_is_reminded_until_it_is_over() -> None:
    world = World(Counting(resend_every_s=60.0))
    world.see(shown())
    world.pass_time(301)
    assert [step for step, _ in world.pager.steps] == ["trigger", *["update"] * 5]
    world.see(shown(version=2, state="resolved"))
    world.pass_time(HOUR_S)
    assert [step for step, _ in world.pager.steps][6:] == ["resolve"]


def test_the_ledger_forgets_an_alert_with_the_topic_but_not_before_its_end_was_told() -> None:
    world = World()
    world.see(shown())
    world.pass_time()
    world.pager.always = AWAY
    world.see(shown(version=2, state="resolved"))
    world.pass_time()
    assert world.engine.forget(0, "al_1") == []
    world.pager.always = None
    world.pass_time(600)
    assert world.pager.incidents == {"al_1": "resolved"}
    assert [told.key for told in world.engine.sweep()[0]] == ["al_1"]
    assert world.engine.floor.books[0].alerts == {}


def test_a_channel_in_trouble_is_said_to_be_and_that_it_is_over_too() -> None:
    world = World(Counting(answers=[AWAY] * 3))
    world.see(shown())
    world.pass_time(600)
    assert world.said == [("pager", "connection refused"), ("pager", "")]


def test_two_failures_are_no_trouble_yet() -> None:
    world = World(Counting(answers=[AWAY] * 2))
    world.see(shown())
    world.pass_time(600)
    assert [words for _, words in world.said] == [""]
