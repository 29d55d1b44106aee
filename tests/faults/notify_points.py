"""A process of the role `notify` that kills itself (kill -9) when it comes to a named point for the n-th time.

python -m tests.faults.notify_points POINT=N
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from stepwatch.agents import paging
from stepwatch.notifiers.lanes import Lane
from tests.faults.points import Countdown, Hit, after_call, before_call

POINTS: dict[str, Callable[[Hit], None]] = {
    "before_send": lambda hit: before_call(Lane, "_deliver", hit),
    "after_send": lambda hit: after_call(Lane, "_deliver", hit),
    "after_record": lambda hit: after_call(Lane, "_write", hit),
    "in_takeover": lambda hit: after_call(paging, "_latest", hit),
}
"""Name -> makes the product call `hit` there. `after_send`: the receiver has answered, and no record says so."""


def main() -> int:
    """Run the role."""
    for argument in sys.argv[1:]:
        name, _, times = argument.partition("=")
        POINTS[name](Countdown(name, int(times)))
    from stepwatch.agents.notify import main as notify
    from stepwatch.agents.settings import Settings

    return notify(Settings())


if __name__ == "__main__":
    sys.exit(main())
