"""One channel: its incidents in turn, each brought to where its alert stands, for as long as that takes.

Time is an argument, so two hours of outage are played in a moment. Order of a delivery, whatever dies where:

1. a trigger or an end is announced in the ledger (`maybe`, `ending`), under the key that it will have;
2. it is sent;
3. the answer is recorded, and that is awaited, before anything else is sent.

So after a crash between 1 and 3 the same key is sent again, never another, and what may have arrived is taken back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from stepwatch.notifiers.book import Book, Floor
from stepwatch.notifiers.delivery import Answer, Delivery, Outcome, Receiver, Step
from stepwatch.notifiers.errands import Errands, Send
from stepwatch.notifiers.grouping import SILENCE, is_group
from stepwatch.notifiers.ledger import Standing, Told
from stepwatch.notifiers.notices import ShownAlert, rank_of
from stepwatch.notifiers.placing import Join, Wait
from stepwatch.notifiers.queueing import REMINDER, Queue
from stepwatch.notifiers.rates import BACKOFF_MAX_S, RETRY_AFTER_MAX_S, backoff_s
from stepwatch.notifiers.saying import announced, answered, build_delivery, joined
from stepwatch.schemas.times import format_time

log = structlog.stdlib.get_logger(__name__)

DELIVERIES = Counter("stepwatch_notify_deliveries", "Deliveries tried, by what became of them.", ["channel", "outcome"])
GROUPED = Counter("stepwatch_notify_grouped", "Alerts that another incident speaks for.", ["channel"])
WAITING = Gauge("stepwatch_notify_waiting", "Incidents that a channel is still to be told of.", ["channel"])
OLDEST = Gauge(
    "stepwatch_notify_oldest_waiting_seconds",
    "How long the oldest of them waits; what is held back on purpose does not count.",
    ["channel"],
)

DELIVER_MAX_S = 90.0
"""Receivers have limits of their own; this one is for a receiver that forgot to."""
JOINS_MAX = 500
"""Alerts that are put to their groups in one write."""
_TICK_S = 0.01
_CRITICAL = rank_of("critical")
TROUBLE_FAILURES = 3
"""Failures in a row from which on a channel is said to be in trouble."""


class Shared(NamedTuple):
    """What a lane is given by its engine.

    Attributes:
        record: (partition, what was told): written to the ledger, and acknowledged, when it returns.
        escalate: (channel, key): that channel is to hear of it too.
        disable: (channel, words): nothing more is to be sent there.
        trouble: (channel, words): "" where all is well again.
        clock: s since 1970.
        rng: of the waits.
        writer: names this process in the ledger.
    """

    record: Callable[[int, Sequence[Told]], Awaitable[None]]
    escalate: Callable[[str, str], None]
    disable: Callable[[str, str], Awaitable[None]]
    trouble: Callable[[str, str], None]
    clock: Callable[[], float]
    rng: random.Random
    writer: str


class Lane:
    """One channel's work."""

    def __init__(self, receiver: Receiver, floor: Floor, shared: Shared) -> None:
        self.name = receiver.name
        self.changed = asyncio.Event()
        self._receiver = receiver
        self._floor = floor
        self._shared = shared
        self._errands = Errands(self.name, floor, receiver.resend_every_s)
        self._queue = Queue()
        self._failures = 0
        self._is_misset = False
        self._paused_until_s = 0.0
        self._critical_from_s = 0.0

    def wake(self, key: str, in_s: float = 0.0) -> None:
        """Something has changed about an incident: look at it, at once or after a while."""
        book = self._floor.book_of(key)
        alert = book.alert_of(key) if book is not None else None
        now_s = self._shared.clock()
        self._queue.wake(key, 0 if alert is None else rank_of(alert.severity), now_s)
        if in_s:
            self._queue.postpone(key, now_s + in_s, quiet=True)
        self.changed.set()

    def hurry(self) -> None:
        """Try again at once: a person says that the receiver is well."""
        self._paused_until_s, self._critical_from_s, self._failures, self._is_misset = 0.0, 0.0, 0, False
        self._queue.hurry(self._shared.clock())
        self.changed.set()

    def lose(self, keys: Iterable[str]) -> None:
        """Incidents are another process's now."""
        for key in keys:
            self._queue.drop(key)
        self.changed.set()

    async def step(self) -> float | None:
        """Do what is due, at most one delivery.

        Returns:
            Seconds until there is more to do, 0 for at once; None: not before something changes.
        """
        now_s = self._shared.clock()
        next_s = self._escalate_overdue(now_s) if self._failures or self._disabled else None
        if self._disabled:
            self._measure(now_s)
            return next_s
        if now_s < self._paused_until_s:
            if now_s >= self._critical_from_s and await self._do_due(now_s, _CRITICAL):
                return 0.0
            self._measure(now_s)
            waits = [next_s, self._paused_until_s - now_s]
            if (critical_s := self._queue.wait_s(now_s, _CRITICAL)) is not None:
                waits.append(max(critical_s, self._critical_from_s - now_s))
            return min(wait for wait in waits if wait is not None)
        if await self._do_due(now_s):
            return 0.0
        self._measure(now_s)
        return self._queue.wait_s(now_s)

    async def close(self) -> None:
        """Give back what the receiver holds."""
        await self._receiver.close()

    @property
    def _disabled(self) -> bool:
        return self.name in self._floor.disabled

    async def _do_due(self, now_s: float, rank_min: int = REMINDER) -> bool:
        """Do what is due first: one delivery, or all alerts in a row that join others; False where nothing was."""
        joins: list[tuple[Book, Told]] = []
        while len(joins) < JOINS_MAX and (key := self._queue.next_due(now_s, rank_min)) is not None:
            book, waiting = self._floor.book_of(key), self._queue.get(key)
            errand = self._errands.errand(book, key, waiting.since_s, now_s) if book and waiting else None
            if book is None or errand is None:
                self._queue.drop(key)
            elif isinstance(errand, Wait):
                # Never to this very moment, whatever the rounding: it would be looked at for ever.
                until_s = max(errand.until_s, now_s + _TICK_S)
                self._queue.postpone(key, until_s, quiet=True, is_reminder=errand.is_reminder)
            elif isinstance(errand, Join):
                joins.append((book, joined(self.name, book.alerts[key], errand.group)))
            elif isinstance(errand, Send) and errand.again and waiting and waiting.rank > REMINDER:
                # Known to be no news only now that it was looked at: behind what is.
                self._queue.postpone(key, now_s, quiet=True, is_reminder=True)
            elif joins:
                self._queue.postpone(key, now_s, quiet=False)
                break
            else:
                await self._send(book, key, errand)
                return True
        if joins:
            await self._join(joins)
        return bool(joins)

    async def _join(self, joins: list[tuple[Book, Told]]) -> None:
        """Put alerts to the incidents that speak for them: on record before those say a word."""
        for book in {id(book): book for book, _ in joins}.values():
            told = await self._write(book, [one for its, one in joins if its is book])
            GROUPED.labels(self.name).inc(len(told))
            for one in told:
                self._queue.drop(one.key)
            for group in sorted({one.group for one in told if is_group(one.group)}):
                self._floor.where[group] = book.partition
                self.wake(group)

    async def _send(self, book: Book, key: str, errand: Send) -> None:
        step, told, before = errand.step, errand.told, errand.told.state
        left = known.group if (known := book.told.get((self.name, key))) is not None else ""
        alert, waiting = book.alert_of(key), self._queue.get(key)
        assert alert is not None, "the errand is about it"
        attempts = 1 if waiting is None else waiting.attempts + 1
        is_announced = before is (Standing.MAYBE if step is Step.TRIGGER else Standing.ENDING)
        if step in (Step.TRIGGER, Step.RESOLVE) and not is_announced:
            (told,) = await self._write(book, [announced(told, step, attempts)])
        answer = await self._deliver(build_delivery(self._floor, book, alert, told, step, self._now()))
        DELIVERIES.labels(self.name, answer.outcome.value).inc()
        if step in (Step.TRIGGER, Step.UPDATE) and not errand.again and not answer.unsent:
            self._errands.place.rang(alert, self._shared.clock())
        if errand.again and answer.outcome is Outcome.DELIVERED:
            # A reminder is no news: the ledger is left alone, and the memory knows when it was.
            book.put_told(msgspec.structs.replace(told, at=self._now()))
        else:
            await self._write(book, [answered(told, before, alert, step, answer, attempts)])
        if is_group(left):
            # It has one alert less, and may be over by that.
            self.wake(left)
        if answer.outcome is Outcome.REFUSED:
            self._refused(book, alert, step)
        await self._go_on(key, answer, attempts, step)

    def _refused(self, book: Book, alert: ShownAlert, step: Step) -> None:
        """A receiver will not take what it was told of an alert: another is told, and no silence speaks for others."""
        if step is not Step.ACKNOWLEDGE and alert.state != "resolved":
            self._escalate(book, alert.alert_id)
        if alert.kind == SILENCE:
            for other in self._floor.books.values():
                for member in other.groups.get(alert.alert_id, ()):
                    self.wake(member)

    async def _deliver(self, delivery: Delivery) -> Answer:
        try:
            return await asyncio.wait_for(self._receiver.deliver(delivery), DELIVER_MAX_S)
        except TimeoutError:
            return Answer(Outcome.RETRY, f"no answer within {DELIVER_MAX_S:.0f} s")
        except Exception as error:
            # A fault of ours in one receiver must not silence the others.
            log.exception("a receiver failed", channel=self.name, code="receiver_failed")
            return Answer(Outcome.RETRY, f"a fault of ours: {type(error).__name__}")

    async def _write(self, book: Book, told: Sequence[Told]) -> list[Told]:
        now = self._now()
        signed = [msgspec.structs.replace(one, at=now, writer=self._shared.writer) for one in told]
        await self._shared.record(book.partition, signed)
        for one in signed:
            book.put_told(one)
        return signed

    async def _go_on(self, key: str, answer: Answer, attempts: int, step: Step) -> None:
        """What follows from an answer: the next step of this incident, or patience."""
        now_s = self._shared.clock()
        self._is_misset = answer.is_misset
        if answer.outcome is Outcome.DELIVERED:
            self._failures = 0
            self._shared.trouble(self.name, "")
        else:
            self._failures += 1
            code = f"delivery_{answer.outcome.value}"
            log.warning(f"channel {self.name} did not take {key}: {answer.words}", code=code, attempts=attempts)
        if answer.outcome is Outcome.DISABLED:
            await self._shared.disable(self.name, answer.words)
        if self._disabled or self._failures >= TROUBLE_FAILURES:
            self._shared.trouble(self.name, answer.words)
        waiting = self._queue.get(key)
        if waiting is None:
            return
        if answer.outcome in (Outcome.RETRY, Outcome.DISABLED):
            waiting.attempts = attempts
            asked_s = min(answer.retry_after_s or 0.0, RETRY_AFTER_MAX_S)
            pause_s = max(asked_s, backoff_s(self._failures, self._shared.rng))
            self._paused_until_s = now_s + pause_s
            # However long a receiver asks for, a life may hang on what is critical: that is tried as after a failure.
            self._critical_from_s = now_s + min(pause_s, BACKOFF_MAX_S)
            begin_s = self._critical_from_s if waiting.rank >= _CRITICAL else self._paused_until_s
            self._queue.postpone(key, max(begin_s, now_s + backoff_s(attempts, self._shared.rng)), quiet=False)
            return
        if answer.outcome is Outcome.REFUSED and step is Step.RESOLVE:
            # An end is not given up; that this one is refused says nothing of other messages.
            waiting.attempts = attempts
            self._queue.postpone(key, now_s + backoff_s(attempts, self._shared.rng), quiet=False)
            return
        self._queue.drop(key)
        self.wake(key)

    def _escalate_overdue(self, now_s: float) -> float | None:
        """Tell another channel what has waited here too long; returns seconds until the next would have."""
        next_s: float | None = None
        for key, waiting, ready_s in self._queue.troubled():
            book = self._floor.book_of(key)
            if book is None or waiting.escalated or not self._errands.lacks_trigger(book, key, now_s):
                continue
            escalate = self._floor.escalation(self.name, book.alerts_behind(key))
            if escalate is None:
                continue
            failures = max(waiting.attempts, self._failures)
            left_s = None if escalate.after_s is None else ready_s + escalate.after_s - now_s
            too_many = escalate.after_failures is not None and failures >= escalate.after_failures
            # What will be overdue before the next attempt is so already.
            too_late = left_s is not None and left_s <= max(0.0, self._paused_until_s - now_s)
            if self._disabled or self._is_misset or too_many or too_late:
                waiting.escalated = True
                self._escalate(book, key)
            elif left_s is not None:
                next_s = left_s if next_s is None else min(next_s, left_s)
        return next_s

    def _escalate(self, book: Book, key: str) -> None:
        escalate = self._floor.escalation(self.name, book.alerts_behind(key))
        if escalate is None or (escalate.to, key) in book.escalated:
            return
        log.warning(f"channel {self.name} does not take {key}: {escalate.to} is told", code="escalated")
        book.escalated.add((escalate.to, key))
        self._shared.escalate(escalate.to, key)

    def _measure(self, now_s: float) -> None:
        troubled = [ready_s for _, _, ready_s in self._queue.troubled()]
        WAITING.labels(self.name).set(len(troubled))
        OLDEST.labels(self.name).set(max(0.0, now_s - min(troubled)) if troubled else 0.0)

    def _now(self) -> str:
        return format_time(int(self._shared.clock() * 1_000_000))
