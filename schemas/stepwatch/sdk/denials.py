"""Topics that the broker lets nobody here write to: one of them must not hold up the other for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

FINAL_AFTER_S: Final = 60.0
"""Rights that are being changed take less, and the backlog's default bound holds more."""
ASK_AGAIN_S: Final = 30.0
"""After that, so that what comes once the rights are there is sent."""


class Denials:
    """Which topics deny us, and for how long. Times are of a monotonic clock, s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}
        self._asked: dict[str, float] = {}

    @property
    def topics(self) -> list[str]:
        """Those that denied us when they were last asked."""
        return sorted(self._since)

    def denied(self, topic: str) -> None:
        """The broker refused an event for want of rights."""
        self._asked[topic] = self._clock()
        self._since.setdefault(topic, self._asked[topic])

    def granted(self, topic: str) -> None:
        """The broker took an event."""
        self._since.pop(topic, None)

    def are_final(self, topic: str) -> bool:
        """Whether to refuse its events without asking: denied for `FINAL_AFTER_S`, the last time just now."""
        now_s = self._clock()
        return (
            topic in self._since
            and now_s - self._since[topic] >= FINAL_AFTER_S
            and now_s - self._asked[topic] < ASK_AGAIN_S
        )
