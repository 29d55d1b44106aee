"""One hardened way out for every receiver that is spoken to by HTTP, and what each answer means."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

import httpx

from stepwatch.notifiers.addresses import AddressRefused, Resolve, checked, resolve
from stepwatch.notifiers.delivery import Answer, Outcome
from stepwatch.notifiers.plain import plain

DEADLINE_S = 10.0
"""For one request from resolving to the last byte of the answer."""
CONNECT_S = 4.0
ANSWER_BYTES_MAX = 64 * 1024
"""Of an answer's body no more is read: it is somebody else's."""
RETRY_AFTER_S_MAX = 3600.0
"""What is asked beyond that is cut: an alert of today is not for tomorrow."""
_SHOWN_CHARACTERS = 200
_AGAIN = frozenset({408, 425, 429})
_MESSAGES_FAULT = frozenset({400, 413, 415, 422})
"""What says of a request that it is none. Any other refusal is of the channel: its key, its address, its rights."""
_SECRET_CHARACTERS_MIN = 8
"""Shorter pieces of an address are words like `v2`, which stand in any answer."""

for _name in ("httpx", "httpcore"):
    # They log whole addresses, which are secrets at Slack and Teams, and on debug every header.
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        answer: what it means for the delivery, if nothing in the body says otherwise.
        status: of HTTP; 0 where nothing came.
        body: at most `ANSWER_BYTES_MAX` bytes.
    """

    answer: Answer
    status: int = 0
    body: bytes = b""


class _Pinned(httpx.AsyncBaseTransport):
    """Resolves a host once, looks at every answer, and connects to those addresses; TLS and Host keep the name."""

    def __init__(self, inner: httpx.AsyncBaseTransport, allow_private: bool, resolver: Resolve) -> None:
        self._inner = inner
        self._allow_private = allow_private
        self._resolver = resolver

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url, host = request.url, request.url.host
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            addresses = await checked(host, port, allow_private=self._allow_private, resolver=self._resolver)
        except OSError as error:
            raise httpx.ConnectError(f"no address: {error.strerror or error}") from error
        request.extensions = {**request.extensions, "sni_hostname": host}
        for address in addresses:
            request.url = url.copy_with(host=address)
            try:
                return await self._inner.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure

    async def aclose(self) -> None:
        await self._inner.aclose()


class HttpSender:
    """Sends to one receiver: no redirects, no proxy of the environment, TLS verified, a deadline, a bounded answer."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        ca_file: Path | None = None,
        proxy: str | None = None,
        deadline_s: float = DEADLINE_S,
        resolver: Resolve = resolve,
    ) -> None:
        """A sender without connections: each request makes its own, since a page is rare and an idle one may be dead.

        Args:
            allow_private: whether addresses that are not public may be connected to.
            ca_file: PEM of the authorities that sign the receiver's certificate; None: the system's.
            proxy: address of an HTTP proxy. It resolves the names then, so addresses are its to check; None: none.
            deadline_s: for one request, s.
            resolver: of names.

        Raises:
            OSError: the file cannot be read; ssl.SSLError where it holds no certificate.
        """
        self._deadline_s = deadline_s
        context = ssl.create_default_context(cafile=ca_file)
        # A closed connection is a clean one: nothing of one incident is left for the next.
        limits = httpx.Limits(max_keepalive_connections=0)
        inner = httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits, proxy=proxy)
        self._client = httpx.AsyncClient(
            transport=inner if proxy else _Pinned(inner, allow_private, resolver),
            timeout=httpx.Timeout(deadline_s, connect=min(CONNECT_S, deadline_s)),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "stepwatch", "Accept-Encoding": "identity"},
        )

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
    ) -> Reply:
        """Send one request; raises nothing that a receiver or the network can cause.

        Args:
            method, url, body: of the request; the body is JSON.
            headers: beside those of every request.
            secrets: what must not stand in words, whatever the receiver echoes; the URL's own path is struck out too.
        """
        hidden = [url, *secrets, *_secret_parts(url)]
        try:
            httpx.URL(url)
        except httpx.InvalidURL:
            # Its words hold a piece of the address.
            return _again("the address is none that can be sent to: repair it", unsent=True)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._ask(method, url, body, headers or {}, hidden)
        except AddressRefused as error:
            return _again(f"{error}; set allow_private: true where it is meant", unsent=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return _again(_struck(f"no connection: {_why(error)}", hidden), unsent=True)
        except (TimeoutError, httpx.TimeoutException):
            return _again(f"no answer within {self._deadline_s:g} s")
        except httpx.HTTPError as error:
            return _again(_struck(f"the connection broke: {_why(error)}", hidden))

    async def _ask(self, method: str, url: str, body: bytes, headers: Mapping[str, str], hidden: list[str]) -> Reply:
        said = {**headers, **({"Content-Type": "application/json"} if body else {})}
        async with self._client.stream(method, url, content=body, headers=said) as response:
            answer_body = await _bounded(response)
            # Struck out before it is cut: half a secret is a secret too.
            shown = plain(_struck(answer_body.decode(errors="replace").strip(), hidden), _SHOWN_CHARACTERS)
            answer = meaning(response.status_code, response.headers.get("retry-after", ""), shown)
            return Reply(answer, response.status_code, answer_body)

    async def close(self) -> None:
        """Give back connections."""
        await self._client.aclose()


def meaning(status: int, retry_after: str = "", shown: str = "") -> Answer:
    """What a status of HTTP means for a delivery.

    Args:
        status: 2xx is taken; 400, 413, 415 and 422 refuse this message; 410 ends the channel; the rest may be tried
            again. What is neither 408, 425, 429 nor 5xx is for a person to mend, redirects among it: they are not
            followed, since whoever can redirect a page can read it.
        retry_after: the header, seconds or a date.
        shown: the beginning of the body, for a person.
    """
    words = f"{status}: {shown}" if shown and status >= 300 else str(status)
    if 200 <= status < 300:
        return Answer(Outcome.DELIVERED, words)
    if status == 410:
        return Answer(Outcome.DISABLED, f"{words}; the receiver wants nothing more", unsent=True)
    if status in _MESSAGES_FAULT:
        return Answer(Outcome.REFUSED, words, unsent=True)
    if status in _AGAIN or status >= 500:
        return Answer(Outcome.RETRY, words, retry_after_s(retry_after), unsent=status == 429)
    if 300 <= status < 400:
        words = f"{status}: a redirect, which is not followed; write the last address itself"
    return Answer(Outcome.RETRY, words, unsent=True, is_misset=True)


def retry_after_s(text: str, now_s: float | None = None) -> float | None:
    """Seconds of a Retry-After header, 0 to `RETRY_AFTER_S_MAX`; None where it is none.

    Args:
        text: seconds, or a date of HTTP.
        now_s: the wall clock for dates, s; None: now.
    """
    if text.isascii() and text.isdigit():
        seconds = float(text.lstrip("0")[:10] or "0")
    else:
        try:
            date = email.utils.parsedate_to_datetime(text)
            seconds = date.timestamp() - (time.time() if now_s is None else now_s)
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_S_MAX)


async def _bounded(response: httpx.Response) -> bytes:
    read = b""
    async for chunk in response.aiter_raw():
        read += chunk
        if len(read) >= ANSWER_BYTES_MAX:
            break
    return read[:ANSWER_BYTES_MAX]


def _again(words: str, *, unsent: bool = False) -> Reply:
    return Reply(Answer(Outcome.RETRY, words, unsent=unsent))


def _why(error: httpx.HTTPError) -> str:
    """What the library says, and where it says nothing, what kind of failure it was."""
    said: Any = error
    while said is not None and not str(said):
        said = said.__cause__ or said.__context__
    return plain(f"{type(error).__name__}: {said}" if said is not None else type(error).__name__, _SHOWN_CHARACTERS)


def _secret_parts(url: str) -> list[str]:
    """Path and query of an address, as written and decoded: in the webhooks of chat programs they are the password."""
    path, _, query = url.partition("://")[2].partition("#")[0].partition("?")
    values = [pair.partition("=")[2] for pair in query.split("&")]
    pieces = [*path.split("/")[1:], *values]
    decoded = [spoken for piece in pieces for spoken in (unquote(piece), unquote_plus(piece))]
    parts = [part for part in (*pieces, *decoded) if len(part) >= _SECRET_CHARACTERS_MIN]
    return [f"/{path.partition('/')[2]}" + (f"?{query}" if query else ""), *parts]


def _struck(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted((secret for secret in secrets if len(secret) > 1), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
