"""One `stepwatch heartbeat`: checked, sent to every partition, and again where that was asked for."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from stepwatch.agents.settings import Settings
from stepwatch.cli.beats import heartbeat
from stepwatch.cli.errors import Misused
from stepwatch.cli.send_run import parse_option
from stepwatch.cli.stopping import stopping
from stepwatch.cli.target import connect, quiet_logs
from stepwatch.schemas.times import SECOND_US, parse_time
from stepwatch.streams.decode import Heartbeat, decode
from stepwatch.streams.reading import PULSE_SOURCE


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of the command."""

    source: str
    complete_to: str | None
    every: str | None
    bootstrap: str | None
    data: Path | None


def run(asked: Asked) -> int:
    """Send it; returns the exit status.

    Raises:
        Misused: an option is not as it must be.
        ServerAway, KafkaAway, KafkaRefused, TopicsWrong: Kafka.
    """
    every_us = _every(asked)
    complete_us = _complete(asked)
    # Made once before Kafka is asked: what is wrong with the name is said at once.
    _value(asked.source, complete_us)
    settings = connect(asked.data, asked.bootstrap, patient=bool(every_us))
    quiet_logs(settings)
    return asyncio.run(_send(settings, asked.source, complete_us, every_us))


async def _send(settings: Settings, source: str, complete_us: int | None, every_us: int) -> int:
    from stepwatch.cli.sending import open_outlet

    async with open_outlet(settings) as outlet:
        with stopping() as stop:
            while not stop.asked:
                await outlet.heartbeat(f"a heartbeat of {source}", _value(source, complete_us))
                await outlet.settle()
                if not every_us:
                    return 0
                await stop.nap(every_us / SECOND_US)
            return stop.exit_status


def _value(source: str, complete_us: int | None) -> bytes:
    now_us = time.time_ns() // 1000
    try:
        value = heartbeat(source, now_us, now_us if complete_us is None else complete_us)
    except UnicodeEncodeError:
        raise Misused("--source: the name is no UTF-8") from None
    read = decode(value, now_us)
    if not isinstance(read, Heartbeat):
        raise Misused(f"--source {source!r}: expected the name of a feed, as policies list it, like /idp")
    if read.source == PULSE_SOURCE:
        raise Misused(f"--source {source}: this name is Stepwatch's own; name the feed as the policies list it")
    return value


def _every(asked: Asked) -> int:
    if asked.every is None:
        return 0
    if asked.complete_to is not None:
        raise Misused("--complete-to names one moment: with --every each heartbeat is complete up to its own time")
    every_us = parse_option("--every", asked.every)
    if not every_us:
        raise Misused("--every 0s: expected more than nothing, like 30s")
    return every_us


def _complete(asked: Asked) -> int | None:
    if asked.complete_to is None:
        return None
    complete_us = parse_time(asked.complete_to)
    if complete_us is None:
        raise Misused(f"--complete-to {asked.complete_to}: expected RFC 3339 with a zone, like 2026-11-24T09:15:00Z")
    if complete_us > time.time_ns() // 1000:
        raise Misused(f"--complete-to {asked.complete_to}: a feed cannot have delivered what is still to come")
    return complete_us
