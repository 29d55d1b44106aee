"""Which blind alerts a silent source speaks for: on a channel that hears of it, and for as long as it lasts."""

from __future__ import annotations

from stepwatch.notifiers.mutes import Mute, ended
from tests.notifiers.world import AWAY, REFUSED, T0_S, WITH_BACKUP, Counting, World, at, blind, silence


def mute_of_silences() -> Mute:
    said = {"match": {"kind": "source_silence"}, "from": at(-60), "until": at(86_400), "reason": "noise", "by": "olga"}
    return Mute.model_validate({**said, "id": "mu_1"})


def test_a_blind_alert_rings_where_the_silence_behind_it_is_muted() -> None:
    world = World()
    world.engine.set_mute(mute_of_silences())
    world.see(silence())
    world.see(blind(1, severity="critical"), partition=1)
    world.pass_time(60)
    assert world.pager.incidents == {"al_1": "open"}


def test_a_blind_alert_rings_where_the_silence_behind_it_was_refused() -> None:
    world = World(Counting(answers=[REFUSED]))
    world.see(silence())
    world.pass_time(5)
    world.see(blind(1), partition=1)
    world.pass_time(60)
    assert world.pager.incidents == {"al_1": "open"}


def test_a_blind_alert_leaves_a_silence_that_is_refused_after_it_joined() -> None:
    world = World(Counting(always=AWAY))
    world.see(silence())
    world.see(blind(1), partition=1)
    world.pass_time(5)
    assert world.told("al_1").group == "al_silence"
    world.pager.always, world.pager.answers = None, [REFUSED]
    world.pass_time(600)
    assert world.pager.incidents == {"al_1": "open"}


def test_a_blind_alert_leaves_a_silence_that_is_muted_before_anybody_heard_of_it() -> None:
    world = World(Counting(always=AWAY))
    world.see(silence())
    world.see(blind(1), partition=1)
    world.pass_time(5)
    world.engine.set_mute(mute_of_silences())
    world.pager.always = None
    world.pass_time(600)
    assert world.pager.incidents == {"al_1": "open"}
    world.engine.set_mute(ended(mute_of_silences(), "ivo", int(world.now_s * 1_000_000)))
    world.pass_time(60)
    assert world.pager.incidents == {"al_1": "open", "al_silence": "open"}


def test_a_silence_that_rang_before_it_was_muted_goes_on_speaking() -> None:
    world = World()
    world.see(silence())
    world.pass_time(5)
    world.engine.set_mute(mute_of_silences())
    world.see(blind(1), partition=1)
    world.pass_time(600)
    assert world.pager.incidents == {"al_silence": "open"}


def test_a_silence_that_shares_the_incident_of_others_speaks_too() -> None:
    world = World()
    for number in range(8):
        world.see(silence(alert_id=f"al_s{number}", reason=f"/idp{number}", first_time=at(-400 + number)))
    world.pass_time(5)
    for number in range(8):
        world.see(silence(2, alert_id=f"al_s{number}", state="resolved", updated_at=at(60)))
    world.see(blind(1), partition=1)
    world.pass_time(600)
    assert "al_1" not in world.pager.incidents


def test_a_silence_that_another_channel_was_told_of_in_its_place_speaks_there() -> None:
    pager, mail = Counting("pager", always=AWAY), Counting("mail")
    world = World(pager, mail, routes=WITH_BACKUP)
    world.see(silence())
    world.pass_time(400)
    for number in range(1, 20):
        world.see(blind(number, policy=f"policy-{number}"), partition=1)
    world.pass_time(1200)
    assert mail.incidents == {"al_silence": "open"}


def test_a_blind_alert_that_grows_after_its_silence_is_over_rings() -> None:
    world = World()
    world.see(silence())
    world.see(blind(1), partition=1)
    world.pass_time(60)
    world.see(silence(2, state="resolved", resolved_by="person", updated_at=at(60)))
    world.pass_time(60)
    world.see(blind(1, 2, severity="critical", count=40, updated_at=at(600)), partition=1)
    world.pass_time(60)
    assert world.pager.incidents["al_1"] == "open"


def test_what_a_blind_alert_grew_while_its_silence_lasted_is_no_news_afterwards() -> None:
    world = World()
    world.see(silence())
    world.see(blind(1), partition=1)
    world.pass_time(60)
    world.see(blind(1, 2, count=40, updated_at=at(30)), partition=1)
    world.pass_time(60)
    world.see(silence(2, state="resolved", resolved_by="source_recovered", updated_at=at(60)))
    world.start()
    world.pass_time(60)
    # Proofs come late: fewer and fewer are left.
    world.see(blind(1, 3, count=39, updated_at=at(120)), partition=1)
    world.pass_time(600)
    assert "al_1" not in world.pager.incidents
    world.see(blind(1, 4, count=40, updated_at=at(700)), partition=1)
    world.pass_time(60)
    assert world.pager.incidents["al_1"] == "open"


def test_a_blind_alert_that_grows_after_the_topic_has_forgotten_its_silence_rings() -> None:
    world = World()
    world.see(silence())
    world.see(blind(1), partition=1)
    world.pass_time(60)
    del world.alerts[0]["al_silence"]
    world.now_s = T0_S + 86_400
    world.start()
    world.see(blind(1, 2, count=2, updated_at=at(86_400)), partition=1)
    world.pass_time(60)
    assert world.pager.incidents["al_1"] == "open"
