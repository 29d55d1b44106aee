"""What a growing log was renamed, copied or packed to: by inode whatever the name, by content where the name says so.

The inode of what stands under the log's name is remembered, across restarts too (`Positions.followed`). When another
file stands there, the one before is the file in the same folder that has its inode; of copies and packed ones, which
have another, names as rotation gives them are looked at, and their content says whether they go on.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import NamedTuple

from stepwatch.cli.positions import Positions
from stepwatch.cli.reading import Unreadable, opened

_ADDED = r"[.-](\d[\w.:-]*|old|bak|prev)"
_WITHIN = r"[._-]\d[\dT.:_-]{5,}"
"""What rotation adds to a name: a number or a date behind it, a date before its last dot."""
_NUMBER = re.compile(r"\.(\d{1,4})(?:\.gz)?")


class Stat(NamedTuple):
    """By what a file is seen to have changed, without opening it."""

    inode: int
    size: int
    time_ns: int


def stat_of(path: Path) -> Stat | None:
    """None where no file is there: renamed or removed just now."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Stat(found.st_ino, found.st_size, found.st_mtime_ns)


class Rotation:
    """One log by its name, and the files that it was before.

    Args:
        file: the name, no link.
        positions: how far each file was read.

    Attributes:
        lost: a file stood under the name, had not been read to its end for sure, and is nowhere now.
    """

    def __init__(self, file: Path, positions: Positions) -> None:
        self.file = file
        self.lost = False
        self._positions = positions
        self._inodes = list(positions.followed.get(str(file), []))
        self._names = re.compile(
            rf"{re.escape(file.name)}{_ADDED}(\.gz)?|{re.escape(file.stem)}{_WITHIN}{re.escape(file.suffix)}(\.gz)?"
        )
        self._known: dict[Path, tuple[Stat, bool]] = {}

    def files(self) -> list[Path]:
        """The files that have, or may have, something new: the oldest first, the one under the name last.

        Raises:
            OSError: the folder cannot be read.
        """
        beside = {path: seen for path in self.file.parent.iterdir() if (seen := stat_of(path)) is not None}
        now = beside.pop(self.file, None)
        moved = [path for path, seen in beside.items() if seen.inode in self._inodes and self._is_ours(path, seen)]
        named = [path for path in beside if self._names.fullmatch(path.name) and path not in moved]
        copies = [path for path in named if self._is_known(path, beside[path])]
        if now is not None:
            last = self._inodes[-1] if self._inodes else now.inode
            if last != now.inode and not self._goes_on(last, [beside[path].inode for path in moved], copies, now):
                self.lost = True
            there = {seen.inode for seen in beside.values()}
            self._inodes = [*(one for one in self._inodes if one in there and one != now.inode), now.inode]
        known = {*moved, *copies}
        order = sorted({*moved, *named}, key=lambda path: _age(path, beside[path]))
        first = next((number for number, path in enumerate(order) if path in known), len(order))
        return [*order[first:], self.file]

    def keep(self) -> None:
        """Remember across restarts which inodes are ours; all that `files` said must have been read."""
        self._positions.follows(str(self.file), self._inodes)

    def _goes_on(self, last: int, moved: list[int], copies: list[Path], now: Stat) -> bool:
        """Whether what stood under the name is there still: moved, copied, or under the name itself."""
        return last in moved or bool(copies) or self._is_known(self.file, now)

    def _is_ours(self, path: Path, seen: Stat) -> bool:
        """Whether it is what its inode says: an inode is used again once its file is gone."""
        return self._is_known(path, seen) or not self._positions.has_inode(seen.inode)

    def _is_known(self, path: Path, seen: Stat) -> bool:
        """Whether some of it was read, under whatever name."""
        found = self._known.get(path)
        # What is ours stays so while its inode does: its mark moves on, and its last lines come.
        if found is None or (found[0] != seen and not (found[1] and found[0].inode == seen.inode)):
            try:
                with opened(path, self._positions) as file:
                    self._known[path] = seen, file.mark.at > 0
            except Unreadable:
                return False
        return self._known[path][1]


def _age(path: Path, seen: Stat) -> tuple[int, int, str]:
    """For the order of files: by time; of one time the higher number is the older."""
    number = _NUMBER.search(path.name)
    return seen.time_ns, -int(number[1]) if number else 0, path.name
