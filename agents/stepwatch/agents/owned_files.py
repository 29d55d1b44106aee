"""Files of secrets that this program writes: readable by their owner only, replaced whole, never by two at a time."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_OTHERS_MAY_WRITE: Final = 0o022
Stamp = tuple[int, int, int, int]


class OthersMayWrite(OSError):
    """Somebody else could have put into the file what lets them in."""


def read_owned(path: Path) -> bytes | None:
    """What a file holds; None where there is none.

    Raises:
        OthersMayWrite: its group or everybody may write to it.
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS_MAY_WRITE:
                raise OthersMayWrite(f"others may write to it: chmod 600 {path}")
            return file.read()
    except FileNotFoundError:
        return None


def stamp_of(path: Path) -> Stamp | None:
    """What differs once a file was changed; None where it cannot be looked at."""
    try:
        said = path.stat()
    except OSError:
        return None
    # Whoever changes the file can set its mtime back, and not its ctime, which tells of a new mode too.
    return said.st_mtime_ns, said.st_ctime_ns, said.st_ino, said.st_size


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time change a file; its folder is made where it is missing.

    Raises:
        OSError: the folder or the lock beside the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The file itself is replaced, so a lock on it would be one on a file that is gone.
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def replace_owned(path: Path, content: bytes) -> None:
    """Replace a file in one step, readable by its owner only; after a crash it is the old one or the new one.

    Raises:
        OSError: it cannot be written.
    """
    # mkstemp makes it 0600, whatever the umask is.
    number, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
    try:
        with os.fdopen(number, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
