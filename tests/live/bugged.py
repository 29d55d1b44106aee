"""The correlate role with a core that has faults: what it does with an event on which it raises.

Events whose id begins with `boom` raise when they are read, `late-boom` when their verdict is to be published: as a
fault of ours would.
"""

from __future__ import annotations

import sys
from typing import Any

from stepwatch.agents.correlate import main
from stepwatch.agents.settings import Settings
from stepwatch.streams import intake, settling


def break_the_core() -> None:
    """Put the faults in."""
    accept, judged_row = intake.accept, settling.judged_row

    def accept_or_raise(partition: Any, event: Any, *rest: Any) -> Any:
        if event.id.startswith("boom"):
            raise ZeroDivisionError(f"no idea what to do with {event.id}")
        return accept(partition, event, *rest)

    def row_or_raise(action: Any, *rest: Any) -> Any:
        if action.id.startswith("late-boom"):
            raise LookupError(f"no words for {action.id}")
        return judged_row(action, *rest)

    intake.accept = accept_or_raise
    settling.judged_row = row_or_raise


if __name__ == "__main__":
    break_the_core()
    sys.exit(main(Settings()))
