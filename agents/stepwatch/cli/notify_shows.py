"""What `stepwatch notify` reads from the topics and shows: a test ring, the reasons of an alert, the mutes."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from aiokafka import TopicPartition

from stepwatch.agents.clients import close_client, open_reader
from stepwatch.agents.reading import Record, partition_count, read_until
from stepwatch.agents.settings import Settings
from stepwatch.cli.screen import counted, shown
from stepwatch.notifiers.book import Book
from stepwatch.notifiers.delivery import Delivery, Outcome, Step
from stepwatch.notifiers.grouping import is_group
from stepwatch.notifiers.ledger import CHANNEL_KEY, Switch, Told, is_told, read_switch, read_told
from stepwatch.notifiers.messages import build_test_message
from stepwatch.notifiers.mutes import MUTE_KEY, Mute, read_mute
from stepwatch.notifiers.notices import ShownAlert, read_alert
from stepwatch.notifiers.routing import Routes, Target

_T = TypeVar("_T")
_MEMBERS_SHOWN = 50


async def ring(routes: Routes, channels: Sequence[str]) -> list[str]:
    """Trigger and resolve a test incident on each channel, printing each answer; returns those that did not take it."""
    receivers = routes.open_receivers()
    key = f"test_{uuid.uuid4().hex[:16]}"
    failed = []
    try:
        for channel in channels:
            reference = ""
            for version, step in enumerate((Step.TRIGGER, Step.RESOLVE), 1):
                message = build_test_message(channel)
                answer = await receivers[channel].deliver(Delivery(key, version, step, message, reference))
                reference = answer.reference or reference
                print(shown(f"{channel}: {step.value}: {answer.outcome.value}: {answer.words}"))
                if answer.outcome is Outcome.DELIVERED:
                    continue
                failed.append(channel)
                if answer.unsent:
                    break
                # It may have rung all the same: whoever was called must not be left with it.
    finally:
        for receiver in receivers.values():
            await receiver.close()
    return list(dict.fromkeys(failed))


@dataclass(slots=True)
class Found:
    """What the topics have of one alert, or of a group of alerts.

    Attributes:
        alert: None where there is none.
        members: of a group: its alerts, the first to open first; `alert` is the group then.
        told: what each channel was told of it, and of the incidents that speak for it.
        mutes: by command, those that are over too.
        disabled: channel -> why.
    """

    alert: ShownAlert | None = None
    members: list[ShownAlert] = field(default_factory=list)
    told: dict[tuple[str, str], Told] = field(default_factory=dict)
    mutes: dict[str, Mute] = field(default_factory=dict)
    disabled: dict[str, Switch] = field(default_factory=dict)


async def find_alert(settings: Settings, alert_id: str) -> Found:
    """Read what there is of an alert, or a group's key; records that cannot be read are passed over, as the role does.

    Of a group all alerts are read first, since only the ledger knows which are in it.
    """
    found = Found()
    alerts: dict[str, ShownAlert] = {}
    async for record in _all(settings, settings.topics.alerts):
        key = (record.key or b"").decode(errors="replace").rpartition("/")[2]
        if record.value is None:
            alerts.pop(key, None)
        elif (key == alert_id or is_group(alert_id)) and (alert := _read(read_alert, record.value)):
            alerts[key] = alert
    found.alert = alerts.get(alert_id)
    async for record in _all(settings, settings.topics.notifications):
        key_bytes = record.key or b""
        if key_bytes.startswith(MUTE_KEY) and record.value and (mute := _read(read_mute, record.value)):
            found.mutes[mute.id] = mute
        elif key_bytes.startswith(CHANNEL_KEY) and record.value and (switch := _read(read_switch, record.value)):
            found.disabled[switch.channel] = switch
        elif is_told(key_bytes) and record.value and (told := _read(read_told, record.value)):
            found.told[told.channel, told.key] = told
    if is_group(alert_id):
        book = Book(0)
        for alert in alerts.values():
            book.put_alert(alert)
        for told in found.told.values():
            book.put_told(told)
        book.find_past()
        found.alert, found.members = book.alert_of(alert_id), book.members(alert_id)
    return found


async def find_mutes(settings: Settings) -> list[Mute]:
    """The mutes by command, those that are over too, in the order of their end."""
    mutes: dict[str, Mute] = {}
    async for record in _all(settings, settings.topics.notifications, [0]):
        if (record.key or b"").startswith(MUTE_KEY) and record.value and (mute := _read(read_mute, record.value)):
            mutes[mute.id] = mute
    return sorted(mutes.values(), key=lambda mute: mute.until)


def show_mutes(of_file: Iterable[Mute], by_command: Iterable[Mute], *, every: bool) -> None:
    """Print a line for each mute."""
    now_us = time.time_ns() // 1000
    lines = []
    for mute in (*of_file, *by_command):
        if every or mute.until > now_us:
            state = "over" if mute.until <= now_us else "in force" if mute.holds(now_us) else "not yet"
            lines.append(f"{mute.id or 'routing file':15}  {state:8}  {mute.words}")
    for line in lines or ["no mutes"]:
        print(shown(line))


def show_why(routes: Routes, found: Found) -> None:
    """Print why an alert went where it went."""
    alert = found.alert
    assert alert is not None, "it was found"
    now_us = time.time_ns() // 1000
    behind = found.members if is_group(alert.alert_id) else [alert]
    if behind:
        print(shown(f"{alert.alert_id}: {alert.severity} {alert.kind}, {alert.state}, version {alert.version}"))
    if is_group(alert.alert_id):
        _show_members(alert, found.members)
    else:
        print(shown(f"  {alert.title}"))
    targets = {target.channel: target for one in behind for target in routes.targets(one)}
    if behind and not targets:
        print("  the routing file sends it to nobody")
    for mute in (*routes.mutes, *found.mutes.values()):
        if any(mute.match.matches(one) for one in behind):
            state = "muted by" if mute.holds(now_us) else "was or will be muted by"
            print(shown(f"  {state} {mute.id or 'the routing file'}: {mute.words}"))
    told_channels = [channel for channel, key in found.told if key == alert.alert_id]
    # A group is one channel's own.
    for channel in dict.fromkeys(told_channels if is_group(alert.alert_id) else [*targets, *told_channels]):
        why = f"{_why_told(routes, targets, channel)}: " if behind else ""
        print(shown(f"  {channel}: {why}{_told_words(found, channel, alert.alert_id)}"))
        switch = found.disabled.get(channel)
        if switch is not None and switch.disabled:
            print(shown(f"    disabled since {switch.at[:19]}Z: {switch.words}; `stepwatch notify enable {channel}`"))


def _show_members(group: ShownAlert, members: Sequence[ShownAlert]) -> None:
    if not members:
        print(shown(f"{group.alert_id}: none of its {group.count:,} is an alert of the topic, or is any more"))
        print("  events that nobody judged are no alerts: `stepwatch dead-letters list --error bug`")
        return
    print(f"  {counted(len(members), 'alert')} in it now, of {group.count:,}:")
    for member in members[:_MEMBERS_SHOWN]:
        print(shown(f"    {member.alert_id}: {member.severity}, {member.state}: {member.title}"))
    if len(members) > _MEMBERS_SHOWN:
        print(f"    and {len(members) - _MEMBERS_SHOWN:,} more")


def _why_told(routes: Routes, targets: Mapping[str, Target], channel: str) -> str:
    if (target := targets.get(channel)) is not None:
        return f"by route {target.route} ({routes.routes[target.route].match.words})"
    if any(target.escalate is not None and target.escalate.to == channel for target in targets.values()):
        return "by an escalation"
    return "by a route that the file has no more"


def _told_words(found: Found, channel: str, key: str) -> str:
    told = found.told.get((channel, key))
    if told is None:
        return "not told yet"
    if told.group:
        return f"{told.words} ({told.group}): {_told_words(found, channel, told.group)}"
    state = told.state.value or "knows nothing of it"
    attempt = f"{told.step} at {told.at[:19]}Z, attempt {told.attempts}: {told.outcome}"
    return f"{state}; {attempt}" + (f": {told.words}" if told.words else "")


def _read(read: Callable[[bytes], _T], value: bytes) -> _T | None:
    try:
        return read(value)
    except ValueError:
        return None


async def _all(settings: Settings, topic: str, partitions: Sequence[int] | None = None) -> AsyncIterator[Record]:
    numbers = range(await partition_count(settings, topic)) if partitions is None else partitions
    tps = [TopicPartition(topic, number) for number in numbers]
    reader = await open_reader(settings, tps)
    try:
        ends = await reader.end_offsets(tps)
        for tp in tps:
            async for records in read_until(reader, tp, ends[tp]):
                for record in records:
                    yield record
    finally:
        await close_client(reader)
