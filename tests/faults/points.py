"""A worker of the role `correlate` that kills itself (kill -9) when it comes to a named point for the n-th time.

python -m tests.faults.points POINT=N           kill -9
python -m tests.faults.points POINT=N:STOP      it stops there instead, each n-th time, until somebody wakes it
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from stepwatch.agents import inputs, takeover
from stepwatch.agents.task import PartitionTask
from stepwatch.agents.transaction import Transaction

Hit = Callable[[], None]
"""Called at the point; does not return the n-th time."""


class Countdown:
    """Dies, or stops, at the n-th call."""

    def __init__(self, name: str, times: int, number: int = signal.SIGKILL) -> None:
        self.name = name
        self.times = self.left = times
        self.number = number

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.left = self.times
            print(f"{signal.Signals(self.number).name} to itself at the point {self.name}", flush=True)
            os.kill(os.getpid(), self.number)


def before_call(owner: Any, name: str, hit: Hit) -> None:
    """Hit whenever `owner.name` is called, before it does anything."""
    plain = getattr(owner, name)

    @functools.wraps(plain)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        hit()
        return plain(*args, **kwargs)

    setattr(owner, name, wrapped)


def after_call(owner: Any, name: str, hit: Hit) -> None:
    """Hit whenever the coroutine `owner.name` has returned."""
    plain: Callable[..., Awaitable[Any]] = getattr(owner, name)

    @functools.wraps(plain)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        value = await plain(*args, **kwargs)
        hit()
        return value

    setattr(owner, name, wrapped)


def _in_transaction(name: str, hit: Hit) -> None:
    """Hit before `producer.name` in a commit: not in a sweep, which uses the same producer."""
    plain = Transaction.commit

    @functools.wraps(plain)
    async def commit(self: Transaction, effects: Any) -> None:
        assert self.producer is not None
        before_call(self.producer, name, hit)
        try:
            await plain(self, effects)
        finally:
            if self.producer is not None:
                delattr(self.producer, name)

    Transaction.commit = commit  # type: ignore[method-assign]


def _in_sweep(hit: Hit) -> None:
    """Hit when the sweep's own records lie in the outputs, and its transaction is open."""
    plain = Transaction.abort_one_each

    @functools.wraps(plain)
    async def abort(self: Transaction) -> None:
        assert self.producer is not None
        before_call(self.producer, "abort_transaction", hit)
        try:
            await plain(self)
        finally:
            if self.producer is not None:
                del self.producer.abort_transaction

    Transaction.abort_one_each = abort  # type: ignore[method-assign]


def _restoring(hit: Hit) -> None:
    """Hit when some of the state was read."""
    plain = takeover._read_state

    @functools.wraps(plain)
    async def read_state(reader: Any, state: Any) -> Any:
        after_call(reader, "getmany", hit)
        try:
            return await plain(reader, state)
        finally:
            del reader.getmany

    takeover._read_state = read_state


def _moving(hit: Hit) -> None:
    """Hit before each record that is moved, while those before it are on their way."""
    plain = inputs.send_moves

    async def send_moves(settings: Any, producer: Any, moves: Any) -> None:
        before_call(producer, "send", hit)
        try:
            await plain(settings, producer, moves)
        finally:
            del producer.send

    inputs.send_moves = send_moves


POINTS: dict[str, Callable[[Hit], None]] = {
    "after_fetch": lambda hit: before_call(PartitionTask, "hand", hit),
    "before_begin": lambda hit: _in_transaction("begin_transaction", hit),
    "before_commit": lambda hit: _in_transaction("commit_transaction", hit),
    "after_commit": lambda hit: after_call(Transaction, "commit", hit),
    "in_sweep": _in_sweep,
    "after_sweep": lambda hit: after_call(takeover, "_sweep", hit),
    "restoring": _restoring,
    "moving": _moving,
    "moved": lambda hit: after_call(inputs, "send_moves", hit),
}
"""Name -> makes the product call `hit` there. `before_commit`: everything is produced, nothing committed; `moved`: the
records lie where they belong, and the batch that moved them is not committed."""


def main() -> int:
    """Run the role."""
    for argument in sys.argv[1:]:
        name, _, times = argument.partition("=")
        times, _, stop = times.partition(":")
        POINTS[name](Countdown(name, int(times), signal.SIGSTOP if stop else signal.SIGKILL))
    from stepwatch.agents.correlate import main as correlate
    from stepwatch.agents.settings import Settings

    return correlate(Settings())


if __name__ == "__main__":
    sys.exit(main())
