"""A partition's files on a dead broker's disk, shortened as a lost page cache or an unclean election leaves them."""

from __future__ import annotations

import struct
from pathlib import Path


def cut_tail(partition: Path, keep: float) -> int:
    """Keep that share of the batches of the partition's last segment; returns how many are gone."""
    segment = max(partition.glob("*.log"))
    data = segment.read_bytes()
    ends = []
    at = 0
    while at + 12 <= len(data):
        # Base offset, 8 bytes, then the length of what follows.
        at += 12 + struct.unpack_from(">i", data, at + 8)[0]
        ends.append(at)
    kept = int(len(ends) * keep)
    segment.write_bytes(data[: ends[kept - 1]])
    for index in (*partition.glob("*.index"), *partition.glob("*.timeindex"), *partition.glob("*.snapshot")):
        # The broker makes them anew from the segment.
        index.unlink()
    return len(ends) - kept
