"""How far each file was sent and acknowledged, kept in a small file across crashes.

A file is known by its content, not by its name: the bytes at its begin and those just before the position are the
same, and where its inode is another, so is the checksum of all that lies between. So a log that was renamed, copied or
packed is the same log, and one that was truncated and written anew is another, whatever their names and inodes.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import Counter
from pathlib import Path
from typing import IO, Literal

import msgspec

from stepwatch.cli.errors import Misused
from stepwatch.cli.unpacking import BEGIN, MARK_BYTES, Mark

_ENTRIES_MANY = 20_000
"""Of more marks, about 400 bytes each, those of files that are gone are dropped. None of a file that is there ever is:
sent again later than copies are known (about two days, README.md), an event is no copy but a new one."""
_PIECE_BYTES = 1024 * 1024


class _Entry(msgspec.Struct, frozen=True):
    """A mark as it is kept: digests for the bytes, and the name of the file for whoever reads it."""

    path: str
    at: int
    number: int
    shape: str
    head: str
    tail: str
    checksum: int
    inode: int


class _Kept(msgspec.Struct):
    version: Literal[1]
    sources: list[str]
    files: list[_Entry]
    shift_s: int | None = None
    cluster: str = ""
    followed: dict[str, list[int]] = {}


class Positions:
    """The marks of files, by their content.

    Args:
        path: of the position file; None: they last as long as the process.
        cluster: id of the Kafka cluster that they hold for; `""`: of none.

    Attributes:
        sources: feeds of which events were sent; they are kept with the marks.
        shift_s: by how many seconds times were moved (`--rebase`), the same; None: not yet known.
        followed: inodes of what stands, and stood, under the name of a growing log, the present one last; the same.

    Raises:
        Misused: the file is there and cannot be read, is none of ours, or is of another Kafka cluster.
    """

    def __init__(self, path: Path | None, cluster: str = "") -> None:
        self.path = path
        self._cluster = cluster
        self.sources: set[str] = set()
        self.shift_s: int | None = None
        self._entries: dict[_Entry, None] = {}  # the latest last
        self._by_head: dict[tuple[int, str], list[_Entry]] = {}
        self._sizes: Counter[int] = Counter()
        self._many = _ENTRIES_MANY
        self._changed = False
        self.followed: dict[str, list[int]] = {}
        if path is not None:
            kept = _read(path)
            if kept.files and kept.cluster != cluster:
                raise Misused(
                    f"{path}: positions in another Kafka cluster ({kept.cluster}; this one is {cluster}), which has "
                    "what this one lacks: name another file with --positions"
                )
            self.sources, self.shift_s, self.followed = set(kept.sources), kept.shift_s, kept.followed
            for entry in kept.files:
                self._add(entry)

    def __bool__(self) -> bool:
        """Whether there is any mark."""
        return bool(self._entries)

    def has_inode(self, inode: int) -> bool:
        """Whether a file of this inode has a mark: some of it was read."""
        return any(entry.inode == inode for entry in self._entries)

    def find(self, content: IO[bytes]) -> Mark:
        """The mark of a file, or that of a new one.

        Args:
            content: the unpacked file; afterwards it stands anywhere.
        """
        inode = os.fstat(content.fileno()).st_ino
        content.seek(0)
        begin = content.read(MARK_BYTES)
        for size in sorted(self._sizes, reverse=True):
            head = begin[:size]
            found = self._by_head.get((size, _digest(head)), []) if len(head) == size else []
            for entry in sorted(found, key=lambda entry: -entry.at):
                content.seek(entry.at - size)
                tail = content.read(size)
                # A file that is the same so far, but goes on in the middle of a line, is another one.
                ends = tail.endswith(b"\n") or content.read(1) in (b"", b"\r", b"\n")
                same = ends and len(tail) == size and _digest(tail) == entry.tail
                if same and (entry.inode == inode or _checksum(content, entry.at) == entry.checksum):
                    return Mark(entry.at, entry.number, entry.shape, head, tail, entry.checksum, inode)
        return BEGIN._replace(inode=inode)

    def note(self, path: Path, mark: Mark, before: Mark) -> None:
        """Keep the mark of a file, up to which all was acknowledged, instead of an earlier one."""
        self.forget(before)
        if mark.at:
            self._add(_entry(mark, str(path.absolute())))
            self._changed = True

    def forget(self, mark: Mark) -> None:
        """Keep a mark no more; a file that has none is sent from its begin."""
        entry = _entry(mark, "")
        found = self._by_head.get(_key(entry), [])
        for kept in [one for one in found if msgspec.structs.replace(one, path="", inode=mark.inode) == entry]:
            self._drop(kept)

    def follows(self, name: str, inodes: list[int]) -> None:
        """Keep which inodes the log of this name has, and had."""
        if self.followed.get(name) != inodes:
            self.followed[name] = inodes
            self._changed = True

    def _add(self, entry: _Entry) -> None:
        if entry not in self._entries:
            self._entries[entry] = None
            self._by_head.setdefault(_key(entry), []).append(entry)
            self._sizes[_key(entry)[0]] += 1

    def _drop(self, entry: _Entry) -> None:
        key = _key(entry)
        del self._entries[entry]
        self._by_head[key].remove(entry)
        if not self._by_head[key]:
            del self._by_head[key]
        self._sizes -= Counter([key[0]])
        self._changed = True

    def _drop_gone(self) -> None:
        """Of many marks drop the oldest ones whose files are there no more."""
        if len(self._entries) > self._many:
            gone = [entry for entry in self._entries if not Path(entry.path).exists()]
            for entry in gone[: len(self._entries) - _ENTRIES_MANY]:
                self._drop(entry)
            # Looking at every file takes its time: not before there are twice as many.
            self._many = max(_ENTRIES_MANY, 2 * len(self._entries))

    def save(self) -> None:
        """Write the file, whole or not at all; without marks there is none.

        Raises:
            Misused: it cannot be written.
        """
        if self.path is None or not self._changed:
            return
        self._drop_gone()
        kept = list(self._entries)
        said = _Kept(1, sorted(self.sources), kept, self.shift_s, self._cluster, self.followed)
        beside = self.path.with_name(self.path.name + ".new")
        try:
            if kept or self.followed:
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
    head, tail = _digest(mark.head), _digest(mark.tail)
    return _Entry(path, mark.at, mark.number, mark.shape, head, tail, mark.checksum, mark.inode)


def _key(entry: _Entry) -> tuple[int, str]:
    return min(entry.at, MARK_BYTES), entry.head


def _checksum(content: IO[bytes], size: int) -> int:
    """CRC-32 of the first bytes: enough against chance, and it goes on from where it was kept."""
    content.seek(0)
    found = 0
    while size > 0 and (piece := content.read(min(_PIECE_BYTES, size))):
        found, size = zlib.crc32(piece, found), size - len(piece)
    return found


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
            f"{path}: no positions of ours ({error}): remove it, and everything is sent from the beginning; what was "
            "sent within about two days is a copy, which changes nothing"
        ) from error
