"""The order of it all: play the day, watch, read back, compare, sum up, stay up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from stepwatch.agents.clients import close_client, open_producer
from stepwatch.agents.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_PROBLEM
from stepwatch.agents.settings import Settings
from stepwatch.demo import checking, reading
from stepwatch.demo.acting import Play
from stepwatch.demo.playing import Wire
from stepwatch.demo.policies_of import FOLDER
from stepwatch.demo.show import Ending, Screen, Summary, progress_line, summary_lines
from stepwatch.demo.watching import Watch
from stepwatch.schemas.times import SECOND_US, format_time
from stepwatch.store.client import trouble_of
from stepwatch.streams.replay import Row, replay
from stepwatch.streams.sets import PolicySets, load_files

SETTLE_S = 30.0
"""How long the last verdicts and rows may take to reach ClickHouse once the day is over."""
_DRAW_S = 0.2
_ASK_AGAIN_S = 0.5
_BAD_RECORDS = 2


class Weighing(Protocol):
    """What knows how much memory all processes take."""

    def rss_bytes(self) -> int: ...
    def pids(self) -> dict[str, int]: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How large the day is.

    Attributes:
        seconds: in which it is played; the outage and the end take some more.
        people: who work at the bank.
        seed: of all that is by chance.
        stay: whether the servers stay up after the summary until Ctrl-C.
        command: what a person types to call us, e.g. `.venv/bin/stepwatch`.
        where: the options by which it reaches this data, e.g. `--data DIR`.
        console: the address of the console.
    """

    seconds: float = 50.0
    people: int = 300
    seed: int = 7
    stay: bool = False
    command: str = "stepwatch"
    where: str = ""
    console: str = ""


def run(settings: Settings, processes: Weighing, screen: Screen, plan: Plan) -> int:
    """Play the day on servers and roles that run already. Only from the main thread.

    Args:
        settings: how to connect.
        processes: the supervisor of servers and roles.
        screen: where it is shown.
        plan: how large it is.

    Returns:
        0: all ended as it must; 1: something did not, and it is on the screen; 130: interrupted before that was known.

    Raises:
        KafkaAway, KafkaRefused: no answer, or no permission.
    """
    demo = Demo(settings, processes, screen, plan)
    try:
        asyncio.run(demo.perform())
    except KeyboardInterrupt:
        if demo.status is None:
            return EXIT_INTERRUPTED
    finally:
        screen.progress("")
    assert demo.status is not None
    return demo.status


class Demo:
    """One run. `status` is known once all was compared."""

    def __init__(self, settings: Settings, processes: Weighing, screen: Screen, plan: Plan) -> None:
        self.status: int | None = None
        self._settings, self._processes, self._screen, self._plan = settings, processes, screen, plan
        self._sets: PolicySets = load_files(sorted(Path(FOLDER).glob("*.yaml")))
        self._watch = Watch(settings, screen.tell)

    async def perform(self) -> None:
        """The day, the comparison, the summary; then, where somebody looks, nothing until Ctrl-C."""
        async with self._wire() as wire:
            play = Play(wire, self._watch, self._screen, self._plan.seconds, self._plan.people, self._plan.seed)
            async with _beside(wire.beat_for_ever(), self._watch.follow(), self._draw(play, wire)):
                begun = time.monotonic()
                waited = await play.perform()
                seconds = time.monotonic() - begun
                self._screen.hint("The day is sent. Reading it back from Kafka and judging it again as a file …")
                summary = await self._compare(play, wire, waited, begun, seconds)
                self.status = EXIT_PROBLEM if any(ending.faults for ending in summary.endings) else EXIT_OK
                play.over = True
                self._screen.progress("")
                self._screen.say(*summary_lines(summary, self._screen))
                if self._plan.stay:
                    await asyncio.Event().wait()

    @contextlib.asynccontextmanager
    async def _wire(self) -> AsyncIterator[Wire]:
        producer = await open_producer(self._settings)
        try:
            yield Wire(self._settings, producer)
        finally:
            await close_client(producer)

    async def _draw(self, play: Play, wire: Wire) -> None:
        while True:
            if not play.over:
                now = format_time(play.clock.now_us)[11:16]
                watch, sent = self._watch, sum(wire.sent.values())
                line = progress_line(play.clock.part, now, sent, watch.open, watch.resolved, wire.silent)
                self._screen.progress(line)
            await asyncio.sleep(_DRAW_S)

    async def _compare(
        self, play: Play, wire: Wire, waited: dict[str, list[str]], begun: float, seconds: float
    ) -> Summary:
        records = await reading.read_inputs(self._settings)
        lines = checking.replay_lines(records)
        replayed = await asyncio.to_thread(lambda: list(replay(lines, self._sets)))
        give_up = time.monotonic() + SETTLE_S
        while True:
            stored = await self._stored(give_up)
            endings = self._endings(play, waited, stored, replayed)
            if not any(ending.faults for ending in endings) or time.monotonic() > give_up:
                break
            await asyncio.sleep(_ASK_AGAIN_S)
        return self._summary(play, wire, stored, endings, begun, seconds)

    async def _stored(self, give_up: float) -> reading.Stored:
        while True:
            try:
                return await asyncio.to_thread(reading.read_stored, self._settings)
            except Exception as error:
                # The role `store` makes the tables when ClickHouse first answers it, which may be late.
                if trouble_of(error) is None or time.monotonic() > give_up:
                    raise
            await asyncio.sleep(_ASK_AGAIN_S)

    def _endings(
        self, play: Play, waited: dict[str, list[str]], stored: reading.Stored, replayed: list[Row]
    ) -> list[Ending]:
        endings = []
        for story in play.stories:
            faults = waited[story.name] + checking.story_faults(story, stored.revisions, stored.alerts)
            people = ", ".join(person.name for person in story.people)
            endings.append(Ending(story.name, people, story.end, faults))
        rejected = sum(row["kind"] == "rejected" for row in replayed)
        letters = len(stored.dead_letters)
        bad = (
            []
            if rejected == letters == _BAD_RECORDS
            else [
                f"{_BAD_RECORDS} events were bad; the replay rejected {rejected}, the table dead_letters has {letters}"
            ]
        )
        return [
            *endings,
            Ending("an ordinary day", "", "no alert but the stories'", checking.strangers(play.stories, stored.alerts)),
            Ending("two events that nobody can read", "", "dead letters, and the stream went on", bad),
            Ending(
                "audit_current = replay of the same events",
                "",
                f"{len(stored.verdicts):,} verdicts, one by one",
                checking.verdict_differences(stored.verdicts, replayed),
            ),
            Ending(
                "alerts_current = replay of the same events",
                "",
                "the open ones, members and all",
                checking.alert_differences(stored.alerts, replayed),
            ),
        ]

    def _summary(
        self,
        play: Play,
        wire: Wire,
        stored: reading.Stored,
        endings: list[Ending],
        begun: float,
        seconds: float,
    ) -> Summary:
        beyond = [self._beyond_grace_s(row) for row in stored.detections]
        first = self._watch.first_at
        return Summary(
            actions=wire.sent.get("actions", 0),
            authentications=wire.sent.get("authentications", 0),
            people=play.people,
            seconds=seconds,
            verdicts=Counter(row["verdict"] for row in stored.verdicts),
            stopped=sum(row["verdict"] == "unverified" and row["outcome"] == "denied" for row in stored.verdicts),
            alerts_raised=self._watch.raised,
            alerts_resolved=self._watch.resolved,
            alerts_open=self._watch.open,
            dead_letters=[f"{row['field']}: {row['error'].partition(': ')[2]}" for row in stored.dead_letters],
            detections_s=(checking.percentile(beyond, 0.5), checking.percentile(beyond, 0.99)),
            detection_count=len(beyond),
            peak_bytes=self._processes.rss_bytes(),
            endings=endings,
            further=self._further(),
            up=self._up() if self._plan.stay else (),
            first_alert_s=None if first is None else first - begun,
        )

    def _beyond_grace_s(self, row: Row) -> float:
        grace_us = self._sets.at(row["time_us"]).requirements[row["policy"]].grace_us
        return float(row["waited_us"] - grace_us) / SECOND_US

    def _further(self) -> list[tuple[str, str]]:
        ask = f"{self._plan.command} sql {self._plan.where}".rstrip()
        return [
            (
                f'{ask} "select time, subject, action, verdict, reason from bypasses order by time"',
                "high-risk actions that took effect and were not verified",
            ),
            (
                f"{ask} \"select time, kind, what, result from subject_timeline where tenant = 'default' "
                "and subject = 'sofia.rossi' order by time\"",
                "all that happened around one person",
            ),
            (
                f'{ask} "select policy, methods, sum(actions), max(age_max_ms) from verification_quality '
                "where verdict = 'verified' group by all order by all\"",
                "by which methods people were verified, and how fresh their proofs were",
            ),
        ]

    def _up(self) -> list[str]:
        roles = ", ".join(f"{name} ({pid})" for name, pid in self._processes.pids().items())
        return [
            f"Kafka {self._settings.kafka_bootstrap}, ClickHouse {self._settings.clickhouse_url}",
            f"processes: {roles}; /idp's heartbeats",
            f"the console: {self._plan.console}",
        ]


@contextlib.asynccontextmanager
async def _beside(*forever: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines beside what is inside; one that fails ends all with its own exception."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in forever]
            yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as failed:
        raise _first_of(failed) from None


def _first_of(failed: BaseException) -> BaseException:
    while isinstance(failed, BaseExceptionGroup):
        failed = failed.exceptions[0]
    return failed
