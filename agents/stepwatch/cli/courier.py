"""From files to where events go: in order, with positions that move only past what was acknowledged."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from stepwatch.cli.beats import Beats
from stepwatch.cli.errors import Misused
from stepwatch.cli.following import Followed, Following
from stepwatch.cli.positions import Positions
from stepwatch.cli.progress import Shown
from stepwatch.cli.reading import Opened, Unreadable, batches, opened
from stepwatch.cli.shipping import Shipper, Stop
from stepwatch.cli.unpacking import BEGIN, Batch, Mark

_SETTLE_S = 1.0
"""After so long positions are noted: what is sent again after a crash is the work of a second, and of one batch."""
LOOK_S = 0.5
"""Between two looks at a growing log."""


class Courier:
    """Takes files to the shipper and notes how far they were acknowledged.

    Args:
        shipper: what makes events of records.
        positions: where to begin, and what to move.
        show: told how far it is.
        tell: told what a person should know.
        keeps: positions must be kept; False: where they cannot be, it goes on without.
    """

    def __init__(
        self, shipper: Shipper, positions: Positions, show: Shown, tell: Callable[[str], None], *, keeps: bool
    ) -> None:
        self.shipper = shipper
        self.positions = positions
        self._show = show
        self._tell = tell
        self._keeps = keeps
        self._ahead: dict[Path, tuple[Mark, Mark]] = {}
        self._settled_at = time.monotonic()
        self._told: set[str] = set()
        self._goes_on = bool(positions)
        self._at = BEGIN

    async def send_files(self, files: Sequence[Path], stop: Stop) -> bool:
        """Send files from their positions to their ends.

        Where positions are kept, they are for the next time, when the files may have grown: a last line without its
        end waits till then, unless it is whole JSON. Else they are forgotten once all is sent, or a file turns out to
        be damaged.

        Args:
            files: in this order.
            stop: looked at all the time.

        Returns:
            Whether it is done: somebody may have asked to stop.

        Raises:
            Unreadable: the only file cannot be read to its end; what could be is sent. Of several the others are sent,
                and it is counted.
        """
        read = 0
        for path in files:
            label = str(path) if len(files) > 1 else ""
            try:
                with opened(path, self.positions) as file:
                    if file.mark.at and self._goes_on:
                        self._tell("going on where an earlier `send` stopped: what was acknowledged is not sent again")
                        self._goes_on = False
                    mark = await self._send(file, label, not self._keeps, settled=True, read=read)
                    read += file.size
                    if not stop.asked and not file.packed and mark.at < file.size:
                        self._tell(f"{path}: what follows its last line end is left for the next time")
            except Unreadable as error:
                if not label:
                    await self._end(forget=not self._keeps)
                    raise
                self.shipper.sent.unreadable += 1
                self._tell(str(error))
            if stop.asked:
                break
        await self._end(forget=not self._keeps and not stop.asked)
        return not stop.asked

    async def send_pipe(self, records: AsyncIterator[Batch], stop: Stop) -> bool:
        """Send what is piped in, to its end; returns whether it came."""
        read = 0
        async for batch in records:
            if not await self.shipper.ship(batch):
                break
            read = batch.mark.at
            self._show(read, self.shipper.sent.events)
            if time.monotonic() - self._settled_at >= _SETTLE_S:
                await self.settle()
        await self.settle()
        return not stop.asked

    async def follow(self, following: Following, beats: Beats, stop: Stop) -> None:
        """Send what is there and what is added, and heartbeats after it, until somebody asks to stop."""
        while not stop.asked:
            began_us = time.time_ns() // 1000
            for file in following.changed():
                if stop.asked:
                    break
                await self._look(file)
                following.looked(file)
            else:
                following.keep()
            for words in following.troubles:
                self._tell_once(words)
            await self.settle()
            if not stop.asked and not following.holds:
                await beats.send(self.positions.sources, began_us)
            await stop.nap(LOOK_S)

    async def settle(self) -> None:
        """Wait until all is acknowledged, and move the positions."""
        await self._settle()
        self._save()

    async def _end(self, *, forget: bool) -> None:
        """Move the positions for the last time, or forget that of the only file: of several they are kept."""
        await self._settle()
        if forget:
            self.positions.forget(self._at)
        self._save()

    def _save(self) -> None:
        try:
            self.positions.save()
        except Misused as error:
            if self._keeps:
                raise
            self.positions.path = None
            self._tell(f"{error}; if this is cut off, the next one begins at the beginning")

    async def _settle(self) -> None:
        await self.shipper.outlet.settle()
        self.positions.sources |= self.shipper.sent.sources
        self.positions.sources -= self.shipper.sent.beating
        ahead, self._ahead = self._ahead, {}
        for path, (before, mark) in ahead.items():
            self.positions.note(path, mark, before)
        self._settled_at = time.monotonic()

    async def _look(self, file: Followed) -> None:
        try:
            with opened(file.path, self.positions) as content:
                if content.mark.at and self._goes_on:
                    self._tell(f"{file.path}: going on after byte {content.mark.at:,}, where an earlier `send` stopped")
                    self._goes_on = False
                mark = await self._send(content, str(file.path), file.ended, file.settled)
                file.look.held = not content.packed and mark.at < content.size
        except Unreadable as error:
            file.look.why = str(error)
            # A file that is still being written is soon whole; one that stays so is for a person.
            if file.look.again:
                self._tell_once(file.look.why)
        else:
            if file.settled and file.look.held:
                self._tell_once(f"{file.path}: its last line has no end")

    def _tell_once(self, words: str) -> None:
        if words not in self._told:
            self._told.add(words)
            self._tell(f"{words}; no heartbeats meanwhile")

    async def _send(self, file: Opened, label: str, ended: bool, settled: bool = False, read: int = 0) -> Mark:
        mark = noted = self._at = file.mark
        for batch in batches(file, ended=ended, settled=settled):
            if not await self.shipper.ship(batch, label):
                break
            mark = self._at = batch.mark
            self._ahead[file.path] = (noted, mark)
            if time.monotonic() - self._settled_at >= _SETTLE_S:
                await self.settle()
                noted = mark
            self._show(read + file.raw.tell(), self.shipper.sent.events)
        return mark
