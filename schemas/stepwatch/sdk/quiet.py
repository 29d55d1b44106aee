"""An event loop and a client that keep to themselves, inside somebody else's program."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class OwnLoop(asyncio.SelectorEventLoop):
    """A loop whose thread is ours alone: what it would give to other threads it does itself.

    While the interpreter ends no thread pool takes work any more, and the last events still need a name resolved or a
    SCRAM step computed; both are short, and nobody else waits for this thread.
    """

    _whole = False

    def __init__(self) -> None:
        """Make one.

        Raises:
            OSError: no file descriptor is left.
        """
        super().__init__()
        self._whole = True

    def is_closed(self) -> bool:
        """True also of one that could not be made: else its end would complain of it on the application's stderr."""
        return not self._whole or super().is_closed()

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Call at once."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class OnlyOthers(logging.Filter):
    """Keeps the Kafka client's lines about our connections out of the application's log.

    While a broker is away the client writes several a second; we say the same once in a while (`telling.py`). What
    other threads, the application's own clients, have to say passes. Why a broker did not let us in (a password, a
    certificate) the client says in these lines alone, so the last cause is kept for `take_cause`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is not of one of our threads."""
        if record.thread not in _ours:
            return True
        for said in record.args if isinstance(record.args, tuple) else ():
            if isinstance(said, Exception):
                _ours[record.thread] = said
        return False


_ours: dict[int | None, Exception | None] = {}
_filter = OnlyOthers()


def keep_quiet() -> None:
    """Mark this thread as ours."""
    _ours[threading.get_ident()] = None
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "aiokafka":
            logging.getLogger(name).addFilter(_filter)


def take_cause() -> Exception | None:
    """The last exception that the client only wrote about in this thread; it is said once."""
    thread = threading.get_ident()
    cause = _ours.get(thread)
    if cause is not None:
        _ours[thread] = None
    return cause


def done() -> None:
    """This thread ends: another may get its number."""
    _ours.pop(threading.get_ident(), None)


if hasattr(os, "register_at_fork"):
    # A forked child has none of its parent's threads, and may give their numbers to the application's.
    os.register_at_fork(after_in_child=_ours.clear)
