"""How often somebody may try to sign in: what a guesser meets, without locking the real person out for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stepwatch.schemas.times import MINUTE_US, SECOND_US

WINDOW_US: Final = 5 * MINUTE_US
MOST: Final = {"pair": 5, "address": 20, "name": 100}
"""Failures within the window: of one name from one address, from one address, of one name from everywhere."""
KEPT_MAX: Final = 50_000
"""Beyond it those that failed first are forgotten: memory has an end, and so has a flood."""


class Attempts:
    """The failures of the last minutes.

    Args:
        clock: microseconds since 1970.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._failures: dict[tuple[str, str], list[int]] = {}

    def wait_s(self, name: str, address: str) -> int:
        """How many seconds to wait before the next try; 0: none."""
        now_us, until_us = self._clock(), 0
        for kind, key in _keys(name, address):
            failures = [at for at in self._failures.get(key, ()) if at > now_us - WINDOW_US]
            if len(failures) >= MOST[kind]:
                until_us = max(until_us, failures[-MOST[kind]] + WINDOW_US)
        return max(-(-(until_us - now_us) // SECOND_US), 0)

    def fail(self, name: str, address: str) -> None:
        """Note a try that failed."""
        now_us = self._clock()
        for kind, key in _keys(name, address):
            failures = self._failures.pop(key, [])
            self._failures[key] = [*failures[-MOST[kind] + 1 :], now_us]
        while len(self._failures) > KEPT_MAX:
            del self._failures[next(iter(self._failures))]

    def succeed(self, name: str, address: str) -> None:
        """Forget what failed before from there under this name."""
        self._failures.pop(_keys(name, address)[0][1], None)


def _keys(name: str, address: str) -> list[tuple[str, tuple[str, str]]]:
    short = name[:64]
    return [
        ("pair", ("pair", f"{address} {short}")),
        ("address", ("address", address)),
        ("name", ("name", short)),
    ]
