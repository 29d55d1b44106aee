"""What the guard has counted, a process of its own: `python -m tests.bench.counted`, run by `tests.bench.guard`.

A start costs more instructions than all that is measured. So the process starts once, and for each part it forks twice:
one child does the part, the other nothing. What the two counted differs by the part alone. Nothing here is left to
chance, to the clock, or to the collector.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from stepwatch.streams.native import is_built, native
from tests.bench.corelog import BEGIN_US, CoreLog, kinds
from tests.bench.data import Sent, events
from tests.core.chunks import record_set
from tests.core.driver import TOPICS

_BATCH = 300
_LOG_EVENTS = 3000
_SAMPLE_EVENTS = 6000
_BEFORE, _PLAIN, _POLICED = 600, 1000, 250
_SUBJECTS = 100
"""So few that the plain actions meet nobody new: names and partitions are at hand, as they are in a long run."""
_SECOND_MS, _HOUR_MS = 1000, 3_600_000


class Part(NamedTuple):
    """One figure of the guard: so many events cost what `do` costs."""

    name: str
    events: int
    do: Callable[[], object]


def parts() -> Iterator[Part]:
    """Each part when its ground is laid: what comes before a `yield` is not counted."""
    sample = kinds(_SAMPLE_EVENTS, _SUBJECTS)
    before, plain = sample["plain"][:_BEFORE], sample["plain"][_BEFORE : _BEFORE + _PLAIN]
    policed = sample["policed"][:_POLICED]

    log = CoreLog()
    log.take(log.batches(before, _BATCH))
    batches = log.batches(plain, _BATCH)
    yield Part("plain action", len(plain), lambda: log.take(batches))

    proofs = CoreLog()
    step_ups = proofs.batches(sample["step_up"], _BATCH)
    yield Part("step-up", len(sample["step_up"]), lambda: proofs.take(step_ups))

    proofs.take(step_ups)
    actions = proofs.batches(policed, _BATCH)
    yield Part("policed action", len(policed), lambda: proofs.take(actions))

    yield from _life()
    if is_built:
        yield from _native_parts(before, plain)


def _life() -> Iterator[Part]:
    """A log from its first event until nothing of it is remembered."""
    log = CoreLog()
    log.take(log.beat(0))
    mixed = log.batches(events(_LOG_EVENTS, BEGIN_US, subjects=_SUBJECTS), _BATCH)
    count = sum(len(records) for _, records in mixed)
    yield Part("event of a mixed log", count, lambda: log.take(mixed))

    log.take(mixed)
    kept = sum(len(ledger.facts) + len(ledger.kept) for ledger in log.core.known.ledgers.values())
    graces = log.beat(_LOG_EVENTS + 10 * _SECOND_MS)
    yield Part("end of the graces, per fact and action kept", kept, lambda: log.take(graces))

    log.take(graces)
    assert min(log.said["verdicts.verified"], log.said["verdicts.unverified"]) > 0, f"the log is no good: {log.said}"
    closes = log.beat(3 * _HOUR_MS)
    yield Part("close, per fact and action kept", kept, lambda: log.take(closes))

    log.take(closes)
    assert log.core.open_count == 0, "actions are open after their close"
    end = log.beat(100 * _HOUR_MS)
    yield Part("forgetting, per fact and action kept", kept, lambda: log.take(end))

    log.take(end)
    assert not log.core.known.ledgers, "something is remembered for ever"


def _native_parts(before: list[Sent], plain: list[Sent]) -> Iterator[Part]:
    log = CoreLog()

    def read(data: bytes, offset: int) -> None:
        chunks: Any = native.read_chunks(data, offset, [], len(plain), lambda codec, body: body)[0]
        for effects in log.take([(TOPICS.actions, chunk) for chunk in chunks]):
            assert not effects.audit, "the native core left plain actions to Python"
            for rows in effects.plain:
                for batch in rows.batches():
                    batch.build(1, 0, 0, True, 0)

    fetched = [b"".join(record_set(records) for _, records in log.batches(sent, _BATCH)) for sent in (before, plain)]
    read(fetched[0], 0)
    yield Part(
        "plain action, native: fetched bytes to produce batch", len(plain), lambda: read(fetched[1], len(before))
    )


def main() -> None:
    """Print a line for each part: its name, its events, the process ids of the idle and of the busy child."""
    gc.disable()
    for part in parts():
        idle, busy = _child(lambda: None), _child(part.do)
        print(json.dumps([part.name, part.events, idle, busy]), flush=True)


def _child(do: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            do()
            status = 0
        finally:
            # No clean-up of Python's: it would be counted too.
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"a part ended with {status}"
    return pid


if __name__ == "__main__":
    main()
