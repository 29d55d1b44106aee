"""What a search over verdicts asks ClickHouse: filters of an address as a query and its values, a page at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepwatch.console.shown import us_of
from stepwatch.schemas.policy import UNIT_US
from stepwatch.schemas.times import DAY_US, TIME_END_US

PAGE_ROWS: Final = 50
EXPORT_ROWS_MAX: Final = 100_000
SPAN: Final = "7d"
"""How far back a search goes that says nothing of it."""
WORDS: Final = {
    "verdict": ("unverified", "blind", "verified", "exempt", "not_required"),
    "sensitivity": ("critical", "high", "moderate", "low"),
    "outcome": ("success", "failure", "denied", "unknown"),
}
"""Columns that hold one of a few words."""
TEXTS: Final = (
    "tenant", "subject", "action", "policy", "reason", "session", "resource_type", "resource_id", "source", "action_id",
    "on_behalf_of", "verification", "credential", "client_ip",
)  # fmt: skip
"""Columns that hold what somebody chose: `*` in a filter stands for any run of characters."""
_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)
_PLACE = re.compile(r"([0-9]{1,17})\.([0-9]{1,6})", re.ASCII)
_SHOWN: Final = """tenant, subject, on_behalf_of, source, action_id, action, resource_type, resource_id, sensitivity,
  verdict, reason, policy, toUnixTimestamp64Micro(time) AS at_us"""


class BadSearch(ValueError):
    """A filter that is none; the message names it and what was expected."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for.

    Attributes:
        filters: column -> what it must be; only those that were given.
        since, until: as given: a span back from `until` (`7d`) or a time; a time, or empty for now.
        since_us, until_us: the same, microseconds; until is exclusive.
        place: the time of the last row of the page before, and how many rows of that time it has shown.
    """

    filters: Mapping[str, str]
    since: str
    until: str
    since_us: int
    until_us: int
    place: tuple[int, int] | None = None

    def said(self) -> dict[str, str]:
        """The parameters of the address that mean the same."""
        since = {} if self.since == SPAN else {"since": self.since}
        return {**self.filters, **since, **({"until": self.until} if self.until else {})}

    def rows(self, all_tenants: bool, tenants: list[str]) -> tuple[str, dict[str, Any]]:
        """The query of one page, with one row more than it shows, and its values."""
        where, values = self._where(all_tenants, tenants)
        at_us, skip = self.place or (TIME_END_US, 0)
        sql = (
            f"SELECT {_SHOWN} FROM audit_current WHERE {where} "
            "AND time <= fromUnixTimestamp64Micro({at:Int64}, 'UTC') "
            "ORDER BY time DESC, tenant, subject, source, action_id LIMIT {rows:UInt32} OFFSET {skip:UInt32}"
        )
        return sql, {**values, "at": at_us, "skip": skip, "rows": PAGE_ROWS + 1}

    def whole(self, all_tenants: bool, tenants: list[str]) -> tuple[str, dict[str, Any]]:
        """The query of an export: every column of the newest rows, and its values."""
        where, values = self._where(all_tenants, tenants)
        sql = (
            f"SELECT * FROM audit_current WHERE {where} "
            "ORDER BY time DESC, tenant, subject, source, action_id LIMIT {rows:UInt32}"
        )
        return sql, {**values, "rows": EXPORT_ROWS_MAX}

    def next_place(self, rows: list[dict[str, Any]]) -> str:
        """Where the next page begins, for the address; empty where these rows are the last."""
        if len(rows) <= PAGE_ROWS:
            return ""
        last_us = rows[PAGE_ROWS - 1]["at_us"]
        same = sum(row["at_us"] == last_us for row in rows[:PAGE_ROWS])
        before = self.place[1] if self.place and self.place[0] == last_us else 0
        return f"{last_us}.{before + same}"

    def _where(self, all_tenants: bool, tenants: list[str]) -> tuple[str, dict[str, Any]]:
        values: dict[str, Any] = {
            "all": all_tenants, "tenants": tenants, "since": self.since_us, "until": self.until_us,
        }  # fmt: skip
        parts = [
            "({all:Bool} OR has({tenants:Array(String)}, tenant))",
            "time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')",
            "time < fromUnixTimestamp64Micro({until:Int64}, 'UTC')",
        ]
        # Names of columns are ours, from the tables above; what somebody typed is always a value beside the query.
        for column, text in self.filters.items():
            if "*" in text:
                values[f"f_{column}"] = _pattern(text)
                parts.append(f"{column} LIKE {{f_{column}:String}}")
            else:
                values[f"f_{column}"] = text
                parts.append(f"{column} = {{f_{column}:String}}")
        return " AND ".join(parts), values


def search_of(params: Mapping[str, str], now_us: int) -> Search:
    """The search that an address means.

    Args:
        params: of the address; others than ours are no matter.
        now_us: wall clock.

    Raises:
        BadSearch: a word that its column never holds, a time that is none, or the place of no page.
    """
    filters = {name: text for name in (*WORDS, *TEXTS) if (text := params.get(name, "").strip()[:1024])}
    for name, allowed in WORDS.items():
        if name in filters and filters[name] not in allowed:
            raise BadSearch(f"{name}: expected one of {', '.join(allowed)}")
    since, until = params.get("since", "").strip() or SPAN, params.get("until", "").strip()
    until_us = _moment("until", until) if until else now_us + DAY_US
    span = _SPAN.fullmatch(since)
    back_from_us = until_us if until else now_us
    since_us = back_from_us - int(span[1]) * UNIT_US[span[2]] if span else _moment("since", since)
    after = params.get("after", "")
    place = _PLACE.fullmatch(after)
    if after and place is None:
        raise BadSearch("after: the end of the address was cut; begin at the first page")
    return Search(filters, since, until, max(since_us, 0), until_us, (int(place[1]), int(place[2])) if place else None)


def _moment(name: str, text: str) -> int:
    day = f"{text}T00:00:00" if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else text
    time_us = us_of(day)
    if not time_us:
        raise BadSearch(f"{name}: expected 24h, 7d, a day like 2026-11-24 or a time like 2026-11-24T09:00:00Z")
    return time_us


def _pattern(text: str) -> str:
    """A filter with `*` as a pattern of `LIKE`."""
    return re.sub(r"([\\%_])", r"\\\1", text).replace("*", "%")
