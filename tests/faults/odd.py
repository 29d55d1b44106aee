"""A worker of the role `correlate` that differs from the shipped one in what its arguments say, and in nothing else.

python -m tests.faults.odd clock=3600       its wall clock is so many seconds ahead (or behind, with a minus)
python -m tests.faults.odd no-pulses        it never writes a pulse
python -m tests.faults.odd uneven=SEED      whichever input has data goes first, by chance, in batches of any size
python -m tests.faults.odd next-version     its state records are one version newer; it reads this version's too
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from typing import Any


def _clock(seconds: str) -> None:
    """Before anything of ours is imported: a name bound to the real clock would keep it."""
    ahead_s = int(seconds)
    clock, clock_ns = time.time, time.time_ns
    time.time = lambda: clock() + ahead_s
    time.time_ns = lambda: clock_ns() + ahead_s * 1_000_000_000


def _no_pulses(_: str) -> None:
    from stepwatch.agents.pulse import Pulse

    Pulse.wanted = lambda self: ()  # type: ignore[method-assign]


def _uneven(seed: str) -> None:
    from stepwatch.agents import feeder, whole

    rng = random.Random(int(seed))
    getmany = feeder.AIOKafkaConsumer.getmany

    async def some(self: Any, *tps: Any, timeout_ms: int = 0, max_records: int | None = None) -> Any:
        if max_records != 1:
            max_records = rng.choice([1, 7, 50, max_records])
        return await getmany(self, *tps, timeout_ms=timeout_ms, max_records=max_records)

    feeder.AIOKafkaConsumer.getmany = some

    class SomeWhole(whole.Whole):
        """With the native core one item is a chunk, which is cut by chance when it was fetched."""

        def __init__(self, records_max: int) -> None:
            self._most = records_max

        @property
        def records_max(self) -> int:
            return rng.choice([1, 7, 50, self._most])

    whole.Whole = SomeWhole  # type: ignore[misc]
    # For whole stretches one input goes first, so that it runs hours ahead of the other.
    order = {"favourite": 0, "left": 0}

    def first_time(self: Any, tp: Any) -> int:
        if order["left"] <= 0:
            order.update(favourite=rng.randrange(2), left=rng.choice([3, 30, 300]))
        order["left"] -= 1
        return int(self._tps.index(tp) != order["favourite"])

    feeder.Feeder._first_time = first_time  # type: ignore[method-assign]
    feeder._WAIT_S = 0.0


def _next_version(_: str) -> None:
    from stepwatch.streams import state

    state.STATE_VERSION += 1
    state.STATE_VERSIONS = (*state.STATE_VERSIONS, state.STATE_VERSION)
    state._VERSION = bytes((state.STATE_VERSION,))


ODDITIES: dict[str, Callable[[str], None]] = {
    "clock": _clock,
    "no-pulses": _no_pulses,
    "uneven": _uneven,
    "next-version": _next_version,
}


def main() -> int:
    """Run the role."""
    for argument in sys.argv[1:]:
        name, _, value = argument.partition("=")
        ODDITIES[name](value)
    from stepwatch.agents.correlate import main as correlate
    from stepwatch.agents.settings import Settings

    return correlate(Settings())


if __name__ == "__main__":
    sys.exit(main())
