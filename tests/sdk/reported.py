"""What tests of the HTTP reporter report, and how they wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from stepwatch.sdk import HttpReporter, Source

BANK = Source("/payments/api", tenant="acme")


def report(reporter: HttpReporter, count: int, first: int = 0, **extra: Any) -> list[str]:
    ids = [str(number) for number in range(first, first + count)]
    for one in ids:
        reporter.report(BANK.action_performed("a.b", subject="alice", id=one, extra=extra))
    return ids


def until(reached: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
