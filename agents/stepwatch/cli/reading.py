"""Files, folders and pipes read piece by piece, unpacked on the way, from where a position says."""

from __future__ import annotations

import asyncio
import gzip
import os
import stat
import sys
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from stepwatch.cli.errors import Misused
from stepwatch.cli.positions import Positions
from stepwatch.cli.stopping import Stopping
from stepwatch.cli.unpacking import Batch, Mark, Unpacker
from stepwatch.cli.values import is_json

PIPE = "-"
_PIECE_BYTES = 64 * 1024
_GZIP = b"\x1f\x8b"
_UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".new")
"""Names under which programmes write what they rename once it is whole."""
_EDITORS = (".swp", "~")
FAILURES = (OSError, EOFError, zlib.error)
"""What reading a file may raise; the last two where it is gzipped and not whole."""


class Unreadable(Misused):
    """A file cannot be read or unpacked, from its begin or from somewhere on."""


class Listed(NamedTuple):
    """What lies in a folder and those below it, by name; `unfinished` is still being written, as the names say."""

    files: list[Path]
    unfinished: list[Path]


class Opened(NamedTuple):
    """A file to be read.

    Attributes:
        path: of the file.
        content: its bytes, unpacked, at `mark`.
        raw: the file itself, whose position says how far one is.
        size: bytes of the file when it was opened.
        packed: whether it was gzipped.
        mark: from where on it is read.
    """

    path: Path
    content: IO[bytes]
    raw: IO[bytes]
    size: int
    packed: bool
    mark: Mark


@contextmanager
def opened(path: Path, positions: Positions) -> Iterator[Opened]:
    """A file at its position; a gzipped one is unpacked on the way.

    Raises:
        Unreadable: it is.
    """
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(path.open("rb"))
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            content: IO[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
            mark = positions.find(content)
            content.seek(mark.at)
            size = os.fstat(raw.fileno()).st_size
        except FAILURES as error:
            raise unreadable(path, error) from error
        yield Opened(path, content, raw, size, packed, mark)


def batches(file: Opened, *, ended: bool, settled: bool = False) -> Iterator[Batch]:
    """The records of a file from its position on, up to the end that it had when it was opened.

    Args:
        file: opened.
        ended: what has no line end at the file's end is a line all the same; False: it may still grow.
        settled: so is one that is whole JSON.

    Raises:
        Unreadable: from here on.
    """
    unpacker = Unpacker(file.mark)
    left = file.size - file.mark.at if not file.packed else sys.maxsize
    while left > 0:
        try:
            piece = file.content.read(min(_PIECE_BYTES, left))
            batch = unpacker.feed(piece)
        except FAILURES as error:
            raise unreadable(file.path, error) from error
        except Misused as error:
            raise Unreadable(f"{file.path}: {error}") from error
        if not piece:
            break
        left -= len(piece)
        if batch:
            yield batch
    whole = ended or file.packed or unpacker.is_whole or (settled and is_json(unpacker.held))
    if whole and (batch := unpacker.finish()):
        yield batch


def files_of(argument: Path) -> list[Path]:
    """The file that was named, or the finished ones in the folder; see `listed`."""
    return listed(argument).files


def listed(argument: Path) -> Listed:
    """The file that was named, or all in the folder and those below it but hidden ones.

    Raises:
        Unreadable: it is.
    """
    try:
        if not stat.S_ISDIR(argument.stat().st_mode):
            return Listed([argument], [])
    except OSError as error:
        raise unreadable(argument, error) from error
    found = []
    for folder, folders, names in os.walk(argument):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(folder, name) for name in names if not name.startswith(".") and not name.endswith(_EDITORS)]
    found = sorted(path for path in found if path.is_file())
    unfinished = [path for path in found if path.name.endswith(_UNFINISHED)]
    return Listed([path for path in found if not path.name.endswith(_UNFINISHED)], unfinished)


def unreadable(path: Path, error: Exception) -> Unreadable:
    """What cannot be read, in words."""
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
        return Unreadable(f"{path}: cannot be read: {error.strerror or error}")
    return Unreadable(f"{path}: cannot be unpacked: {error}")


def pipe_of(argument: str) -> int | None:
    """The descriptor of what can be read only once, standard input or a pipe with a name; None for files and folders.

    Raises:
        Misused: it is closed, or cannot be read.
    """
    if argument == PIPE:
        if sys.stdin is None:
            raise Misused("standard input is closed: name a file, or pipe the events in")
        return sys.stdin.fileno()
    path = Path(argument)
    try:
        mode = path.stat().st_mode
        return None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else os.open(path, os.O_RDONLY)
    except OSError as error:
        raise unreadable(path, error) from error


async def piped(number: int, stop: Stopping) -> AsyncIterator[Batch]:
    """The records of a pipe, as they come, to its end or until somebody asks to stop.

    Raises:
        Misused: it is gzipped.
    """
    unpacker, first = Unpacker(), True
    async for piece in _pieces(number, stop):
        if first and piece.startswith(_GZIP):
            raise Misused("what is piped in is gzipped: unpack it on the way (`zcat FILE | stepwatch send -`)")
        first = False
        if batch := unpacker.feed(piece):
            yield batch
    if batch := unpacker.finish():
        yield batch


async def _pieces(number: int, stop: Stopping) -> AsyncIterator[bytes]:
    """What a file descriptor gives; waited for in a thread, so that everything else goes on meanwhile."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    room = threading.Semaphore(16)

    def read() -> None:
        piece = b"-"
        while piece:
            room.acquire()
            try:
                piece = os.read(number, _PIECE_BYTES)
            except OSError:
                piece = b""
            try:
                loop.call_soon_threadsafe(pieces.put_nowait, piece)
            except RuntimeError:  # the loop has ended, nobody waits any more
                return

    # A daemon: a pipe that says nothing must not keep a command that was interrupted.
    threading.Thread(target=read, daemon=True).start()
    stopped = asyncio.ensure_future(stop.wait())
    while True:
        next_one = asyncio.ensure_future(pieces.get())
        await asyncio.wait({next_one, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not next_one.done() or not next_one.result():
            next_one.cancel()
            stopped.cancel()
            return
        room.release()
        yield next_one.result()
