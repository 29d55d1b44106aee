"""Events on disk while the server is away: a folder for a service, and in it a lane for each of its processes.

A lane holds segments, each what one request carries: frames of length, checksum and event, appended, and deleted once
the server has taken the whole. So there is no position to keep: what a restart finds was not acknowledged, but for one
segment at most, and a copy of an event changes nothing (contract section 3). What is cut off at a segment's end, by a
loss of power in the middle of a write, is cut away and counted. What is damaged in its middle costs the events that it
hit: the next frame is looked for behind it. No part of an event can pass for one, since a frame begins with a length
that has a zero byte in it, and JSON has none.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import zlib
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stepwatch.schemas.topics import EVENT_BYTES_MAX

SEGMENT_EVENTS: Final = 1000
SEGMENT_BYTES: Final = 512 * 1024
"""No further event once a segment is so large: with the largest behind it, it is under 1 MiB (contract section 9)."""
LANES_MAX: Final = 1000
_FRAME: Final = struct.Struct("<II")
_SUFFIX: Final = ".events"
_NAMES: Final = "[0-9]" * 16 + _SUFFIX


@dataclass(slots=True)
class _Segment:
    """Attributes: path; how many events it holds; of how many bytes, frames included."""

    path: Path
    events: int
    size: int


class Spool:
    """One lane, owned by this process until it ends or closes it.

    Attributes:
        events, bytes: held; bytes are those of the files.
        torn: how many damaged places of segments there were when it was opened, each of one event or several.
        trouble: why the last `append` could not write, in words; "" where it could.
    """

    def __init__(self, lane: Path, lock: int, bytes_max: int) -> None:
        """Read what a lane holds; see `open_spool`.

        Args:
            lane: its folder.
            lock: descriptor of its lock file, locked; closed by `close`.
            bytes_max: of the files of this lane.

        Raises:
            OSError: it cannot be read.
        """
        self._lane = lane
        self._lock = lock
        self._bytes_max = bytes_max
        self._segments: deque[_Segment] = deque()
        # Of the last segment, while it grows.
        self._file: int | None = None
        self._next = 1
        self.events = self.bytes = self.torn = 0
        self.trouble = ""
        for path in sorted(lane.glob(_NAMES)):
            self._take_over(path)

    def _take_over(self, path: Path) -> None:
        self._next = int(path.stem) + 1
        values, end, gaps = _read(path)
        self.torn += gaps
        if path.stat().st_size > end:
            self.torn += 1
            os.truncate(path, end)
        if not values:
            path.unlink()
            return
        self._add(_Segment(path, len(values), end))

    def _add(self, segment: _Segment) -> None:
        self._segments.append(segment)
        self.events += segment.events
        self.bytes += segment.size

    def append(self, values: Sequence[bytes]) -> int:
        """Put events behind all others, on disk for good once this returns.

        Args:
            values: each not empty, at most 256 KiB.

        Returns:
            How many of the first ones fitted; what the disk refused did not, and `trouble` says why.
        """
        done = 0
        self.trouble = ""
        try:
            while lot := self._fitting(values, done):
                self._write(lot)
                done += len(lot)
        except OSError as error:
            self.trouble = f"{self._lane}: {error.strerror or error}"
        return done

    def _fitting(self, values: Sequence[bytes], begin: int) -> list[bytes]:
        """What of the rest fits into the last segment, or into a new one where that is full."""
        if self._file is not None and not _has_room(self._segments[-1].events, self._segments[-1].size):
            self._seal()
        events, size = (self._segments[-1].events, self._segments[-1].size) if self._file is not None else (0, 0)
        lot: list[bytes] = []
        room = self._bytes_max - self.bytes
        while begin + len(lot) < len(values) and _has_room(events + len(lot), size):
            framed = _FRAME.size + len(values[begin + len(lot)])
            if framed > room:
                break
            lot.append(values[begin + len(lot)])
            room -= framed
            size += framed
        return lot

    def _write(self, lot: Sequence[bytes]) -> None:
        if self._file is None:
            self._begin_segment()
        assert self._file is not None
        segment, data = self._segments[-1], b"".join(map(_framed, lot))
        try:
            _write_all(self._file, data)
            os.fsync(self._file)
        except OSError:
            # Whoever reads it later must not find half of what is told to be not there.
            with suppress(OSError):
                os.ftruncate(self._file, segment.size)
            self._seal()
            if not segment.events:
                self._remove(self._segments.pop())
            raise
        segment.events += len(lot)
        segment.size += len(data)
        self.events += len(lot)
        self.bytes += len(data)

    def _begin_segment(self) -> None:
        path = self._lane / f"{self._next:016d}{_SUFFIX}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._next += 1
        self._segments.append(_Segment(path, 0, 0))
        self._sync_lane()

    def _seal(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def oldest(self) -> tuple[list[bytes], int]:
        """The events of the oldest segment, and how many of it cannot be read any more and are lost.

        It is closed by this: what is appended later goes into another. The lost ones are said once, and `events` counts
        them no longer.
        """
        segment = self._segments[0]
        if len(self._segments) == 1:
            self._seal()
        try:
            values = _read(segment.path)[0][: segment.events]
        except OSError:
            # Deleted, or on a disk that is failing.
            values = []
        lost = segment.events - len(values)
        self.events -= lost
        segment.events -= lost
        return values, lost

    def remove_oldest(self) -> int:
        """The oldest segment is acknowledged; returns how many events it held."""
        segment = self._segments.popleft()
        self.events -= segment.events
        self.bytes -= segment.size
        self._remove(segment)
        return segment.events

    def _remove(self, segment: _Segment) -> None:
        # A file that stays is sent once more by the next process, which changes nothing.
        with suppress(OSError):
            segment.path.unlink()
        self._sync_lane()

    def _sync_lane(self) -> None:
        """So that the names of the segments outlive a loss of power as their content does."""
        with suppress(OSError):
            folder = os.open(self._lane, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        """Leave the lane to whoever comes; in a forked child too, where the parent keeps it."""
        self._seal()
        os.close(self._lock)


def open_spool(folder: Path, bytes_max: int) -> Spool:
    """The first lane of a folder that belongs to no process, and what a former one left in it.

    Args:
        folder: made with mode 0700 where it is not there. On a local disk: its locks must work.
        bytes_max: of this lane's files.

    Raises:
        OSError: the folder cannot be made, locked or read, or has no free lane.
    """
    for number in range(LANES_MAX):
        spool = _own(folder / f"{number:03d}", bytes_max)
        if spool is not None:
            return spool
    raise OSError(errno.EUSERS, f"{LANES_MAX} processes share it already")


def open_left_behind(folder: Path, bytes_max: int) -> Spool | None:
    """A lane with events whose process is gone, or None.

    Raises:
        OSError: one cannot be locked or read.
    """
    for lane in sorted({path.parent for path in folder.glob(f"*/{_NAMES}")}):
        spool = _own(lane, bytes_max)
        if spool is not None:
            if spool.events or spool.torn:
                return spool
            spool.close()
    return None


def _own(lane: Path, bytes_max: int) -> Spool | None:
    lane.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(lane / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # The system lets go of it when the process ends, however that is.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return Spool(lane, lock, bytes_max)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise


def _has_room(events: int, size: int) -> bool:
    return events < SEGMENT_EVENTS and size < SEGMENT_BYTES


def _framed(value: bytes) -> bytes:
    return _FRAME.pack(len(value), zlib.crc32(value)) + value


def _read(path: Path) -> tuple[list[bytes], int, int]:
    """The whole events of a segment, where the last of them ends, and how many damaged places lie before that."""
    content = path.read_bytes()
    values: list[bytes] = []
    at = end = gaps = 0
    while at + _FRAME.size <= len(content):
        value = _value_at(content, at)
        if value is None:
            # The next length: its greatest byte is zero, as that of every event that is not too large.
            zero = content.find(b"\0", at + 4)
            at = zero - 3 if zero >= 0 else len(content)
            continue
        gaps += at > end
        values.append(value)
        at = end = at + _FRAME.size + len(value)
    return values, end, gaps


def _value_at(content: bytes, at: int) -> bytes | None:
    length, checksum = _FRAME.unpack_from(content, at)
    value = content[at + _FRAME.size : at + _FRAME.size + length]
    # An empty one is what a file system writes in the place of what it lost: zeros, with a right checksum.
    whole = 0 < length <= EVENT_BYTES_MAX and len(value) == length and zlib.crc32(value) == checksum
    return value if whole else None


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
