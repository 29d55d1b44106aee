"""Log time: the greatest append time read in a partition, the only clock that decisions know (contract section 1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class LogTime:
    """The log time of one input's partition, the offset at which reading goes on, and what became of what was read.

    `now_us` is -1 before the first record. `account` counts, by what it became (`accounting`), every record read from
    offset `since` on.
    """

    __slots__ = ("account", "next_offset", "now_us", "since")

    def __init__(
        self,
        next_offset: int = 0,
        now_us: int = -1,
        since: int | None = None,
        account: Mapping[str, int] | None = None,
    ) -> None:
        self.next_offset = next_offset
        self.now_us = now_us
        self.since = next_offset if since is None else since
        self.account: Counter[str] = Counter(account)

    def read(self, offset: int, appended_us: int) -> int:
        """Note a record as read.

        Returns:
            Its arrival: the greatest append time up to and including it.
        """
        self.next_offset = offset + 1
        if appended_us > self.now_us:
            self.now_us = appended_us
        return self.now_us
