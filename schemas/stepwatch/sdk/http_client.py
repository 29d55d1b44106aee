"""One request to Stepwatch's HTTP API, and its answer or why there is none (contract section 9)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import HTTPError

from stepwatch.sdk.bearer import Bearer, NoToken
from stepwatch.sdk.http_deadline import pool_of_connections

ANSWER_BYTES_MAX: Final = 1024 * 1024


class Answer(NamedTuple):
    """What the server said.

    Attributes:
        status: of HTTP.
        headers: names in lower case.
        body: at most 1 MiB of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Exception):
    """The server could not be asked, or its answer did not come: the event may have arrived all the same."""


class HttpClient:
    """Asks one server. Safe for threads and forks. Never follows a redirect: the token is for this server alone.

    Args:
        url: where the server is, `https://host:port`, with a path before `/v1` where a proxy wants one.
        token, token_file: as `Bearer` has them.
        timeout_s: for the connection, and again for the request and its whole answer, however slowly it comes. To
            find the address of a name takes what the system takes.
        connections: kept open at most.
        ssl_context: of `https`; the system's authorities by default.

    Attributes:
        at: the address, for messages.

    Raises:
        ValueError: an argument is wrong; it is named.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None,
        token_file: str | Path | None,
        timeout_s: float,
        connections: int,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self.at = _address(url)
        self._bearer = Bearer(token, token_file)
        self._timeout = Timeout(connect=timeout_s, read=timeout_s)
        self._connections = connections
        self._ssl_context = ssl_context
        self._pool: tuple[int, PoolManager] | None = None

    def credentials(self) -> str | None:
        """The header that the next request would carry, to see whether it has changed; None: there is none."""
        try:
            return self._bearer.header()
        except NoToken:
            return None

    def ask(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask once.

        Args:
            method: of HTTP.
            path: behind the address, percent-encoded.
            body, headers: of the request; the token is added.

        Raises:
            NoAnswer: says why there is none.
            NoToken: there is no token to ask with.
        """
        said = {**(headers or {}), "Authorization": self._bearer.header(), "User-Agent": "stepwatch-sdk"}
        try:
            response = self._of_this_process().request(
                method,
                self.at + path,
                body=body,
                headers=said,
                timeout=self._timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            return _read(response)
        except (HTTPError, OSError) as error:
            raise NoAnswer(f"{self.at}: {_in_words(error)}") from None

    def _of_this_process(self) -> PoolManager:
        # A connection that a forked child shares with its parent would mix their answers up.
        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = (os.getpid(), pool_of_connections(self._connections, ssl_context=self._ssl_context))
        return self._pool[1]


def _read(response: BaseHTTPResponse) -> Answer:
    try:
        body = response.read(ANSWER_BYTES_MAX)
        whole = not response.read(1)
    except BaseException:
        response.close()
        raise
    if whole:
        response.release_conn()
    else:
        response.close()
    return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, body)


def _address(url: object) -> str:
    problem = ValueError("url: expected https://host:port, without a user, a query or a fragment")
    if not isinstance(url, str):
        raise problem
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        raise problem from None
    if not right or parts.username is not None or parts.query or parts.fragment or not url.isprintable() or " " in url:
        # Not repeated: it may hold a password.
        raise problem
    return url.rstrip("/")


def _in_words(error: BaseException) -> str:
    """Of the system's own error where there is one: the client's wraps it in names of its classes."""
    while (deeper := error.__cause__ or error.__context__) is not None:
        error = deeper
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
