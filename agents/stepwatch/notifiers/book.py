"""What is known of the alerts and of what was told of them: a book for each partition, a floor for all channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from stepwatch.notifiers.delivery import Step
from stepwatch.notifiers.grouping import SILENCE, Past, forgotten, group_alert, is_group
from stepwatch.notifiers.ledger import Standing, Told
from stepwatch.notifiers.mutes import Mute, muted_by
from stepwatch.notifiers.notices import NotJudged, ShownAlert
from stepwatch.notifiers.routing import Escalate, Routes
from stepwatch.schemas.times import SECOND_US


class Book:
    """One partition: its alerts, what each channel was told of each, and who speaks for whom.

    Attributes:
        partition: its number.
        alerts: by id, as they stand; events that nobody judged among them.
        told: (channel, key of the incident) -> what the ledger has.
        groups: key of an incident -> the alerts that it speaks for.
        past: key of a group -> the members that it has no more.
        bugs: the events that nobody judged, by the id of their alert.
        gone: what the alerts topic has forgotten, and a channel is still to hear the end of: alerts, and groups.
        escalated: (channel, key) of what another channel did not take.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.alerts: dict[str, ShownAlert] = {}
        self.told: dict[tuple[str, str], Told] = {}
        self.groups: dict[str, set[str]] = {}
        self.past: dict[str, Past] = {}
        self.bugs: dict[str, NotJudged] = {}
        self.gone: set[str] = set()
        self.escalated: set[tuple[str, str]] = set()
        self._channels: dict[str, set[str]] = {}

    def put_alert(self, alert: ShownAlert) -> None:
        """Take in how an alert stands."""
        self.alerts[alert.alert_id] = alert
        self.gone.discard(alert.alert_id)
        self._see_falls(alert)

    def put_told(self, told: Told) -> None:
        """Take in what was told, in the place of what was known of it."""
        before = self.told.get((told.channel, told.key))
        if before is not None and before.group != told.group:
            self._leave(before)
        self.told[told.channel, told.key] = told
        self._channels.setdefault(told.key, set()).add(told.channel)
        if told.group:
            self.groups.setdefault(told.group, set()).add(told.key)
        if told.key in self.alerts:
            self._see_falls(self.alerts[told.key])

    def _see_falls(self, alert: ShownAlert) -> None:
        """Remember the lower count where it has fallen: a fall is not told, but the next rise is a new deed."""
        for channel in self.channels_of(alert.alert_id):
            told = self.told[channel, alert.alert_id]
            if alert.count < told.count and alert.version >= told.version:
                self.told[channel, alert.alert_id] = msgspec.structs.replace(told, count=alert.count)

    def drop_told(self, channel: str, key: str) -> None:
        """The ledger has forgotten it."""
        told = self.told.pop((channel, key), None)
        self.escalated.discard((channel, key))
        if told is None:
            return
        if key not in self.groups:
            self.past.pop(key, None)
        self._leave(told)
        channels = self._channels[key]
        channels.discard(channel)
        if not channels:
            del self._channels[key]

    def channels_of(self, key: str) -> set[str]:
        """The channels that the ledger has something of, for an incident."""
        return set(self._channels.get(key, ()))

    def alert_of(self, key: str) -> ShownAlert | None:
        """An incident as an alert: the alert itself, or the group; None where there is none.

        A group that was told and has no member left is over.
        """
        if not is_group(key):
            return self.alerts.get(key)
        if members := self.members(key):
            return group_alert(key, members, self.past.get(key, Past()))
        told = [self.told[channel, key] for channel in self.channels_of(key)]
        return forgotten(key, told) if told else None

    def members(self, group: str) -> list[ShownAlert]:
        """The alerts of a group, the first to open first."""
        found = [self.alerts[key] for key in self.groups.get(group, ()) if key in self.alerts]
        return sorted(found, key=lambda alert: (alert.opened_at, alert.alert_id))

    def alerts_behind(self, key: str) -> list[ShownAlert]:
        """The alerts that an incident speaks for: its own one, or a group's."""
        alert = self.alerts.get(key)
        return [alert] if alert is not None else self.members(key)

    def find_past(self) -> None:
        """Learn from the ledger alone who was in each group and is no more: those told that did not join before."""
        for group in filter(is_group, self.groups):
            for channel in self.channels_of(group):
                told = self.told[channel, group]
                known = [
                    self.alerts[member].version
                    for member in self.groups[group]
                    if member in self.alerts and self._joined_at(member, group) <= told.at
                ]
                self.past[group] = Past(max(0, told.count - len(known)), max(0, told.version - sum(known)))

    def _joined_at(self, member: str, group: str) -> str:
        records = (self.told[channel, member] for channel in self.channels_of(member))
        return min(told.at for told in records if told.group == group)

    def _leave(self, told: Told) -> None:
        members = self.groups.get(told.group)
        if members is None or any(
            other.group == told.group
            for channel in self._channels.get(told.key, ())
            if channel != told.channel and (other := self.told[channel, told.key])
        ):
            return
        members.discard(told.key)
        if is_group(told.group):
            version = self.alerts[told.key].version if told.key in self.alerts else told.version
            past = self.past.get(told.group, Past())
            self.past[told.group] = Past(past.members + 1, past.versions + version)
        if not members:
            del self.groups[told.group]


@dataclass(slots=True)
class Floor:
    """What all channels share.

    Attributes:
        routes: the routing file.
        books: by partition, of those that are ours.
        where: key of an incident -> its partition.
        mutes: by command.
        silences: every `source_silence` of the whole topic, by id, and what channels were told of them.
        disabled: channel -> what its receiver said.
        enabled: channel -> when a person said that it is well, RFC 3339: what it refused before counts no more.
    """

    routes: Routes
    books: dict[int, Book] = field(default_factory=dict)
    where: dict[str, int] = field(default_factory=dict)
    mutes: dict[str, Mute] = field(default_factory=dict)
    silences: dict[str, ShownAlert] = field(default_factory=dict)
    silences_told: dict[tuple[str, str], Told] = field(default_factory=dict)
    disabled: dict[str, str] = field(default_factory=dict)
    enabled: dict[str, str] = field(default_factory=dict)

    def book_of(self, key: str) -> Book | None:
        """The book that an incident stands in; None where its partition is not ours."""
        partition = self.where.get(key)
        return None if partition is None else self.books.get(partition)

    def all_mutes(self) -> Iterator[Mute]:
        """Those of the routing file, and those by command."""
        yield from self.routes.mutes
        yield from self.mutes.values()

    def routed(self, channel: str, alert: ShownAlert) -> bool:
        """Whether an alert goes to a channel by the routing file."""
        return any(target.channel == channel for target in self.routes.targets(alert))

    def escalation(self, channel: str, alerts: Iterable[ShownAlert]) -> Escalate | None:
        """Who is told where a channel does not take an incident: by the route of the first alert that has one."""
        for alert in alerts:
            for target in self.routes.targets(alert):
                if target.channel == channel and target.escalate is not None:
                    return target.escalate
        return None

    def heirs(self, book: Book, key: str) -> set[str]:
        """The channels that are to hear of an incident since one before them refuses it, by the ledger."""
        alert = book.alert_of(key)
        return {
            target.escalate.to
            for behind in book.alerts_behind(key)
            for target in self.routes.targets(behind)
            if target.escalate is not None
            and alert is not None
            and (told := book.told.get((target.channel, key))) is not None
            and told.refused >= alert.version
            and told.step != Step.ACKNOWLEDGE.value
        }

    def speaks(self, channel: str, silence: ShownAlert, now_s: float) -> bool:
        """Whether a silence speaks for blind alerts on a channel: it was told there, or is about to be.

        One that is muted there or refused, or that was over before the channel heard of it, speaks for nothing.
        """
        told = self._silence_told(channel, silence.alert_id)
        if told is not None and told.group:
            told = self._silence_told(channel, told.group) or told
        if told is not None and told.state is not Standing.NONE:
            return True
        if silence.state == "resolved" or (told is not None and told.refused >= silence.version):
            return False
        is_muted = muted_by(silence, self.all_mutes(), int(now_s * SECOND_US)) is not None
        return self.routed(channel, silence) and not is_muted

    def _silence_told(self, channel: str, key: str) -> Told | None:
        book = self.book_of(key)
        told = book.told.get((channel, key)) if book is not None else None
        return told or self.silences_told.get((channel, key))

    def see_silence(self, alert: ShownAlert) -> bool:
        """Take in an alert of partition 0; returns whether it is a silence that was not known so."""
        known = self.silences.get(alert.alert_id)
        if alert.kind != SILENCE or (known is not None and known.version >= alert.version):
            return False
        self.silences[alert.alert_id] = alert
        return True
