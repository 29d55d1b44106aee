"""A ClickHouse that a command writes to, and what its troubles mean for whoever typed the command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stepwatch.cli.errors import Misused, ServerAway

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from stepwatch.agents.settings import Settings


@contextmanager
def clickhouse(settings: Settings) -> Iterator[Client]:
    """A client with no database selected; closed at the end.

    Raises:
        ServerAway: ClickHouse does not answer.
        Misused: it refuses us, or what is done with it is refused.
    """
    from stepwatch.store.client import BadUrl, open_client, trouble_of
    from stepwatch.store.migrate import MigrationRefused
    from stepwatch.store.runs import RunRefused
    from stepwatch.store.tls import TlsRefused

    try:
        client = open_client(settings, with_database=False)
        try:
            yield client
        finally:
            client.close()
    except (BadUrl, TlsRefused, MigrationRefused, RunRefused) as error:
        raise Misused(str(error)) from error
    except Exception as error:
        if trouble_of(error) is None or isinstance(error, OSError):
            raise
        raise refusal_of(settings, error) from error


def refusal_of(settings: Settings, error: Exception) -> Exception:
    """The error of a command that makes, fills or drops databases, for an exception of the client."""
    from stepwatch.store.client import name_of, words_of

    known = known_refusal(settings, error, "see whether it is well")
    if known is not None:
        return known
    hint = ""
    if "ACCESS_DENIED" in name_of(error):
        hint = (
            f": runs lie in databases of their own, so it needs GRANT ALL ON {settings.clickhouse_database}_run_*.* "
            "(a `stepwatch up` of an older version: stop it and start it again)"
        )
    return Misused(
        f"ClickHouse at {settings.clickhouse_url} refuses user {settings.clickhouse_user} ({words_of(error)}){hint}"
    )


def known_refusal(settings: Settings, error: Exception, silent: str) -> Exception | None:
    """The error of any command, for an exception of the client; None where it is about what was asked.

    Args:
        settings: address and user.
        error: of the client.
        silent: what to do where the server is there, but does not answer.
    """
    from stepwatch.store.client import Trouble, name_of, timed_out, trouble_of, words_of

    name, words = name_of(error), words_of(error)
    if timed_out(error):
        return ServerAway(f"ClickHouse at {settings.clickhouse_url} is there, but silent ({words}): {silent}")
    if not name and trouble_of(error) is Trouble.AWAY:
        return ServerAway(
            f"no answer from ClickHouse at {settings.clickhouse_url} ({words}): start it, "
            "start `stepwatch up`, or set STEPWATCH_CLICKHOUSE_URL to its address"
        )
    if "AUTHENTICATION" in name or "PASSWORD" in name:
        return Misused(
            f"ClickHouse at {settings.clickhouse_url} does not know user {settings.clickhouse_user} with that "
            "password: set STEPWATCH_CLICKHOUSE_USER and STEPWATCH_CLICKHOUSE_PASSWORD"
        )
    return None
