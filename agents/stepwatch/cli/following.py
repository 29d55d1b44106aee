"""A log that grows: what was added since the last look, whatever its files were renamed to meanwhile.

Each look goes over the files whose size, time or inode changed, opens each at the position that its content has
(`positions.py`), and takes what was added. So rotation needs no case of its own: a renamed file is known by its
content and goes on where it was, and what is new under the old name begins at its begin.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stepwatch.cli.positions import Positions
from stepwatch.cli.reading import Unreadable, files_of, opened
from stepwatch.cli.unpacking import BEGIN

SETTLED_S = 60.0
"""What has not grown for so long, and is not the one that grows, has come to its end, whatever its last line lacks."""
RETRY_S = 10.0
"""What could not be read is tried again after this time, though it looks the same."""
_ROTATED = re.compile(r"[.-](\d[\w.:-]*|old|bak|prev)(\.gz)?")
"""What rotation adds to a file's name: a number, a date."""


class Stat(NamedTuple):
    """By what a file is seen to have changed, without opening it."""

    inode: int
    size: int
    time_ns: int


@dataclass(slots=True)
class Look:
    """What the last look at a file found.

    Attributes:
        stat: of the file then.
        since: when it was, seconds of the monotonic clock.
        again: it looked the same before, and could not be read.
        held: its last line, or its document, had no end yet.
        why: why it could not be read; `""` where it could.
    """

    stat: Stat
    since: float
    again: bool = False
    held: bool = False
    why: str = ""


class Followed(NamedTuple):
    """A file that is to be read now.

    Attributes:
        ended: nothing will be added to it any more, so its last line needs no end.
        settled: nothing was for long, so its last line needs none if it is whole JSON.
    """

    path: Path
    look: Look
    ended: bool = False
    settled: bool = False


class Following:
    """Which files of a growing log have something new.

    Args:
        argument: a file, with those that it was renamed to, or a folder, with all in it.
        positions: how far each was read.
    """

    def __init__(self, argument: Path, positions: Positions) -> None:
        self._argument = argument
        self._positions = positions
        self._looks: dict[Path, Look] = {}
        self._is_folder = argument.is_dir()
        self._targets: list[Path] = []
        self._known: dict[Path, tuple[Stat | None, bool]] = {}

    @property
    def holds(self) -> bool:
        """Whether something is not there, or could not be taken yet: a line without its end, an unreadable file."""
        return not self._argument.exists() or any(look.held or look.why for look in self._looks.values())

    def changed(self) -> list[Followed]:
        """The files with something new, the oldest first."""
        now = time.monotonic()
        stats = {path: stat for path in self._files() if (stat := _stat(path)) is not None}
        self._looks = {path: look for path, look in self._looks.items() if path in stats}
        newest = max(stats, key=lambda path: stats[path].time_ns, default=None)
        growing = newest if self._is_folder else self._targets[-1]
        found = []
        for path, stat in stats.items():
            look = self._looks.get(path)
            if look is None or look.stat != stat:
                found.append(Followed(path, Look(stat, now)))
            elif look.why and now - look.since >= RETRY_S:
                found.append(Followed(path, Look(stat, now, again=True)))
            elif look.held and now - look.since >= SETTLED_S:
                found.append(Followed(path, Look(stat, now), path != growing, settled=True))
        return found

    def looked(self, file: Followed) -> None:
        """Remember what the look at a file found."""
        self._looks[file.path] = file.look

    def _files(self) -> list[Path]:
        if self._is_folder:
            return files_of(self._argument)
        # Where the name is a link, rotation may point it to another file: the one before has a rest, too.
        target = self._argument.resolve()
        if target not in self._targets:
            self._targets.append(target)
        return list(dict.fromkeys(path for one in self._targets for path in (*self._renamed(one), one)))

    def _renamed(self, file: Path) -> list[Path]:
        """What a file was renamed, copied or packed to since we know it, the oldest first."""
        name = file.name
        beside = [
            path
            for path in file.parent.iterdir()
            if path.name.startswith(name) and _ROTATED.fullmatch(path.name, len(name)) and path.is_file()
        ]
        beside.sort(key=lambda path: getattr(_stat(path), "time_ns", 0))
        known = next((number for number, path in enumerate(beside) if self._is_known(path)), len(beside))
        return beside[known:]

    def _is_known(self, path: Path) -> bool:
        """Whether some of it was read under another name, or under this one."""
        stat = _stat(path)
        if path not in self._looks and self._known.get(path, (None, False))[0] != stat:
            try:
                with opened(path, self._positions) as file:
                    self._known[path] = stat, file.mark != BEGIN
            except Unreadable:
                return False
        return path in self._looks or self._known[path][1]


def _stat(path: Path) -> Stat | None:
    try:
        found = os.stat(path)
    except OSError:
        return None  # renamed or removed just now
    return Stat(found.st_ino, found.st_size, found.st_mtime_ns)
