"""How far each file was sent and acknowledged, kept in a small file across crashes.

A file is known by its content, not by its name: the bytes at its begin and those just before the position are the
same. So a log that was renamed, copied or packed is the same log, and one that was truncated and written anew is
another, whatever their names and inodes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, Literal

import msgspec

from stepwatch.cli.errors import Misused
from stepwatch.cli.unpacking import BEGIN, MARK_BYTES, Mark

_ENTRIES_MAX = 20_000
"""The latest are kept: about 300 bytes each; what is forgotten is sent again, and copies change nothing."""


class _Entry(msgspec.Struct, frozen=True):
    """A mark as it is kept: digests for the bytes, and the name of the file for whoever reads it."""

    path: str
    at: int
    number: int
    shape: str
    head: str
    tail: str


class _Kept(msgspec.Struct):
    version: Literal[1]
    sources: list[str]
    files: list[_Entry]
    shift_s: int | None = None


class Positions:
    """The marks of files, by their content.

    Args:
        path: of the position file; None: they last as long as the process.

    Attributes:
        sources: feeds of which events were sent; they are kept with the marks.
        shift_s: by how many seconds times were moved (`--rebase`), the same; None: not yet known.

    Raises:
        Misused: the file is there and cannot be read, or is none of ours.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.sources: set[str] = set()
        self.shift_s: int | None = None
        self._entries: dict[_Entry, None] = {}  # the latest last
        self._by_head: dict[tuple[int, str], list[_Entry]] = {}
        self._changed = False
        if path is not None:
            kept = _read(path)
            self.sources, self.shift_s = set(kept.sources), kept.shift_s
            for entry in kept.files:
                self._add(entry)

    def find(self, content: IO[bytes]) -> Mark:
        """The mark of a file, or that of a new one.

        Args:
            content: the unpacked file; afterwards it stands anywhere.
        """
        content.seek(0)
        begin = content.read(MARK_BYTES)
        for size in sorted({size for size, _ in self._by_head}, reverse=True):
            head = begin[:size]
            found = self._by_head.get((size, _digest(head)), []) if len(head) == size else []
            for entry in sorted(found, key=lambda entry: -entry.at):
                content.seek(entry.at - size)
                tail = content.read(size)
                # A file that is the same so far, but goes on in the middle of a line, is another one.
                ends = tail.endswith(b"\n") or content.read(1) in (b"", b"\r", b"\n")
                if ends and len(tail) == size and _digest(tail) == entry.tail:
                    return Mark(entry.at, entry.number, entry.shape, head, tail)
        return BEGIN

    def note(self, path: Path, mark: Mark, before: Mark) -> None:
        """Keep the mark of a file, up to which all was acknowledged, instead of an earlier one."""
        self.forget(before)
        if mark.at:
            self._add(_entry(mark, str(path)))
            self._changed = True

    def forget(self, mark: Mark) -> None:
        """Keep a mark no more; a file that has none is sent from its begin."""
        entry = _entry(mark, "")
        key = (min(mark.at, MARK_BYTES), entry.head)
        for kept in [kept for kept in self._by_head.get(key, []) if msgspec.structs.replace(kept, path="") == entry]:
            self._by_head[key].remove(kept)
            del self._entries[kept]
            self._changed = True
        if not self._by_head.get(key, [True]):
            del self._by_head[key]

    def _add(self, entry: _Entry) -> None:
        if entry not in self._entries:
            self._entries[entry] = None
            self._by_head.setdefault((min(entry.at, MARK_BYTES), entry.head), []).append(entry)

    def save(self) -> None:
        """Write the file, whole or not at all; without marks there is none.

        Raises:
            Misused: it cannot be written.
        """
        if self.path is None or not self._changed:
            return
        kept = list(self._entries)[-_ENTRIES_MAX:]
        said = _Kept(1, sorted(self.sources), kept, self.shift_s)
        beside = self.path.with_name(self.path.name + ".new")
        try:
            if kept:
                for folder in (self.path.parent.parent, self.path.parent):
                    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                with beside.open("wb") as file:
                    file.write(msgspec.json.format(msgspec.json.encode(said), indent=1))
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(self.path)
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise Misused(
                f"{self.path}: the positions cannot be written ({error.strerror or error}): name another file with "
                "--positions"
            ) from error
        self._changed = False


def _entry(mark: Mark, path: str) -> _Entry:
    return _Entry(path, mark.at, mark.number, mark.shape, _digest(mark.head), _digest(mark.tail))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _read(path: Path) -> _Kept:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return _Kept(1, [], [])
    except OSError as error:
        raise Misused(f"{path}: the positions cannot be read: {error.strerror or error}") from error
    try:
        return msgspec.json.decode(text, type=_Kept)
    except msgspec.MsgspecError as error:
        raise Misused(
            f"{path}: no positions of ours ({error}): remove it, and everything is sent from the beginning; copies "
            "change nothing"
        ) from error
