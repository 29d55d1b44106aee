"""A partition's files on a dead broker's disk, shortened as a lost page cache or an unclean election leaves them."""

from __future__ import annotations

import struct
from pathlib import Path

_CONTROL = 1 << 5
"""The bit in a batch's attributes that says that it is a marker."""


def cut_tail(partition: Path, keep: float) -> int:
    """Keep that share of the batches of the partition's last segment; returns how many are gone."""
    batches = _batches(partition)
    kept = int(len(batches) * keep)
    _shorten(partition, batches[kept - 1][0])
    return len(batches) - kept


def cut_marker(partition: Path) -> bool:
    """Take away the marker at the end of a partition: its transaction is open again. Returns whether one was there."""
    batches = _batches(partition)
    if not batches or not batches[-1][1]:
        return False
    _shorten(partition, batches[-2][0])
    return True


def _batches(partition: Path) -> list[tuple[int, bool]]:
    """Of each batch its end in the file, and whether it is a marker."""
    data = max(partition.glob("*.log")).read_bytes()
    batches = []
    at = 0
    while at + 12 <= len(data):
        # Base offset, 8 bytes, then the length of what follows; attributes 9 bytes into that.
        end = at + 12 + struct.unpack_from(">i", data, at + 8)[0]
        batches.append((end, bool(struct.unpack_from(">h", data, at + 21)[0] & _CONTROL)))
        at = end
    return batches


def _shorten(partition: Path, end: int) -> None:
    with max(partition.glob("*.log")).open("r+b") as segment:
        segment.truncate(end)
    for index in (*partition.glob("*.index"), *partition.glob("*.timeindex"), *partition.glob("*.snapshot")):
        # The broker makes them anew from the segment.
        index.unlink()
