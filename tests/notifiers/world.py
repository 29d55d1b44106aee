"""The sending engine on a clock of its own: a ledger in memory, receivers that count, deaths at named points."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stepwatch.notifiers.delivery import Answer, Delivery, Outcome, Step
from stepwatch.notifiers.engine import Engine
from stepwatch.notifiers.ledger import Told, encode_told, read_told
from stepwatch.notifiers.notices import ShownAlert
from stepwatch.notifiers.routing import Routes, parse_routes
from stepwatch.schemas.times import format_time

T0_S = 1_795_511_000.0
OK = Answer(Outcome.DELIVERED, "202 Accepted")
AWAY = Answer(Outcome.RETRY, "connection refused", unsent=True)
SILENT = Answer(Outcome.RETRY, "no answer within 10 s")
REFUSED = Answer(Outcome.REFUSED, "400 Bad Request", unsent=True)
MISSET = Answer(Outcome.RETRY, "401: wrong key", unsent=True, is_misset=True)
GONE = Answer(Outcome.DISABLED, "410 Gone", unsent=True)
ONE_CHANNEL = """
version: 1
channels: [{name: pager, type: console}]
routes: [{to: [pager]}]
"""
RATED = """
version: 1
channels: [{name: pager, type: console, rate: {per_minute: 3}}]
routes: [{to: [pager]}]
"""
WITH_BACKUP = """
version: 1
channels: [{name: pager, type: console}, {name: mail, type: console}]
routes: [{to: [pager], escalate: {to: mail, after: 5m}}]
"""


class Dead(BaseException):
    """kill -9 at a named point."""


@dataclass
class Counting:
    """A receiver that keeps incidents by their keys, as a pager does.

    Attributes:
        answers: of the next deliveries; then, and where one is None, all is well.
        takes_lost: a delivery that is answered SILENT was taken all the same: the reply was lost.
        die: kill the process "before" or "after" it took the next delivery.
    """

    name: str = "pager"
    answers: list[Answer] = field(default_factory=list)
    always: Answer | None = None
    takes_lost: bool = True
    die: str = ""
    resend_every_s: float | None = None
    incidents: dict[str, str] = field(default_factory=dict)
    rings: Counter[str] = field(default_factory=Counter)
    log: list[Delivery] = field(default_factory=list)

    async def deliver(self, delivery: Delivery) -> Answer:
        answer = self.answers.pop(0) if self.answers else self.always or OK
        if self.die == "before":
            self.die = ""
            raise Dead
        self.log.append(delivery)
        if answer.outcome is Outcome.DELIVERED or (not answer.unsent and self.takes_lost):
            self._take(delivery)
        if self.die == "after":
            self.die = ""
            raise Dead
        return answer

    def _take(self, delivery: Delivery) -> None:
        state = self.incidents.get(delivery.key)
        if delivery.step is Step.TRIGGER:
            # As PagerDuty does: a trigger of an acknowledged incident is no news.
            self.incidents[delivery.key] = "acknowledged" if state == "acknowledged" else "open"
            self.rings[delivery.key] += state in (None, "resolved")
        elif delivery.step is Step.ACKNOWLEDGE and state == "open":
            self.incidents[delivery.key] = "acknowledged"
        elif delivery.step is Step.RESOLVE and state is not None:
            self.incidents[delivery.key] = "resolved"

    async def close(self) -> None:
        return

    @property
    def steps(self) -> list[tuple[str, str]]:
        """(step, key) of each delivery that came."""
        return [(delivery.step.value, delivery.key) for delivery in self.log]


class World:
    """Everything around an engine, of which only the ledger and the alerts outlive a process."""

    def __init__(self, *receivers: Counting, routes: str | Routes = ONE_CHANNEL, seed: int = 1) -> None:
        self.now_s = T0_S
        self.routes = parse_routes("routes.yaml", routes) if isinstance(routes, str) else routes
        self.receivers = {receiver.name: receiver for receiver in receivers or (Counting(),)}
        self.ledger: dict[tuple[int, str, str], bytes] = {}
        self.alerts: dict[int, dict[str, ShownAlert]] = {0: {}}
        self.disabled: dict[str, str] = {}
        self.said: list[tuple[str, str]] = []
        self.die_before_record = 0
        self.stays_dead = self.is_dead = False
        self.lives = 0
        self._rng = random.Random(seed)
        self.engine = self.start()

    @property
    def pager(self) -> Counting:
        return self.receivers["pager"]

    @property
    def now(self) -> str:
        """The time, RFC 3339."""
        return at(self.now_s - T0_S)

    def start(self, controls: Callable[[Engine], None] = lambda engine: None) -> Engine:
        """The next process; `controls` is what it learns before its partitions."""
        self.lives += 1
        self.is_dead = False
        engine = self.engine = Engine(
            self.routes,
            self.receivers,
            self._record,
            disable=self._disable,
            clock=lambda: self.now_s,
            writer=f"life {self.lives}",
            rng=self._rng,
            trouble=lambda channel, words: self.said.append((channel, words)),
        )
        for channel, words in self.disabled.items():
            engine.set_disabled(channel, words, "")
        controls(engine)
        for alert in self.alerts[0].values():
            engine.see_silence(alert)
        for partition, alerts in self.alerts.items():
            told = [read_told(value) for key, value in self.ledger.items() if key[0] == partition]
            engine.own(partition, alerts.values(), told)
        return engine

    def see(self, alert: ShownAlert, partition: int = 0) -> None:
        """The alerts topic says how an alert stands now."""
        self.alerts.setdefault(partition, {})[alert.alert_id] = alert
        if self.is_dead:
            return
        if partition not in self.engine.floor.books:
            self.engine.own(partition, [], [])
        if partition == 0:
            self.engine.see_silence(alert)
        self.engine.see(partition, alert)

    async def run(self, seconds: float = 0.0) -> None:
        """Let so much time pass, each channel doing what is due; who dies is started again, or stays dead."""
        end_s = self.now_s + seconds
        while not self.is_dead:
            try:
                waits = [await lane.step() for lane in self.engine.lanes.values()]
            except Dead:
                self.is_dead = self.stays_dead
                if not self.is_dead:
                    self.start()
                continue
            due = [wait for wait in waits if wait is not None]
            wait_s = min(due, default=float("inf"))
            if wait_s and self.now_s + wait_s > end_s:
                break
            self.now_s += wait_s
        self.now_s = max(self.now_s, end_s)

    def pass_time(self, seconds: float = 0.0) -> None:
        """As `run`."""
        asyncio.run(self.run(seconds))

    def told(self, key: str, channel: str = "pager") -> Told:
        """What the ledger has of an incident."""
        (value,) = (value for key_, value in self.ledger.items() if key_[1:] == (channel, key))
        return read_told(value)

    @property
    def told_of(self) -> dict[str, Told]:
        """What the ledger has of each incident, on the one channel that there is."""
        return {told.key: told for told in map(read_told, self.ledger.values())}

    async def _record(self, partition: int, told: Sequence[Told]) -> None:
        if self.die_before_record:
            self.die_before_record -= 1
            if not self.die_before_record:
                raise Dead
        for one in told:
            self.ledger[partition, one.channel, one.key] = encode_told(one)

    async def _disable(self, channel: str, words: str) -> None:
        self.disabled[channel] = words


def at(seconds: float) -> str:
    """So long after the begin, RFC 3339."""
    return format_time(int((T0_S + seconds) * 1_000_000))


def silence(version: int = 1, **changes: object) -> ShownAlert:
    """An alert that a source is silent."""
    said = {"kind": "source_silence", "severity": "high", "tenant": "", "subject": "", "policy": "", "reason": "/idp"}
    return shown(0, version, **{**said, "alert_id": "al_silence", "first_time": at(-300), **changes})


def blind(number: int, version: int = 1, **changes: object) -> ShownAlert:
    """An alert that a silent source explains."""
    return shown(number, version, **{"kind": "blind", "reason": "source_silent", "severity": "high", **changes})


def shown(number: int = 1, version: int = 1, **changes: object) -> ShownAlert:
    """An alert: an unverified payout, open and critical, unless said otherwise."""
    said: dict[str, object] = {
        "alert_id": f"al_{number}",
        "version": version,
        "kind": "unverified_action",
        "severity": "critical",
        "state": "open",
        "tenant": "acme",
        "subject": f"user{number}",
        "policy": "payout-approve",
        "reason": "no_step_up",
        "title": f"user{number}: payments.payout.approve: not verified",
        "explanation": "no proof of identity was seen",
        "count": 1,
        "first_time": format_time(int(T0_S * 1_000_000)),
        "last_time": format_time(int(T0_S * 1_000_000)),
        "opened_at": format_time(int(T0_S * 1_000_000)),
        "updated_at": format_time(int(T0_S * 1_000_000)),
        "closes_at": format_time(int((T0_S + 3600) * 1_000_000)),
    }
    return ShownAlert(**{**said, **changes})  # type: ignore[arg-type]
