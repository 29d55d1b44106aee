"""A log that grows: what was added since the last look, whatever its files were renamed to meanwhile.

Each look goes over the files whose size, time or inode changed, opens each at the position that its content has
(`positions.py`), and takes what was added. A renamed file (`rotation.py`) goes on where it was, and what is new under
the old name begins at its begin.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stepwatch.cli.positions import Positions
from stepwatch.cli.reading import Unreadable, listed
from stepwatch.cli.rotation import Rotation, Stat, stat_of

SETTLED_S = 60.0
"""What has not grown for so long, and is not the one that grows, has come to its end, whatever its last line lacks."""
RETRY_S = 10.0
"""What could not be read is tried again after this time, though it looks the same."""


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
        self._rotations: dict[Path, Rotation] = {}
        self._unfinished: list[Path] = []
        self._away = False

    @property
    def holds(self) -> bool:
        """Whether something is not there, or could not be taken: a line without its end, a file that is not whole."""
        away = self._away or not self._argument.exists()
        unread = any(look.held or look.why for look in self._looks.values())
        return away or unread or bool(self._unfinished) or any(one.lost for one in self._rotations.values())

    @property
    def troubles(self) -> list[str]:
        """What only a person can mend, and holds the heartbeats until then."""
        lost = [str(name) for name, rotation in self._rotations.items() if rotation.lost]
        said = [
            f"{name}: another file stands there, and nothing beside it goes on where the one before was read, so its "
            "last lines may be missing: `stepwatch send` that one, then start this anew"
            for name in lost
        ]
        for path in self._unfinished:
            seen = stat_of(path)
            if seen is not None and time.time() - seen.time_ns / 1e9 >= SETTLED_S:
                said.append(f"{path}: by its name it is still being written: rename it once it is whole, or remove it")
        return said

    def changed(self) -> list[Followed]:
        """The files with something new, the oldest first; none while the folder is away."""
        now = time.monotonic()
        try:
            files = self._files()
        except (Unreadable, OSError):
            self._away = True
            return []
        self._away = False
        stats = {path: seen for path in files if (seen := stat_of(path)) is not None}
        self._looks = {path: look for path, look in self._looks.items() if path in stats}
        newest = max(stats, key=lambda path: stats[path].time_ns, default=None)
        growing = newest if self._is_folder else next(reversed(self._rotations))
        found = []
        for path, seen in stats.items():
            look = self._looks.get(path)
            if look is None or look.stat != seen:
                found.append(Followed(path, Look(seen, now)))
            elif look.why and now - look.since >= RETRY_S:
                found.append(Followed(path, Look(seen, now, again=True)))
            elif look.held and now - look.since >= SETTLED_S:
                found.append(Followed(path, Look(seen, now), path != growing, settled=True))
        return found

    def looked(self, file: Followed) -> None:
        """Remember what the look at a file found."""
        self._looks[file.path] = file.look

    def keep(self) -> None:
        """Let the positions remember which files these are, now that all that `changed` named was looked at."""
        for rotation in self._rotations.values():
            rotation.keep()

    def _files(self) -> list[Path]:
        if self._is_folder:
            files, self._unfinished = listed(self._argument)
            return files
        # Where the name is a link, rotation may point it to another file: the one before has a rest, too.
        target = self._argument.resolve()
        if target not in self._rotations:
            self._rotations[target] = Rotation(target, self._positions)
        return list(dict.fromkeys(path for one in self._rotations.values() for path in one.files()))
