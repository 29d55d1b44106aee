"""Log time: the greatest append time read in a partition, the only clock that decisions know (contract section 1)."""

from __future__ import annotations


class LogTime:
    """The log time of one input's partition, and the offset at which reading goes on.

    `now_us` is -1 before the first record.
    """

    __slots__ = ("next_offset", "now_us")

    def __init__(self, next_offset: int = 0, now_us: int = -1) -> None:
        self.next_offset = next_offset
        self.now_us = now_us

    def read(self, offset: int, appended_us: int) -> int:
        """Note a record as read.

        Returns:
            Its arrival: the greatest append time up to and including it.
        """
        self.next_offset = offset + 1
        if appended_us > self.now_us:
            self.now_us = appended_us
        return self.now_us
