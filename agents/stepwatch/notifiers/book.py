"""What is known of the alerts and of what was told of them: a book for each partition, a floor for all channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from stepwatch.notifiers.grouping import SILENCE, group_alert, is_group
from stepwatch.notifiers.ledger import Standing, Told
from stepwatch.notifiers.mutes import Mute
from stepwatch.notifiers.notices import NotJudged, ShownAlert
from stepwatch.notifiers.routing import Escalate, Routes


class Book:
    """One partition: its alerts, what each channel was told of each, and who speaks for whom.

    Attributes:
        partition: its number.
        alerts: by id, as they stand; events that nobody judged among them.
        told: (channel, key of the incident) -> what the ledger has.
        groups: key of an incident -> the alerts that it speaks for.
        bugs: the events that nobody judged, by the id of their alert.
        gone: alerts that the alerts topic has forgotten, and that a channel is still to hear the end of.
        escalated: (channel, key) of what another channel did not take.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.alerts: dict[str, ShownAlert] = {}
        self.told: dict[tuple[str, str], Told] = {}
        self.groups: dict[str, set[str]] = {}
        self.bugs: dict[str, NotJudged] = {}
        self.gone: set[str] = set()
        self.escalated: set[tuple[str, str]] = set()
        self._channels: dict[str, set[str]] = {}

    def put_told(self, told: Told) -> None:
        """Take in what was told, in the place of what was known of it."""
        before = self.told.get((told.channel, told.key))
        if before is not None and before.group != told.group:
            self._leave(before)
        self.told[told.channel, told.key] = told
        self._channels.setdefault(told.key, set()).add(told.channel)
        if told.group:
            self.groups.setdefault(told.group, set()).add(told.key)

    def drop_told(self, channel: str, key: str) -> None:
        """The ledger has forgotten it."""
        told = self.told.pop((channel, key), None)
        self.escalated.discard((channel, key))
        if told is None:
            return
        self._leave(told)
        channels = self._channels[key]
        channels.discard(channel)
        if not channels:
            del self._channels[key]

    def channels_of(self, key: str) -> set[str]:
        """The channels that the ledger has something of, for an incident."""
        return set(self._channels.get(key, ()))

    def alert_of(self, key: str) -> ShownAlert | None:
        """An incident as an alert: the alert itself, or the group; None where there is none."""
        if not is_group(key):
            return self.alerts.get(key)
        members = self.members(key)
        return group_alert(key, members) if members else None

    def members(self, group: str) -> list[ShownAlert]:
        """The alerts of a group, the first to open first."""
        found = [self.alerts[key] for key in self.groups.get(group, ()) if key in self.alerts]
        return sorted(found, key=lambda alert: (alert.opened_at, alert.alert_id))

    def alerts_behind(self, key: str) -> list[ShownAlert]:
        """The alerts that an incident speaks for: its own one, or a group's."""
        alert = self.alerts.get(key)
        return [alert] if alert is not None else self.members(key)

    def _leave(self, told: Told) -> None:
        members = self.groups.get(told.group)
        if members is None or any(
            other.group == told.group
            for channel in self._channels.get(told.key, ())
            if channel != told.channel and (other := self.told[channel, told.key])
        ):
            return
        members.discard(told.key)
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
    """

    routes: Routes
    books: dict[int, Book] = field(default_factory=dict)
    where: dict[str, int] = field(default_factory=dict)
    mutes: dict[str, Mute] = field(default_factory=dict)
    silences: dict[str, ShownAlert] = field(default_factory=dict)
    silences_told: dict[tuple[str, str], Told] = field(default_factory=dict)
    disabled: dict[str, str] = field(default_factory=dict)

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

    def silences_for(self, channel: str) -> list[ShownAlert]:
        """The silences that a channel hears of: those over before it heard are none."""
        return [
            silence
            for silence in self.silences.values()
            if self.routed(channel, silence) and (silence.state != "resolved" or self.heard(channel, silence.alert_id))
        ]

    def heard(self, channel: str, silence: str) -> bool:
        """Whether a channel was told of a silence."""
        book = self.book_of(silence)
        told = book.told.get((channel, silence)) if book is not None else None
        told = told or self.silences_told.get((channel, silence))
        return told is not None and told.state is not Standing.NONE

    def see_silence(self, alert: ShownAlert) -> bool:
        """Take in an alert of partition 0; returns whether it is a silence that was not known so."""
        known = self.silences.get(alert.alert_id)
        if alert.kind != SILENCE or (known is not None and known.version >= alert.version):
            return False
        self.silences[alert.alert_id] = alert
        return True
