"""What `stepwatch notify` reads from the topics and shows: a test ring, the reasons of an alert, the mutes."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from aiokafka import TopicPartition

from stepwatch.agents.clients import close_client, open_reader
from stepwatch.agents.reading import Record, partition_count, read_until
from stepwatch.agents.settings import Settings
from stepwatch.cli.screen import shown
from stepwatch.notifiers.delivery import Delivery, Outcome, Step
from stepwatch.notifiers.ledger import CHANNEL_KEY, Switch, Told, is_told, read_switch, read_told
from stepwatch.notifiers.messages import build_test_message
from stepwatch.notifiers.mutes import MUTE_KEY, Mute, read_mute
from stepwatch.notifiers.notices import ShownAlert, read_alert
from stepwatch.notifiers.routing import Routes

_T = TypeVar("_T")


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
                if answer.outcome is not Outcome.DELIVERED:
                    failed.append(channel)
                    break
    finally:
        for receiver in receivers.values():
            await receiver.close()
    return failed


@dataclass(slots=True)
class Found:
    """What the topics have of one alert.

    Attributes:
        alert: None where there is none.
        told: what each channel was told of it, and of the incidents that speak for it.
        mutes: by command, those that are over too.
        disabled: channel -> why.
    """

    alert: ShownAlert | None = None
    told: dict[tuple[str, str], Told] = field(default_factory=dict)
    mutes: dict[str, Mute] = field(default_factory=dict)
    disabled: dict[str, Switch] = field(default_factory=dict)


async def find_alert(settings: Settings, alert_id: str) -> Found:
    """Read what there is of an alert; records that cannot be read are passed over, as the role does."""
    found = Found()
    async for record in _all(settings, settings.topics.alerts):
        key = (record.key or b"").decode(errors="replace")
        if key.rpartition("/")[2] == alert_id and record.value is not None:
            found.alert = _read(read_alert, record.value) or found.alert
    async for record in _all(settings, settings.topics.notifications):
        key_bytes = record.key or b""
        if key_bytes.startswith(MUTE_KEY) and record.value and (mute := _read(read_mute, record.value)):
            found.mutes[mute.id] = mute
        elif key_bytes.startswith(CHANNEL_KEY) and record.value and (switch := _read(read_switch, record.value)):
            found.disabled[switch.channel] = switch
        elif is_told(key_bytes) and record.value and (told := _read(read_told, record.value)):
            found.told[told.channel, told.key] = told
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
    print(shown(f"{alert.alert_id}: {alert.severity} {alert.kind}, {alert.state}, version {alert.version}"))
    print(shown(f"  {alert.title}"))
    targets = {target.channel: target for target in routes.targets(alert)}
    if not targets:
        print("  the routing file sends it to nobody")
    for mute in (*routes.mutes, *found.mutes.values()):
        if mute.match.matches(alert):
            state = "muted by" if mute.holds(now_us) else "was or will be muted by"
            print(shown(f"  {state} {mute.id or 'the routing file'}: {mute.words}"))
    told_channels = [channel for channel, key in found.told if key == alert.alert_id]
    for channel in dict.fromkeys([*targets, *told_channels]):
        target = targets.get(channel)
        why = f"by route {target.route} ({routes.routes[target.route].match.words})" if target else "by an escalation"
        print(shown(f"  {channel}: {why}: {_told_words(found, channel, alert.alert_id)}"))
        switch = found.disabled.get(channel)
        if switch is not None and switch.disabled:
            print(shown(f"    disabled since {switch.at[:19]}Z: {switch.words}; `stepwatch notify enable {channel}`"))


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
