"""A ClickHouse on a disk of its own that can be filled to the last byte.

A real one where this user may mount (a tmpfs): then the server itself meets "no space left on device". Elsewhere the
proxy says what the server says then, and the outcome says so.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from stepwatch.embedded import ports
from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.embedded.folder import DataFolder
from tests.faults.http_proxy import Fault, exception, inserts

_SIZE_MB = 192


class SmallDisk:
    """A started server and its disk.

    Attributes:
        how: how it gets full, in words.
        fault: what the proxy must do meanwhile; None: nothing.
    """

    def __init__(self, root: Path, server: EmbeddedClickHouse, *, real: bool) -> None:
        self.server = server
        self.how = "a file on its own tmpfs" if real else "words of the proxy (no right to mount)"
        self.fault: Fault | None = (
            None if real else inserts(exception(243, "NOT_ENOUGH_SPACE", "Cannot reserve 1.00 MiB, not enough space"))
        )
        self._real = real
        self._balloon = root / "balloon"

    def fill(self) -> None:
        """Leave no byte."""
        if not self._real:
            return
        with self._balloon.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def empty(self) -> None:
        """There is space again."""
        self._balloon.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(root: Path) -> Iterator[SmallDisk]:
    """A started ClickHouse below `root`, on a small disk where that can be had."""
    root.mkdir()
    real = sys.platform == "linux" and _mount(root)
    try:
        folder = DataFolder(root / "servers")
        with folder.lock():
            server = EmbeddedClickHouse(folder, port=ports.any_free())
            server.start()
            try:
                yield SmallDisk(root, server, real=real)
            finally:
                server.kill()
    finally:
        if real:
            # Lazily: the folder's own log may still be open.
            subprocess.run(["umount", "-l", str(root)], check=True)


def _mount(root: Path) -> bool:
    if shutil.which("mount") is None:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MB}m", "stepwatch-test", str(root)]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode == 0
