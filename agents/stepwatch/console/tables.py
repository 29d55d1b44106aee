"""Questions to ClickHouse: in threads, a few at a time, on connections that are kept; away is said in words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from clickhouse_connect.driver.client import Client

from stepwatch.agents.settings import Settings
from stepwatch.console.users import User
from stepwatch.store.answers import read_answer, reading
from stepwatch.store.client import BadUrl, open_client, trouble_of, words_of
from stepwatch.store.tls import TlsRefused

ANSWER_S: Final = 10
_AT_ONCE: Final = 6
"""Questions at a time; the others wait."""
_RECENT_S: Final = 3.0
_RECENT_MAX: Final = 256
_EXACT: Final = {"output_format_json_quote_64bit_integers": 0, "output_format_json_quote_denormals": 0}
Row = dict[str, Any]
_T = TypeVar("_T")


class TablesAway(Exception):
    """ClickHouse does not answer, or refuses; the message says which."""


class Tables:
    """The tables of one database, for reading."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._idle: list[Client] = []
        self._recent: dict[tuple[str, str], tuple[float, list[Row]]] = {}

    async def rows(self, query: str, **values: Any) -> list[Row]:
        """The rows of an answer, by the names of their columns; times are text in UTC.

        Args:
            query: with placeholders such as `{tenant:String}`.
            values: of its placeholders; sent beside it.

        Raises:
            TablesAway: in words.
        """

        def ask(client: Client) -> list[Row]:
            return read_answer(reading(client, query, values, "JSONCompact", _EXACT)).objects()

        return await self.use(ask)

    async def recent(self, query: str, **values: Any) -> list[Row]:
        """As `rows`, and for 3 s the same answer to the same question: many open pages ask it at once."""
        key = (query, repr(sorted(values.items())))
        held = self._recent.get(key)
        if held is not None and time.monotonic() - held[0] < _RECENT_S:
            return held[1]
        rows = await self.rows(query, **values)
        if len(self._recent) >= _RECENT_MAX:
            self._recent.clear()
        self._recent[key] = (time.monotonic(), rows)
        return rows

    async def use(self, do: Callable[[Client], _T]) -> _T:
        """Do something with a client, in a thread.

        Raises:
            TablesAway: in words.
        """
        async with self._slots:
            return await asyncio.to_thread(self._use, do)

    def _use(self, do: Callable[[Client], _T]) -> _T:
        client = None
        try:
            client = self._idle.pop() if self._idle else open_client(self._settings, answer_timeout_s=ANSWER_S)
            answer = do(client)
        except (BadUrl, TlsRefused) as error:
            raise TablesAway(str(error)) from error
        except Exception as error:
            if client is not None:
                client.close()
            if trouble_of(error) is None:
                raise
            raise TablesAway(f"ClickHouse, which holds verdicts and proofs, cannot say: {words_of(error)}") from error
        self._idle.append(client)
        return answer

    def close(self) -> None:
        """Let the connections go."""
        while self._idle:
            self._idle.pop().close()


def tenants_of(user: User) -> dict[str, Any]:
    """Whose rows a question may return, as values of its placeholders."""
    return {"all": user.sees_all, "tenants": list(user.tenants)}
