"""Heartbeats of the feeds that a growing log holds: alive, and complete up to when it was read."""

from __future__ import annotations

import time

import msgspec

from stepwatch.cli.shipping import Shipper
from stepwatch.schemas import events as ev
from stepwatch.schemas.times import format_time


class Beats:
    """Heartbeats of the feeds that a file holds.

    Args:
        shipper: which sends them, after the events.
        own: the one feed of a product's log; `""`: each source of which events were sent.
        every_s: seconds between two of one feed; 0: none are sent.
        lag_us: by how much the product writes its log late: a feed is complete up to so long ago.
    """

    def __init__(self, shipper: Shipper, own: str, every_s: float, lag_us: int) -> None:
        self._shipper = shipper
        self._own = own
        self._every_s = every_s
        self._lag_us = lag_us
        self._due = time.monotonic()

    async def send(self, sources: set[str], read_us: int) -> None:
        """Send one for each feed, if it is time; all that was read must have been acknowledged.

        Args:
            sources: of the events so far, without those that send heartbeats themselves.
            read_us: when the files were looked at: what had been written by then was sent.
        """
        if not self._every_s or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._every_s
        for source in sorted({self._own} if self._own else sources):
            value = heartbeat(source, time.time_ns() // 1000, read_us - self._lag_us)
            await self._shipper.outlet.heartbeat(f"a heartbeat of {source}", value)
        await self._shipper.outlet.settle()


def heartbeat(source: str, time_us: int, complete_us: int) -> bytes:
    """The sign that a feed is alive, and up to when it has delivered everything (contract section 3)."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": f"alive-{time_us}",
            "source": source,
            "type": ev.HEARTBEAT,
            "time": format_time(time_us),
            "data": {"complete_to": format_time(complete_us)},
        }
    )
