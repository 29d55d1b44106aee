"""One `stepwatch events generate`: a crowd's events to standard output, or to Kafka when their time has come."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Final

from stepwatch.agents.errors import EXIT_OK
from stepwatch.agents.settings import Settings
from stepwatch.cli.errors import Misused
from stepwatch.cli.events_people import RAMP_US, Crowd, Timed
from stepwatch.cli.screen import counted
from stepwatch.cli.send_run import parse_option
from stepwatch.cli.stopping import Stopping, stopping
from stepwatch.schemas.times import SECOND_US, format_time, parse_time
from stepwatch.streams.decode import Event, decode

KAFKA: Final = "kafka"
STDOUT: Final = "-"
_DURATION: Final = "1h"
_AT_ONCE: Final = 1000
_NAP_S: Final = 0.005
"""What is due within so short a time is sent at once."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of the command."""

    rate: float
    people: int
    seed: int
    duration: str | None
    count: int | None
    start: str | None
    to: str
    bootstrap: str | None
    data: Path | None


def run(asked: Asked) -> int:
    """Do it; returns the exit status.

    Raises:
        Misused: options contradict each other.
        ServerAway, KafkaAway, KafkaRefused, TopicsWrong: Kafka.
    """
    from stepwatch.cli.replay import ended_by_reader

    _refuse_what_contradicts(asked)
    length_us = _length(asked)
    if asked.to == STDOUT:
        with ended_by_reader():
            _print(_events(asked, _start(asked, length_us), length_us))
        return EXIT_OK
    from stepwatch.cli.target import connect, quiet_logs

    settings = connect(asked.data, asked.bootstrap)
    quiet_logs(settings)
    return asyncio.run(_send(settings, asked, length_us))


def _events(asked: Asked, start_us: int, length_us: int) -> Iterator[Timed]:
    """So many events of people as were asked for, with the heartbeats between them."""
    crowd = Crowd(asked.seed, start_us, asked.people, asked.rate).events()
    if asked.count is None:
        return takewhile(lambda timed: timed.happening.when_us < start_us + length_us, crowd)
    return _counted(crowd, asked.count)


def _counted(crowd: Iterator[Timed], count: int) -> Iterator[Timed]:
    for timed in crowd:
        count -= not timed.is_heartbeat
        yield timed
        if not count:
            return


def _print(events: Iterator[Timed]) -> None:
    while chunk := list(islice(events, _AT_ONCE)):
        sys.stdout.buffer.write(b"".join(_line(timed) + b"\n" for timed in chunk))
        sys.stdout.buffer.flush()


def _line(timed: Timed) -> bytes:
    """The event as a line of a file, which says itself when it arrived where that was not at once."""
    value, when = timed.happening.value, format_time(timed.happening.when_us)
    if b'"time":"' + when.encode() + b'"' in value:
        return value
    return json.dumps({**json.loads(value), "arrival": when}, separators=(",", ":"), ensure_ascii=False).encode()


async def _send(settings: Settings, asked: Asked, length_us: int) -> int:
    from stepwatch.cli.sending import open_outlet

    sent = 0
    async with open_outlet(settings) as outlet:
        with stopping() as stop:
            # From now on: what the first seconds of opening took is not made up for.
            began, start_us = time.monotonic(), time.time_ns() // 1000
            for timed in _events(asked, start_us, length_us):
                await _wait(stop, began + (timed.happening.when_us - start_us) / SECOND_US)
                if stop.asked:
                    break
                if timed.is_heartbeat:
                    await outlet.settle()
                    await outlet.heartbeat("a heartbeat", timed.happening.value)
                    continue
                sent += 1
                event = decode(timed.happening.value, time.time_ns() // 1000)
                assert isinstance(event, Event), event
                await outlet.event(f"event {sent}", event, timed.happening.value)
            await outlet.settle()
            took_s = max(time.monotonic() - began, 0.001)
            rate = f"{took_s:.0f} s, {sent / took_s:,.0f}/s"
            print(f"sent {counted(sent, 'event')} to {settings.kafka_bootstrap} ({rate})")
            return stop.exit_status if stop.asked else EXIT_OK


async def _wait(stop: Stopping, until: float) -> None:
    ahead_s = until - time.monotonic()
    if ahead_s > _NAP_S:
        await stop.nap(ahead_s)
    else:
        await asyncio.sleep(0)


def _length(asked: Asked) -> int:
    if asked.count is not None:
        return round(asked.count / asked.rate * SECOND_US)
    length_us = parse_option("--duration", asked.duration or _DURATION)
    if not length_us:
        raise Misused("--duration 0s: expected more than nothing, like 10m")
    return length_us


def _start(asked: Asked, length_us: int) -> int:
    if asked.start is None:
        return max(time.time_ns() // 1000 - length_us - RAMP_US, 0)
    start_us = parse_time(asked.start)
    if start_us is None:
        raise Misused(f"--start {asked.start}: expected RFC 3339 with a zone, like 2026-11-24T08:00:00Z")
    return start_us


def _refuse_what_contradicts(asked: Asked) -> None:
    wrong = {
        f"--to {asked.to}: expected kafka, or - for standard output": asked.to not in (KAFKA, STDOUT),
        "--count and --duration both say when it ends: give one": None not in (asked.count, asked.duration),
        "--to kafka begins now: --start is for files": asked.to == KAFKA and asked.start is not None,
        "--bootstrap and --data mean something with --to kafka only": asked.to == STDOUT
        and (asked.bootstrap is not None or asked.data is not None),
    }
    for why, holds in wrong.items():
        if holds:
            raise Misused(why)
