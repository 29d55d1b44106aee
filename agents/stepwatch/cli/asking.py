"""What query, report and export have in common: whose tables they read, of which period, and how they are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.cli.errors import Misused
from stepwatch.cli.sql import of_run, refusal

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from stepwatch.agents.settings import Settings

PATIENCE_S = 60

Bootstrap = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Kafka; default: as set.")]
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")]
RunName = Annotated[
    str | None, typer.Option("--run", metavar="RUN", help="Ask the tables of a run of `replay --into`.")
]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="From this time on: 2026-11-24, an RFC 3339 time, or 7d (ago).")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Before this time; default: now.")]
Tenant = Annotated[str | None, typer.Option(metavar="TENANT", help="Only this one; default: all.")]
Patience = Annotated[int, typer.Option("--timeout", metavar="SECONDS", min=1, help="How long to wait for an answer.")]


@contextmanager
def reading_tables(data: Path | None, run: str | None, patience_s: int) -> Iterator[tuple[Client, Settings]]:
    """A client that reads the live tables or those of a run, and its settings; closed at the end.

    Raises:
        ServerAway: ClickHouse does not answer, or not in time.
        Misused: it refuses us or what it is asked, or a setting is wrong.
    """
    from stepwatch.cli.target import connect, quiet_logs
    from stepwatch.store.client import BadUrl, open_client, trouble_of
    from stepwatch.store.tls import TlsRefused

    settings = connect(data, as_reader=True)
    quiet_logs(settings)
    if run is not None:
        settings = of_run(settings, run)
    try:
        client = open_client(settings, answer_timeout_s=patience_s)
        try:
            yield client, settings
        finally:
            client.close()
    except (BadUrl, TlsRefused) as error:
        raise Misused(str(error)) from error
    except Exception as error:
        # A file of ours that cannot be written is an OSError too, and none of the server's.
        if trouble_of(error) is None or isinstance(error, OSError):
            raise
        raise refusal(settings, error) from error


def moments(since: str | None, until: str | None, now: datetime) -> dict[str, str]:
    """The parameters `since` and `until` as far as they were typed; `7d` means so long before now.

    Raises:
        Misused: one is neither a time nor a duration.
    """
    said = {"since": since, "until": until}
    return {name: _moment(name, text, now) for name, text in said.items() if text is not None}


def _moment(name: str, text: str, now: datetime) -> str:
    from stepwatch.schemas.policy import parse_duration
    from stepwatch.store.querybook import BookError, parse_moment

    try:
        return (now - timedelta(microseconds=parse_duration(text))).isoformat()
    except (ValueError, OverflowError):
        pass
    try:
        return parse_moment(f"--{name}", text).isoformat()
    except BookError as error:
        raise Misused(f"{error}; or a duration like 7d, which means so long ago") from error


def period(since: str | None, until: str | None, days: int) -> tuple[datetime, datetime]:
    """The period that was typed, or the last so many days.

    Raises:
        Misused: one end is no time, or it ends before it begins.
    """
    now = datetime.now(UTC)
    said = moments(since, until, now)
    end = datetime.fromisoformat(said["until"]) if "until" in said else now
    begin = datetime.fromisoformat(said["since"]) if "since" in said else end - timedelta(days=days)
    if begin >= end:
        raise Misused(
            f"--since {begin:%Y-%m-%dT%H:%M:%SZ} is not before --until {end:%Y-%m-%dT%H:%M:%SZ}: turn them round"
        )
    return begin, end


def pairs(words: list[str]) -> Mapping[str, str]:
    """`k=v` words as a mapping.

    Raises:
        Misused: one has no `=`, or a name comes twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise Misused(f"--param {word}: expected NAME=VALUE, as in --param subject=alice")
        if name in found:
            raise Misused(f"--param {name} is given twice: leave one out")
        found[name] = value
    return found
