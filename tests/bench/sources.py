"""`python -m tests.bench.sources`: lines a second, of one core, that each adapter says in our words.

The rows are those of the adapters' own tests, and the real logs where they are (`STEPWATCH_SHARED`, or `../shared`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import NamedTuple

from stepwatch.sources import ADAPTERS, Adapter, Skip
from tests.bench.ground import heading
from tests.sources.reading import lines_of, shared_folder
from tests.sources.whole_rows import WHOLE

_FOLDERS = {"cloudtrail": "aws_cloudtrail", "entra": "entra_id"}
_LEAST = 4000
"""Lines in one round: fewer would say more about the clock."""


class Speed(NamedTuple):
    """How fast an adapter went over some lines, each time all of them.

    Attributes:
        per_second: lines, by CPU time, in the best of the rounds.
        line_bytes: of a line, on average.
        events: of all that the lines became, the part that is events.
    """

    per_second: float
    line_bytes: float
    events: float


def measure(adapter: Adapter, lines: list[bytes], rounds: int = 5, least: int = _LEAST) -> Speed:
    """Go over the lines again and again."""
    found = [one for line in lines for one in adapter.events(line)]
    times = max(1, -(-least // len(lines)))
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        for _ in range(times):
            for line in lines:
                adapter.events(line)
        best = min(best, time.process_time() - begun)
    return Speed(
        times * len(lines) / best,
        sum(map(len, lines)) / len(lines),
        sum(not isinstance(one, Skip) for one in found) / len(found),
    )


def samples() -> Iterator[tuple[str, str, list[bytes]]]:
    """Adapter, what the lines are, and the lines."""
    folder = shared_folder() / "data"
    for name in ADAPTERS:
        yield name, "of the tests", [json.dumps(row).encode() for row in WHOLE[name]]
        files = sorted((folder / _FOLDERS.get(name, name)).glob("*.*"))
        files = [file for file in files if "labels" not in file.name and ".index" not in file.name]
        if lines := [line for file in files for line in lines_of(file)]:
            yield name, "real logs", lines


def main() -> None:
    """Measure and print."""
    rows = [(name, kind, measure(ADAPTERS[name], lines)) for name, kind, lines in samples()]
    print(heading())
    print()
    print("| adapter | rows | lines/s of a core | bytes a line | events among what they become |")
    print("|---|---|---|---|---|")
    for name, kind, speed in rows:
        print(f"| {name} | {kind} | {speed.per_second:,.0f} | {speed.line_bytes:,.0f} | {speed.events:.0%} |")


if __name__ == "__main__":
    main()
