"""The law of sending: whatever happens on the way, in the end the receiver's incidents are as the alerts are."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepwatch.notifiers.delivery import Answer, Outcome
from tests.notifiers.world import AWAY, OK, SILENT, Counting, World, shown

LIMITED = Answer(Outcome.RETRY, "429", 7.0, unsent=True)
ERROR = Answer(Outcome.RETRY, "500")
ALERTS = 2

changes = st.tuples(
    st.just("change"),
    st.integers(0, ALERTS - 1),
    st.sampled_from(["open", "open", "acknowledged", "resolved"]),
    st.integers(1, 3),
    st.sampled_from(["high", "critical"]),
)
answers = st.tuples(
    st.just("answers"), st.lists(st.sampled_from([OK, AWAY, SILENT, SILENT, ERROR, LIMITED]), min_size=1, max_size=4)
)
deaths = st.tuples(st.just("die"), st.sampled_from(["before", "after", "record", "now"]))
passing = st.tuples(st.just("pass"), st.sampled_from([0.0, 0.0, 1.0, 400.0]))
histories = st.lists(st.one_of(changes, changes, answers, deaths, passing, st.just(("start",))), max_size=40)

OPENS = ("change", 0, "open", 1, "critical")
ENDS = ("change", 0, "resolved", 1, "critical")
TAKEN = ("change", 0, "acknowledged", 1, "critical")
NOW = ("pass", 0.0)


def play(world: World, what: tuple[Any, ...], versions: dict[int, int]) -> None:
    """Let one thing happen."""
    match what:
        case ("change", number, state, count, severity):
            versions[number] = versions.get(number, 0) + 1
            if state == "acknowledged" and number not in world.alerts[0]:
                state = "open"
            world.see(shown(number, versions[number], state=state, count=count, severity=severity, policy=f"p{number}"))
        case ("answers", said):
            world.pager.answers = list(said)
        case ("die", "now"):
            world.is_dead = True
        case ("start",):
            world.start()
        case ("die", "record"):
            world.die_before_record = 1
        case ("die", point):
            world.pager.die = point
        case ("pass", seconds):
            world.pass_time(seconds)


@settings(max_examples=600, deadline=None)
@given(histories, st.booleans())
@example([OPENS, ("answers", [SILENT]), ("pass", 0.0), ENDS], True)
@example([OPENS, ("die", "after"), ("pass", 0.0), ENDS, ("start",)], True)
@example([OPENS, NOW, ENDS, ("die", "after"), NOW, OPENS], True)
@example([OPENS, NOW, ENDS, ("answers", [SILENT]), NOW, OPENS], True)
@example([OPENS, NOW, TAKEN, NOW, ENDS, ("answers", [SILENT]), NOW, OPENS], True)
@example([OPENS, NOW, TAKEN, NOW, ENDS, ("die", "after"), NOW, OPENS, TAKEN], True)
@example([OPENS, NOW, TAKEN, NOW, OPENS, ("die", "before"), NOW], True)
def test_in_the_end_the_receiver_has_one_incident_for_each_alert_in_the_state_of_the_alert(
    history: list[tuple[Any, ...]], takes_lost: bool
) -> None:
    world = World(Counting(takes_lost=takes_lost))
    world.stays_dead = True
    versions: dict[int, int] = {}
    for what in history:
        play(world, what, versions)
    world.stays_dead = False
    if world.is_dead:
        world.start()
    world.pager.answers, world.pager.die, world.die_before_record = [], "", 0
    world.pass_time(3600)
    stands = {alert.alert_id: alert.state for alert in world.alerts[0].values()}
    for key, state in stands.items():
        # Who was never told of an alert that is over needs no incident.
        assert world.pager.incidents.get(key, "resolved") == state
    # A key for each alert that was told and no other, and the ledger knows how each stands.
    told = {one.key: one.state.value for one in world.told_of.values() if one.key in world.pager.incidents}
    assert told == world.pager.incidents
    assert set(told) <= set(stands)


@settings(max_examples=100, deadline=None)
@given(histories)
def test_a_resolution_is_sent_only_where_a_trigger_may_have_arrived(history: list[tuple[Any, ...]]) -> None:
    world = World(Counting(takes_lost=True))
    versions: dict[int, int] = {}
    for what in history:
        play(world, what, versions)
    world.pass_time(3600)
    triggered: set[str] = set()
    for step, key in world.pager.steps:
        if step == "trigger":
            triggered.add(key)
        assert step == "trigger" or key in triggered or world.lives > 1
