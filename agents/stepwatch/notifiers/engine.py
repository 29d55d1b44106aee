"""The sending engine: alerts and the ledger in, steps of every channel out; no Kafka, and no clock of its own."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress

import msgspec
import structlog
from prometheus_client import Gauge

from stepwatch.notifiers.book import Book, Floor
from stepwatch.notifiers.delivery import Outcome, Receiver
from stepwatch.notifiers.grouping import NOT_JUDGED, forgotten, is_group
from stepwatch.notifiers.lanes import Lane, Shared
from stepwatch.notifiers.ledger import Standing, Told
from stepwatch.notifiers.mutes import Mute
from stepwatch.notifiers.notices import NotJudged, ShownAlert
from stepwatch.notifiers.placing import HOLD_S
from stepwatch.notifiers.routing import Routes

log = structlog.stdlib.get_logger(__name__)

DISABLED = Gauge("stepwatch_notify_disabled", "1 where a channel's receiver asked for nothing more.", ["channel"])
BUG_KEY = "bug_"
"""What the key of an event that nobody judged begins with; its time and `partition@offset` of its dead letter follow.

The time is there since a topic that was made anew counts its offsets from 0 again.
"""
_SETTLED = (Standing.NONE, Standing.RESOLVED)


class Engine:
    """All channels over all partitions that are ours."""

    def __init__(
        self,
        routes: Routes,
        receivers: Mapping[str, Receiver],
        record: Callable[[int, Sequence[Told]], Awaitable[None]],
        *,
        disable: Callable[[str, str], Awaitable[None]],
        clock: Callable[[], float],
        writer: str,
        rng: random.Random | None = None,
        trouble: Callable[[str, str], None] = lambda channel, words: None,
    ) -> None:
        """An engine that knows no partition yet.

        Args:
            routes: the routing file.
            receivers: by channel.
            record: writes to the ledger's partition; returns when that is acknowledged.
            disable: records that a channel asked for nothing more.
            clock: s since 1970.
            writer: names this process in the ledger.
            rng: of the waits.
            trouble: told in words of a channel that fails, and "" when it is well again.
        """
        self.floor = Floor(routes)
        self._record_disabled = disable
        shared = Shared(record, self._escalated, self._disable, trouble, clock, rng or random.Random(), writer)
        self.lanes = {name: Lane(receiver, self.floor, shared) for name, receiver in receivers.items()}
        self._writer = writer

    # Partitions come and go.

    def own(
        self, partition: int, alerts: Iterable[ShownAlert], told: Iterable[Told], letters_from: int = 0
    ) -> list[Told]:
        """A partition is ours: its alerts and its ledger, read to their ends.

        Args:
            partition: its number.
            alerts: as they stand.
            told: the ledger.
            letters_from: the offset from which dead letters are still to be read.

        Returns:
            What the ledger has of alerts that are no more, to be forgotten by it too.
        """
        book = self.floor.books[partition] = Book(partition)
        for alert in alerts:
            book.put_alert(alert)
            self.floor.where[alert.alert_id] = partition
        known: list[Told] = []
        stale: list[Told] = []
        for one in told:
            is_known = one.key in book.alerts or is_group(one.key) or _letter_offset(one.key) >= letters_from
            (known if is_known else stale).append(one)
        for one in known:
            self._know(book, one)
        # Forgotten by the topic before every channel heard of the end: what is left of them is their end.
        unsettled = _unsettled(stale, self.lanes)
        for key, records in unsettled.items():
            book.put_alert(forgotten(key, records))
            book.gone.add(key)
            for one in records:
                self._know(book, one)
        stale = [one for one in stale if one.key not in unsettled]
        book.find_past()
        for group in {one.key for one in known if is_group(one.key)} - book.groups.keys():
            book.gone.add(group)
            stale += self.forget(partition, group)
        for key in [*book.alerts, *book.groups, *book.gone]:
            self._wake(book, key)
        return stale

    def _know(self, book: Book, told: Told) -> None:
        """Take in a record of the ledger; what a channel refused before a person enabled it counts no more."""
        if told.refused and told.at <= self.floor.enabled.get(told.channel, ""):
            told = msgspec.structs.replace(told, refused=0)
        book.put_told(told)
        self.floor.where[told.key] = book.partition
        if is_group(told.group):
            # It may have no record of its own yet: the process died between the two.
            self.floor.where[told.group] = book.partition

    def lose(self, partition: int) -> None:
        """A partition went to another process, which goes on by the ledger."""
        self.floor.books.pop(partition, None)
        lost = [key for key, its in self.floor.where.items() if its == partition]
        for key in lost:
            del self.floor.where[key]
        for lane in self.lanes.values():
            lane.lose(lost)

    def strangers(self) -> dict[str, int]:
        """How many incidents are open at channels that the routing file has no more: nobody can end them there."""
        told = [one for book in self.floor.books.values() for one in book.told.values()]
        return Counter(one.channel for one in told if one.channel not in self.lanes and one.state not in _SETTLED)

    # Alerts.

    def see(self, partition: int, alert: ShownAlert) -> None:
        """An alert as it stands now; one that is not newer changes nothing."""
        book = self.floor.books.get(partition)
        if book is None:
            return
        known = book.alerts.get(alert.alert_id)
        if known is not None and known.version >= alert.version:
            return
        book.put_alert(alert)
        self.floor.where[alert.alert_id] = partition
        self._wake(book, alert.alert_id)

    def see_bug(self, partition: int, notice: NotJudged) -> str:
        """An event that nobody judged; returns the key of its incident."""
        key = f"{BUG_KEY}{re.sub('[^0-9]', '', notice.time)}_{notice.letter_id}"
        alert = ShownAlert(
            key,
            1,
            NOT_JUDGED,
            "critical",
            "open",
            tenant=notice.key.partition("/")[0],
            count=1,
            first_time=notice.time,
            last_time=notice.time,
            opened_at=notice.time,
        )
        book = self.floor.books.get(partition)
        if book is not None:
            book.bugs[key] = notice
        self.see(partition, alert)
        return key

    def is_told(self, partition: int, key: str) -> bool:
        """Whether every channel of an incident has heard of it, or never will."""
        book = self.floor.books.get(partition)
        alert = book.alerts.get(key) if book is not None else None
        if book is None or alert is None:
            return False
        for target in self.floor.routes.targets(alert):
            told = book.told.get((target.channel, key))
            joined_at = ""
            if told is not None and is_group(told.group):
                # Whoever speaks for it has spoken since.
                joined_at = told.at
                told = book.told.get((target.channel, told.group))
            if told is None or not (told.version or told.refused) or told.at < joined_at:
                return False
            if joined_at and told.outcome not in (Outcome.DELIVERED.value, Outcome.REFUSED.value):
                return False
        return True

    def forget(self, partition: int, key: str) -> list[Told]:
        """The alerts topic has forgotten an alert; so does the ledger, once every channel has heard the end of it.

        Returns:
            What the ledger is to forget.
        """
        book = self.floor.books.get(partition)
        if book is None or (key not in book.alerts and key not in book.gone):
            return []
        if key in book.groups and is_group(key):
            book.gone.discard(key)
            return []
        if self._is_unsettled(book, key):
            book.gone.add(key)
            return []
        return self._drop(book, key)

    def sweep(self) -> dict[int, list[Told]]:
        """What the ledger may forget by now: partition -> records."""
        found: dict[int, list[Told]] = {}
        for partition, book in self.floor.books.items():
            for key in list(book.gone):
                dropped = self.forget(partition, key)
                if dropped:
                    found.setdefault(partition, []).extend(dropped)
        return found

    def drop_bug(self, partition: int, key: str) -> list[Told]:
        """An event that nobody judged was told, and its dead letter will not be read again."""
        book = self.floor.books.get(partition)
        return [] if book is None else self._drop(book, key)

    def _is_unsettled(self, book: Book, key: str) -> bool:
        """Whether a channel of the routing file is still to hear the end of an incident; no page of a bug has one."""
        told = [book.told[channel, key] for channel in book.channels_of(key) if channel in self.lanes]
        return any(one.state not in _SETTLED and one.reason != NOT_JUDGED for one in told)

    def _drop(self, book: Book, key: str) -> list[Told]:
        groups = {book.told[channel, key].group for channel in book.channels_of(key)}
        dropped = [book.told[channel, key] for channel in book.channels_of(key)]
        for one in dropped:
            book.drop_told(one.channel, one.key)
        book.alerts.pop(key, None)
        book.bugs.pop(key, None)
        book.gone.discard(key)
        self.floor.where.pop(key, None)
        for group in filter(is_group, groups - book.groups.keys()):
            if self._is_unsettled(book, group):
                book.gone.add(group)
                self._wake(book, group)
            else:
                dropped += self._drop(book, group)
        return dropped

    # The ledger, as others write it.

    def adopt(self, partition: int, told: Told) -> None:
        """A record of the ledger; one of a former owner that was slow to notice is taken as the truth."""
        book = self.floor.books.get(partition)
        if book is None or told.writer == self._writer:
            return
        self._know(book, told)
        self._wake(book, told.key)

    def set_mute(self, mute: Mute) -> None:
        """A mute came, or was ended."""
        self.floor.mutes[mute.id] = mute
        self._wake_all()

    def set_disabled(self, channel: str, words: str, at: str) -> None:
        """A channel asked for nothing more, or "": a person enabled it again.

        Args:
            channel: its name.
            words: what its receiver said.
            at: when, RFC 3339.
        """
        if words:
            self.floor.disabled[channel] = words
        else:
            self.floor.disabled.pop(channel, None)
            self.floor.enabled[channel] = at
        if channel not in self.lanes:
            return
        DISABLED.labels(channel).set(1 if words else 0)
        self.lanes[channel].changed.set()
        if not words:
            self.lanes[channel].hurry()
            for book in self.floor.books.values():
                for told in [one for (name, _), one in book.told.items() if name == channel and one.refused]:
                    self._know(book, told)
                    self._wake(book, told.key)

    def see_silence(self, alert: ShownAlert) -> None:
        """An alert of partition 0, where the silences of all are."""
        if not self.floor.see_silence(alert):
            return
        # What waits for a silence finds it; what one speaks for is looked at again when it is over.
        for book in self.floor.books.values():
            for key in book.groups.get(alert.alert_id, ()):
                self._wake(book, key, in_s=HOLD_S)

    def see_silence_told(self, told: Told) -> None:
        """What a channel was told of an alert of partition 0."""
        self.floor.silences_told[told.channel, told.key] = told
        if told.refused:
            for book in self.floor.books.values():
                for key in book.groups.get(told.key, ()):
                    self._wake(book, key)

    # Running.

    async def run(self) -> None:
        """Let every channel do its work, each by itself, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for lane in self.lanes.values():
                group.create_task(_run(lane))

    async def close(self) -> None:
        """Give back what the receivers hold."""
        for lane in self.lanes.values():
            await lane.close()

    def _wake(self, book: Book, key: str, in_s: float = 0.0) -> None:
        channels = book.channels_of(key) | {channel for channel in self.lanes if (channel, key) in book.escalated}
        channels |= self.floor.heirs(book, key)
        for alert in book.alerts_behind(key) if not is_group(key) else ():
            channels |= {target.channel for target in self.floor.routes.targets(alert)}
        for channel in channels & self.lanes.keys():
            self.lanes[channel].wake(key, in_s)
            told = book.told.get((channel, key))
            if told is not None and is_group(told.group):
                self.lanes[channel].wake(told.group)

    def _wake_all(self) -> None:
        for book in self.floor.books.values():
            for key in book.alerts:
                self._wake(book, key)

    def _escalated(self, channel: str, key: str) -> None:
        self.lanes[channel].wake(key)

    async def _disable(self, channel: str, words: str) -> None:
        self.set_disabled(channel, words, "")
        log.error(
            f"channel {channel}: its receiver asks for nothing more ({words}): nothing is sent there until "
            f"`stepwatch notify enable {channel}`",
            code="channel_disabled",
        )
        await self._record_disabled(channel, words)


def _unsettled(told: Iterable[Told], channels: Container[str]) -> dict[str, list[Told]]:
    """The records of incidents that a channel is still to hear the end of, by their keys; pages of bugs have none."""
    found: dict[str, list[Told]] = {}
    for one in told:
        if one.channel in channels and one.state not in _SETTLED and not one.key.startswith(BUG_KEY):
            found.setdefault(one.key, []).append(one)
    return found


def _letter_offset(key: str) -> int:
    """The offset of the dead letter that an incident is about; -1 where it is about none."""
    offset = key.rpartition("@")[2]
    return int(offset) if key.startswith(BUG_KEY) and offset.isdecimal() else -1


async def _run(lane: Lane) -> None:
    while True:
        await asyncio.sleep(0)  # a lane that has much to do lets the others in
        lane.changed.clear()
        wait_s = await lane.step()
        if wait_s != 0.0:
            with suppress(TimeoutError):
                await asyncio.wait_for(lane.changed.wait(), wait_s)
