"""How long the tables keep what they hold: ClickHouse's own TTL, set as the settings say.

A table's rows go by whole months, once the last day of a month is old enough: a part is then dropped as it is, where a
limit to the day would rewrite a month every few hours. So a row stays up to a month longer than its table's days.

Columns about the initiator are personal data, and their limit is one that must not be passed: they are emptied by the
day. `event_data` repeats them, so it is emptied with them; what a verdict rests on stays in the columns of the row.

ClickHouse works on it in the background, by default every four hours.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Protocol

from clickhouse_connect.driver.client import Client

CLIENT_COLUMNS: Final = ("client_ip", "client_device", "client_country", "user_agent", "event_data")
"""Of `audit`, `audit_latest` and `authentications`: who the initiator was by his machine."""

_BY_MONTH = "toLastDayOfMonth({at}) + toIntervalDay({days})"
_BY_DAY = "toDate({at}) + toIntervalDay({days})"
"""As ClickHouse itself writes them, so that what was set before is known again."""


class RetentionSettings(Protocol):
    """Days to keep; None: for ever (`stepwatch.agents.settings.Settings` has them)."""

    @property
    def retention_audit_days(self) -> int | None: ...
    @property
    def retention_authentications_days(self) -> int | None: ...
    @property
    def retention_alerts_days(self) -> int | None: ...
    @property
    def retention_responses_days(self) -> int | None: ...
    @property
    def retention_dead_letters_days(self) -> int | None: ...
    @property
    def retention_client_days(self) -> int | None: ...


class _Kept(NamedTuple):
    """A table and its limits.

    Attributes:
        at: the column from which days are counted.
        days: of its rows.
        columns: those with a limit of their own, by the day.
        column_days: that limit.
    """

    table: str
    at: str
    days: int | None
    columns: tuple[str, ...] = ()
    column_days: int | None = None


def apply_retention(client: Client, settings: RetentionSettings) -> list[str]:
    """Bring the TTLs of our tables to the settings; does nothing where they are so already.

    A TTL of another form was set by somebody's own hand: replaced where a setting says something, else left alone.

    Args:
        client: of a database that is migrated.
        settings: days to keep.

    Returns:
        What was changed, in words.

    Raises:
        Exception: whatever the client raises; what was begun is finished by the next call.
    """
    changed = []
    for kept in _wanted(settings):
        changes, words = _changes(kept, _definition(client, kept.table))
        if changes:
            client.command(f"ALTER TABLE {kept.table} {', '.join(changes)}")
            changed += words
    return changed


def _wanted(settings: RetentionSettings) -> list[_Kept]:
    audit, client = settings.retention_audit_days, settings.retention_client_days
    return [
        _Kept("audit", "time", audit, CLIENT_COLUMNS, client),
        _Kept("audit_latest", "time", audit, CLIENT_COLUMNS, client),
        _Kept("authentications", "time", settings.retention_authentications_days, CLIENT_COLUMNS, client),
        _Kept("alerts", "updated_at", settings.retention_alerts_days),
        _Kept("responses", "arrival", settings.retention_responses_days),
        _Kept("dead_letters", "time", settings.retention_dead_letters_days),
    ]


def _definition(client: Client, table: str) -> list[str]:
    """The lines of the table's CREATE as ClickHouse shows it: one a column, one for the table's TTL."""
    return str(client.query(f"SHOW CREATE TABLE {table}").result_rows[0][0]).splitlines()


def _changes(kept: _Kept, lines: list[str]) -> tuple[list[str], list[str]]:
    """What an ALTER has to say, and the same in words."""
    changes, words = [], []
    for column in kept.columns:
        line = next(line for line in lines if line.strip().startswith(f"`{column}` "))
        there = line.strip().rstrip(",").partition(" TTL ")[2]
        if (change := _change(there, _BY_DAY, kept.at, kept.column_days)) is not None:
            changes.append(f"MODIFY COLUMN {column} {change}")
            words.append(f"{kept.table}.{column}: kept {_words(kept.column_days)}")
    there = next((line[4:] for line in lines if line.startswith("TTL ")), "")
    # From the begin of a month's last day on one more day has to pass before its last row is so old.
    if (change := _change(there, _BY_MONTH, kept.at, kept.days and kept.days + 1)) is not None:
        # Last: the commas after a table's TTL would belong to it.
        changes.append(f"MODIFY {change}" if kept.days else change)
        words.append(f"{kept.table}: rows kept {_words(kept.days)}")
    return changes, words


def _change(there: str, form: str, at: str, days: int | None) -> str | None:
    """`TTL …`, `REMOVE TTL`, or None where nothing is to be done."""
    if days is not None:
        wanted = form.format(at=at, days=days)
        return None if there == wanted else f"TTL {wanted}"
    ours = re.escape(form.format(at=at, days="N")).replace("N", r"\d+")
    return "REMOVE TTL" if re.fullmatch(ours, there) else None


def _words(days: int | None) -> str:
    return "for ever" if days is None else f"{days} days"
