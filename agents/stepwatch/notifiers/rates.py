"""How often a channel may ring in a minute, and how long to wait after a failure; time is an argument, in s."""

from __future__ import annotations

import random
from collections import deque

MINUTE_S = 60.0
BACKOFF_FIRST_S = 1.0
BACKOFF_MAX_S = 300.0
RETRY_AFTER_MAX_S = 3600.0
"""A receiver that asks for more is asked again after an hour."""


class Minute:
    """What happened within the last minute."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def count(self, now_s: float) -> int:
        """How many, in (now - 60 s, now]."""
        while self._times and self._times[0] <= now_s - MINUTE_S:
            self._times.popleft()
        return len(self._times)

    def add(self, now_s: float) -> None:
        """One more."""
        self._times.append(now_s)

    def free_at(self, now_s: float, most: int) -> float:
        """When there are fewer than `most`, at least 1, again: now, or later."""
        count = self.count(now_s)
        return now_s if count < most else self._times[count - most] + MINUTE_S


class Recent:
    """What happened within the last minute, each thing once, by its name."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}

    def others(self, name: str, now_s: float) -> int:
        """How many others than this one, in (now - 60 s, now]."""
        while self._times and next(iter(self._times.values())) <= now_s - MINUTE_S:
            del self._times[next(iter(self._times))]
        return len(self._times) - (name in self._times)

    def add(self, name: str, now_s: float) -> None:
        """It happened; looked at again it is no second one."""
        self._times.setdefault(name, now_s)


def backoff_s(failures: int, rng: random.Random) -> float:
    """How long to wait after so many failures in a row, at least 1: exponential with full jitter, at most 5 minutes.

    The whole of the wait is left to chance: a thousand clients of a receiver that comes back must not come at once.
    """
    bound = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(failures - 1, 30))
    return rng.uniform(0.0, bound)
