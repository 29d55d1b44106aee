"""A small day with all its stories, as lines of a file: what the demo sends, without servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stepwatch.demo.bank import DAY_HOURS, Bank, bad_records
from stepwatch.demo.checking import InputRecord, replay_lines
from stepwatch.demo.policies_of import FOLDER
from stepwatch.demo.said import Happening, Voice, heartbeat
from stepwatch.demo.stories import Send, Story, stories
from stepwatch.schemas.times import HOUR_US, SECOND_US
from stepwatch.streams.replay import Row, replay
from stepwatch.streams.sets import load_files

NOW_US = 1_795_000_000 * SECOND_US
LENGTH_US = DAY_HOURS * HOUR_US
START_US = NOW_US - LENGTH_US
OUTAGE_US = (START_US + 14 * HOUR_US, START_US + 17 * HOUR_US)


class Day(NamedTuple):
    """The ordinary day, the stories, the bad records, and what a replay makes of all of it."""

    ordinary: list[Happening]
    stories: list[Story]
    rows: list[Row]

    def verdicts(self) -> dict[tuple[str, str], Row]:
        """By (subject, action id)."""
        return {(row["subject"], row["action_id"]): row for row in self.rows if row["kind"] == "verdict"}


def whole_day(people: int = 40, seed: int = 7) -> Day:
    """A day that arrived within a minute, the identity provider alive all the time."""
    bank = Bank(seed, NOW_US, people, OUTAGE_US)
    ordinary, told = bank.day(), stories(START_US, LENGTH_US)
    bad = bad_records(Voice("bad-"), bank.people[0], NOW_US - HOUR_US)
    in_stories = [h for story in told for step in story.steps if isinstance(step, Send) for h in step.happenings]
    lines = replay_lines(_records([*ordinary, *in_stories, *bad]))
    return Day(ordinary, told, list(replay(lines, load_files(sorted(FOLDER.glob("*.yaml"))))))


def _records(happenings: list[Happening]) -> Iterator[InputRecord]:
    for number in range(120):
        beat_us = NOW_US + number * SECOND_US // 2
        yield InputRecord("authentications", 0, number, beat_us // 1000, heartbeat(number, beat_us))
    for number, happening in enumerate(happenings):
        arrival_ms = (NOW_US + 2 * SECOND_US) // 1000 + number * 50_000 // len(happenings)
        yield InputRecord(happening.family, 1, number, arrival_ms, happening.value)
