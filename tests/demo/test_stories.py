"""Each story ends as its script says when its events are judged, whatever the servers do meanwhile."""

from __future__ import annotations

import pytest

from stepwatch.demo.stories import Hush, Recover, Story, Wait, stories
from tests.demo.day import LENGTH_US, START_US, Day, whole_day

ALL = stories(START_US, LENGTH_US)
WANTED = (
    "an unverified payout",
    "a stale proof",
    "a proof of another session",
    "a push denied and acted on",
    "a proof that arrives late",
    "an MFA-fatigue attack",
    "a replayed code",
    "a silent identity provider that comes back",
)


@pytest.fixture(scope="module")
def day() -> Day:
    return whole_day(people=20)


def test_every_story_that_was_promised_is_there_by_name_with_people() -> None:
    assert tuple(story.name for story in ALL) == WANTED
    assert all(story.people and story.people[0].name.split()[0] in story.told for story in ALL)


def test_no_two_stories_share_a_person_and_nobody_of_the_bank_is_in_one(day: Day) -> None:
    people = [person.subject for story in ALL for person in story.people]
    assert len(set(people)) == len(people)
    assert not set(people) & {happening.subject for happening in day.ordinary}


@pytest.mark.parametrize("story", ALL, ids=lambda story: story.name)
def test_the_last_verdict_of_each_action_is_what_the_script_says(story: Story, day: Day) -> None:
    for verdict in story.verdicts:
        row = day.verdicts()[verdict.subject, verdict.action_id]
        assert (row["verdict"], row["reason"]) == verdict.passed[-1]


@pytest.mark.parametrize("story", ALL, ids=lambda story: story.name)
def test_the_alerts_open_in_the_end_are_those_of_the_script(story: Story, day: Day) -> None:
    people = {person.subject for person in story.people}
    got = {
        (row["alert"], row["subject"], row["severity"])
        for row in day.rows
        if row["kind"] == "alert" and row["subject"] in people
    }
    assert got == {(end.kind, end.subject, end.severity) for end in story.alerts if end.state == "open"}


def test_every_wait_is_for_an_alert_that_the_story_must_end_with() -> None:
    for story in ALL:
        ends = {(end.kind, end.subject) for end in story.alerts}
        assert {(step.kind, step.subject) for step in story.steps if isinstance(step, Wait)} <= ends


def test_whoever_falls_silent_comes_back() -> None:
    for story in ALL:
        kinds = [type(step) for step in story.steps if isinstance(step, Hush | Recover)]
        assert kinds in ([], [Hush, Recover])
