"""Scenarios of clocks and pulses: of producers, of the worker, and of a log in which nobody writes."""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.request
from collections import Counter
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaProducer

from stepwatch.agents.settings import Settings
from stepwatch.embedded import ports
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import format_time
from tests.faults.grounds import ODD, alter_topics, verified
from tests.faults.stage import Outcome, Stage
from tests.live.account import took_over
from tests.live.harness import read, until
from tests.live.road import audited

HOUR_S = 3600
QUICK = """\
version: 1
defaults: {grace: 1s, revise_within: 2s, accept_late: 24h, max_age: 5m}
policies: [{id: payout, match: {action: ["payments.*"]}, require: {amr_any: [hwk]}}]
"""
CASES: dict[str, tuple[int, int, tuple[str, str] | None]] = {
    "good": (0, 0, ("verified", "step_up")),
    "both slow": (-HOUR_S, -HOUR_S, ("verified", "step_up")),
    "slow proof": (-HOUR_S, 0, ("unverified", "stale")),
    "slow action": (0, -HOUR_S + 10, ("unverified", "after_the_fact")),
    "both somewhat fast": (540, 540, ("verified", "step_up")),
    "somewhat fast proof": (540, 0, ("unverified", "after_the_fact")),
    "fast proof": (HOUR_S, 0, ("unverified", "no_step_up")),
    "fast action": (0, HOUR_S, None),
    "both fast": (HOUR_S, HOUR_S, None),
}
"""How far ahead the clocks of the proof's and the action's producer are, s; what is said of the action, None: it is a
dead letter."""
_SLOW_POLICY = """\
version: 1
defaults: {grace: 1s, revise_within: 1h, accept_late: 24h, max_age: 5m}
policies: [{id: payout, match: {action: ["payments.*"]}, require: {amr_any: [hwk]}}]
"""

_REFUSED = "does not take a pulse"
_STAMPED = {"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"}


class Sender:
    """Producers of actions and proofs, whose clocks may be off."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.count = 0

    async def send(self, events: list[tuple[str, str, dict[str, Any]]]) -> None:
        """Append (topic, subject, event) and wait for the broker."""
        async with AIOKafkaProducer(**self.settings.kafka_client_options()) as producer:
            sent = []
            for topic, subject, event in events:
                key = subject_key("default", subject)
                partition = partition_of(key, self.settings.partitions)
                sent.append(await producer.send(topic, json.dumps(event).encode(), key, partition=partition))
            await asyncio.gather(*sent)

    def action(self, subject: str, ahead_s: float = 0.0, **data: Any) -> tuple[str, str, dict[str, Any]]:
        """A payout of now."""
        data = {"action": "payments.payout.approve", **data}
        return self.settings.topics.actions, subject, self._event("action.performed", "/app", subject, ahead_s, data)

    def proof(self, subject: str, ahead_s: float = 0.0, **data: Any) -> tuple[str, str, dict[str, Any]]:
        """A security key, touched now."""
        data = {"amr": ["hwk"], **data}
        topic = self.settings.topics.authentications
        return topic, subject, self._event("stepup.verified", "/idp", subject, ahead_s, data)

    def _event(self, kind: str, source: str, subject: str, ahead_s: float, data: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        at_us = time.time_ns() // 1000 + int(ahead_s * 1_000_000)
        event = {"id": f"e-{self.count}", "source": source, "type": f"stepwatch.{kind}", "time": format_time(at_us)}
        return {**event, "subject": subject, "data": {"session": "s", **data}}


async def producers_clocks(stage: Stage) -> Outcome:
    """Clocks an hour off, both ways: an hour behind is judged by event time, far ahead is a dead letter."""
    settings = await stage.road(_SLOW_POLICY)
    worker = stage.start(settings, again=False)
    sender = Sender(settings)
    times = stage.scaled(200, 2)
    events, letters = [], 0
    for number in range(times):
        for case, (proof_s, action_s, said) in CASES.items():
            subject = f"{case} {number}"
            events += [sender.proof(subject, proof_s - 2), sender.action(subject, action_s)]
            letters += (said is None) + (proof_s == HOUR_S)
    await sender.send(events)

    async def judged() -> bool:
        return Counter(_said_of(await audited(settings))) == wanted

    wanted = Counter({(case, *said): times for case, (_, _, said) in CASES.items() if said is not None})
    try:
        await until(judged, 120, "the verdicts of every clock")
    except AssertionError as error:
        raise AssertionError(f"{error}: {Counter(_said_of(await audited(settings)))}") from error
    refused = [dict(record.headers) for record in await read(settings, settings.topics.dead_letters)]
    assert len(refused) == letters
    assert {headers["field"] for headers in refused} == {b"time"}
    await verified(settings)
    assert await worker.stop() == 0, worker.said
    return Outcome(len(events), 0, f"{letters} an hour ahead refused, {len(wanted)} cases judged by event time")


def _said_of(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(case, verdict, reason) of each action's last row."""
    last = {row["action_id"]: row for row in sorted(rows, key=lambda row: row["revision"])}
    return [(row["subject"].rsplit(" ", 1)[0], row["verdict"], row["reason"]) for row in last.values()]


async def idle(stage: Stage) -> Outcome:
    """One partition idle while others are busy, then all: what waits is said, then closed, then it is quiet."""
    settings = await stage.road(QUICK, partitions=3, correlate_web_port=ports.any_free())
    worker = stage.start(settings, again=False)
    await took_over(worker, settings.partitions)
    sender = Sender(settings)
    subjects = {partition: _subject_in(settings, partition) for partition in range(settings.partitions)}
    await sender.send([sender.action(subjects[0], case="idle")])
    idle_since = time.monotonic()
    waited_s = 0.0
    for _ in range(stage.scaled(60, 15)):
        await sender.send([sender.action(subjects[p]) for p in (1, 2)] + [sender.proof(subjects[1])])
        await asyncio.sleep(0.2)
        if not waited_s and any(row["subject"] == subjects[0] for row in await audited(settings)):
            waited_s = time.monotonic() - idle_since
    assert waited_s > 1.0, "an idle partition says what waits, no earlier than its grace ends"
    await verified(settings)
    words = f"said {waited_s:.1f} s after the record (grace 1 s)"
    if stage.scale >= 1:
        await until(lambda: _is(settings, "open_actions", 0), 150, "the close of every action")
        pulses = await _metric(settings, "pulses_total")
        await asyncio.sleep(10)
        assert await _metric(settings, "pulses_total") == pulses, "nothing waits, and still there are pulses"
        words += f", closed {time.monotonic() - idle_since:.0f} s after it, then quiet ({pulses:.0f} pulses in all)"
    assert await worker.stop() == 0, worker.said
    return Outcome(sender.count, 0, words)


def _subject_in(settings: Settings, partition: int) -> str:
    names = (f"user-{number}" for number in range(1000))
    return next(n for n in names if partition_of(subject_key("default", n), settings.partitions) == partition)


async def _is(settings: Settings, name: str, value: float) -> bool:
    return await _metric(settings, name) == value


async def _metric(settings: Settings, name: str) -> float:
    """A metric of the worker, summed over its labels."""
    address = f"http://{settings.web_host}:{settings.correlate_web_port}/metrics"
    page = (await asyncio.to_thread(lambda: urllib.request.urlopen(address, timeout=10).read())).decode()
    found = re.findall(rf"^stepwatch_{name}(?:\{{[^}}]*\}})? ([0-9.e+-]+)$", page, re.MULTILINE)
    return sum(map(float, found))


async def no_pulses(stage: Stage) -> Outcome:
    """A worker that writes no pulse: what waits comes with the next record, and nothing is lost."""
    settings = await stage.road(QUICK)
    worker = stage.start(settings, f"{ODD} no-pulses", again=False)
    await took_over(worker, settings.partitions)
    sender = Sender(settings)
    waiting = [f"user-{number}" for number in range(20)]
    await sender.send([sender.action(subject) for subject in waiting])
    await sender.send([sender.action("other", action="docs.file.read")])

    async def read_it() -> bool:
        return any(row["subject"] == "other" for row in await audited(settings))

    await until(read_it, 30, "the row of an action that needs no proof")
    await asyncio.sleep(3)
    rows = await audited(settings)
    assert {row["subject"] for row in rows} == {"other"}, "its grace is over, and no record came to say so"
    await sender.send([sender.proof(_subject_in(settings, partition)) for partition in range(settings.partitions)])
    await until(lambda: _all_said(settings, waiting), 30, "the verdicts with the next records")
    await verified(settings)
    assert await worker.stop() == 0, worker.said
    return Outcome(sender.count, 0, f"{len(waiting)} verdicts with the next record")


async def _all_said(settings: Settings, subjects: list[str]) -> bool:
    return set(subjects) <= {row["subject"] for row in await audited(settings)}


async def pulses_refused(stage: Stage) -> Outcome:
    """Kafka refuses what we write into the inputs: the worker lives on and says so, and goes on when it may."""
    settings = await stage.road(QUICK)
    worker = stage.start(settings, again=False)
    await took_over(worker, settings.partitions)
    sender = Sender(settings)
    # No pulse is that small, and our reading of the inputs needs no such leave.
    await alter_topics(settings, (settings.topics.authentications,), {**_STAMPED, "max.message.bytes": "80"})
    waiting = [f"user-{number}" for number in range(20)]
    await sender.send([sender.action(subject) for subject in waiting])

    async def said_so() -> bool:
        assert worker.running, worker.said
        return _REFUSED in worker.said

    await until(said_so, 60, "words about the pulses that Kafka refuses")
    await asyncio.sleep(5)
    assert worker.running, worker.said
    assert worker.said.count(_REFUSED) == 1, f"it says the same again and again: {worker.said}"
    assert await audited(settings) == []
    await alter_topics(settings, (settings.topics.authentications,), _STAMPED)
    await until(lambda: _all_said(settings, waiting), 60, "the verdicts, once pulses are taken again")
    await verified(settings)
    assert await worker.stop() == 0, worker.said
    assert "Traceback" not in worker.said
    return Outcome(sender.count, 0, f"said once, {len(waiting)} verdicts once pulses were taken again")


async def workers_clock(stage: Stage) -> Outcome:
    """The wall clock of a worker is off, by more than an hour too: only what is shown of it is."""
    words = []
    for ahead_s in (7200, 3600, -3600)[: stage.scaled(3)]:
        settings = await stage.road(QUICK)
        worker = stage.start(settings, f"{ODD} clock={ahead_s}", again=False)
        sender = Sender(settings)
        events = []
        for number in range(stage.scaled(100, 5)):
            events += [sender.proof(f"user-{number}"), sender.action(f"user-{number}"), sender.action(f"none-{number}")]
        await sender.send(events)
        await verified(settings)
        rows = await audited(settings)
        assert Counter(row["verdict"] for row in rows) == {
            "verified": len(events) // 3,
            "unverified": len(events) // 3,
        }
        off_s = [(datetime.fromisoformat(row["decided_at"]).timestamp() - time.time()) for row in rows]
        assert all(abs(each - ahead_s) < 300 for each in off_s), "its clock was to be off, and was not"
        assert await worker.stop() == 0, worker.said
        words.append(f"{ahead_s:+d} s")
    return Outcome(3 * len(events), 0, f"exact with {', '.join(words)}")
