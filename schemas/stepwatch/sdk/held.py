"""What waits for the server, the oldest first: what lies on disk, then what is in memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stepwatch.sdk.backlog import Backlog
from stepwatch.sdk.saying import say

if TYPE_CHECKING:
    from stepwatch.sdk.spool import Spool

CHUNK_EVENTS: Final = 1000
CHUNK_BYTES: Final = 512 * 1024
"""No further event once a request is so large: with the largest behind it, it is under 1 MiB (contract section 9)."""
LOOK_EVERY_S: Final = 30.0
"""For what a process that is gone left behind; and for a folder that could not be opened."""
_LOCK_S: Final = 5.0


class Held:
    """A backlog, and the spool into which it is moved while nothing can be sent.

    Used by the sender; `keep_rest` and `close` by whoever closes the reporter.
    """

    def __init__(self, backlog: Backlog, folder: Path | None, bytes_max: int) -> None:
        """Nothing is opened yet.

        Args:
            backlog: what is in memory.
            folder: of the spool; None: there is no disk.
            bytes_max: of this process's files in it.
        """
        self._backlog = backlog
        self._folder = folder
        self._bytes_max = bytes_max
        self._lock = threading.RLock()
        self._own: Spool | None = None
        self._left_behind: Spool | None = None
        # Whose oldest segment was given last; None: it came from memory.
        self._read: Spool | None = None
        self._looked_at: float | None = None
        self._closed = False
        self.trouble = ""

    def next(self) -> list[bytes]:
        """The oldest events, to be given to `settle` as a whole; [] where nothing waits."""
        with self._lock:
            if self._backlog.is_half_full:
                self.spill()
            for spool in self._spools():
                while spool.events:
                    values, torn = spool.oldest()
                    self._backlog.unspooled(torn, torn=torn)
                    if values:
                        self._read = spool
                        return values
                    spool.remove_oldest()
            self._read = None
            return [event.value for event in self._backlog.take(CHUNK_EVENTS, CHUNK_BYTES)]

    def settle(self, refused: int) -> None:
        """What `next` gave is acknowledged, but for `refused` of them."""
        with self._lock:
            if self._closed:
                # Somebody else has counted them already.
                return
            if self._read is None:
                self._backlog.settle(refused)
            else:
                self._backlog.unspooled(self._read.remove_oldest(), refused=refused)

    def spill(self) -> bool:
        """Move what is in memory to the disk, the oldest first, as far as it has room.

        Returns:
            Whether any of what `next` gave from memory is among it: then ask `next` again.
        """
        with self._lock:
            spool = self._opened()
            if spool is None:
                return False
            taken, moved = self._backlog.taken, 0
            if taken:
                moved = spool.append([event.value for event in taken])
                if moved:
                    self._backlog.spooled(moved)
            if moved == len(taken):
                self._spill_rest(spool)
            self._say(spool.trouble)
            return moved > 0

    def _spill_rest(self, spool: Spool) -> None:
        while events := self._backlog.take(CHUNK_EVENTS, CHUNK_BYTES, past_heartbeat=True):
            moved = spool.append([event.value for event in events])
            self._backlog.spooled(moved)
            if moved < len(events):
                return

    def keep_rest(self) -> None:
        """Move all that is left to the disk, and leave that to the next process."""
        # The sender may hang in a disk that does not answer: an application that ends must not.
        if not self._lock.acquire(timeout=_LOCK_S):
            return
        try:
            if self._backlog.stats().waiting:
                self._looked_at = None
                self.spill()
            self._closed = True
            self.release()
        finally:
            self._lock.release()

    def release(self) -> None:
        """Close the files, and neither read nor write any more; what is on disk stays."""
        for spool in (self._own, self._left_behind):
            if spool is not None:
                spool.close()
        self._own = self._left_behind = self._read = None
        self._folder = None

    def _spools(self) -> Iterator[Spool]:
        own = self._opened()
        if own is not None:
            yield own
            while (left := self._found()) is not None:
                yield left
                left.close()
                self._left_behind = None

    def _opened(self) -> Spool | None:
        """Our lane, and with it the account of what an earlier process left in it."""
        if self._own is None and self._folder is not None and self._is_time():
            # Here: it needs a module that not every system has.
            from stepwatch.sdk.spool import open_spool

            try:
                self._own = open_spool(self._folder, self._bytes_max)
                self._backlog.recovered(self._own.events, self._own.torn)
                self._looked_at = None
                self._say("")
            except OSError as error:
                self._say(f"{self._folder}: {error.strerror or error}")
        return self._own

    def _found(self) -> Spool | None:
        """What a process left behind that is gone, while we have nothing older of our own."""
        if self._left_behind is None and self._folder is not None and self._is_time():
            from stepwatch.sdk.spool import open_left_behind

            try:
                self._left_behind = open_left_behind(self._folder, self._bytes_max)
            except OSError as error:
                self._say(f"{self._folder}: {error.strerror or error}")
            if self._left_behind is not None:
                self._backlog.recovered(self._left_behind.events, self._left_behind.torn)
                # Perhaps there is another.
                self._looked_at = None
        return self._left_behind

    def _is_time(self) -> bool:
        now_s = time.monotonic()
        due = self._looked_at is None or now_s - self._looked_at >= LOOK_EVERY_S
        if due:
            self._looked_at = now_s
        return due

    def _say(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            say(logging.ERROR, "the spool cannot be written, events wait in memory: %s", trouble)
        self.trouble = trouble
