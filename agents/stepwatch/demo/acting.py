"""Who is on the stage when: the ordinary day, and each story by its script."""

from __future__ import annotations

import asyncio
import time

from stepwatch.demo.bank import DAY_HOURS, Bank, bad_records
from stepwatch.demo.playing import DayClock, Wire, play
from stepwatch.demo.said import Voice
from stepwatch.demo.show import Screen
from stepwatch.demo.stories import OUTAGE_AT, Hush, Pause, Recover, Send, Step, Story, Wait, stories
from stepwatch.demo.watching import Watch
from stepwatch.schemas.times import HOUR_US

OUTAGE_S = 6.0
"""How long the day goes on while the identity provider is silent; then it stands until that is over."""
_OUTAGE_MAX = 0.3
_BAD_AT = 0.5
WAIT_S = 40.0
"""How long a story waits for an alert before it goes on without."""


class Play:
    """A day with its stories.

    Attributes:
        clock: which time of the day it is.
        stories: in the order in which they begin.
        people: how many work at the bank.
        over: nothing more happens.
    """

    def __init__(self, wire: Wire, watch: Watch, screen: Screen, seconds: float, people: int, seed: int) -> None:
        length_us = DAY_HOURS * HOUR_US
        now_us = time.time_ns() // 1000
        start_us = now_us - length_us
        outage_end = OUTAGE_AT + min(_OUTAGE_MAX, OUTAGE_S / seconds)
        self.over = False
        self.clock = DayClock(start_us, length_us, seconds)
        self.stories = stories(start_us, length_us)
        self._wire, self._watch, self._screen = wire, watch, screen
        self._may_fall_silent = self.clock.hold(OUTAGE_AT)
        self._has_recovered = self.clock.hold(outage_end)
        bank = Bank(seed, now_us, people, (self.clock.at(OUTAGE_AT), self.clock.at(outage_end)))
        self.people = people + len({person for story in self.stories for person in story.people})
        bad = bad_records(Voice("bad-"), bank.people[0], self.clock.at(_BAD_AT))
        # A record that arrives while the clock stands would be there before it happened.
        self._day = sorted([*bank.day(), *bad], key=lambda happening: happening.when_us)

    async def perform(self) -> dict[str, list[str]]:
        """Play it all; returns, by the stories' names, what each waited for in vain."""
        *earlier, last = self.stories
        async with asyncio.TaskGroup() as group:
            group.create_task(play(self._day, self._wire, self.clock))
            acts = [group.create_task(self._act(story)) for story in earlier]
            done = await asyncio.gather(*acts)
            # Only now: an outage would change how the others end.
            self._may_fall_silent.set()
            done.append(await self._act(last))
            self._has_recovered.set()
        return {story.name: faults for story, faults in zip(self.stories, done, strict=True)}

    async def _act(self, story: Story) -> list[str]:
        await self.clock.reaches(story.at)
        self._screen.begin(story.name, story.told)
        faults = []
        for step in story.steps:
            fault = await self._take(step)
            if fault:
                faults.append(fault)
        return faults

    async def _take(self, step: Step) -> str:
        """Do a step; returns what was waited for in vain, or nothing."""
        if isinstance(step, Send):
            await self._wire.send(step.happenings)
        elif isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, Hush):
            self._wire.hush()
        elif isinstance(step, Recover):
            self._screen.begin("it comes back, with all that it could not say")
            await self._wire.recover()
        elif isinstance(step, Wait) and not await self._watch.until(*step, WAIT_S):
            return f"no alert {step.kind} of {step.subject} became {step.state} in {WAIT_S:.0f} s"
        return ""
