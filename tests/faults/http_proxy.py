"""A proxy between a role and a real ClickHouse that does to single requests what networks and servers do.

    with HttpProxy(server.port) as proxy:
        proxy.fault = inserts(lose_reply)

It runs in a thread of its own, so a test may block. A fault is an async function of one Exchange; the ones below are
what is needed so far. What was asked, and when, is in `requests`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote_plus

_INSERT = re.compile(r"INSERT INTO\s+`?(\w+)", re.I)
_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked.

    Attributes:
        at: monotonic clock when it had arrived whole, s.
        table: into which it inserts; empty where it is another statement.
        head: start line and header, as sent.
        body: as sent.
    """

    at: float
    table: str
    head: bytes = field(repr=False)
    body: bytes = field(repr=False)


class Exchange:
    """One request and what becomes of it."""

    def __init__(self, request: Request, upstream: int, client: asyncio.StreamWriter, released: asyncio.Event) -> None:
        self.request = request
        self.released = released
        self._upstream = upstream
        self._client = client

    async def forward(self, share: float = 1.0) -> bytes:
        """Send the request to the server, and return its whole reply; with less than all of its bytes, hang up then."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream, limit=_LIMIT)
        try:
            sent = self.request.head + self.request.body
            writer.write(sent[: int(len(sent) * share)])
            await writer.drain()
            return await _read_message(reader) if share >= 1.0 else b""
        except EOFError as error:
            raise ConnectionResetError("the server hung up") from error
        finally:
            writer.transport.abort() if share < 1.0 else writer.close()

    async def answer(self, reply: bytes) -> None:
        """Send bytes to the client."""
        self._client.write(reply)
        await self._client.drain()

    def reset(self) -> None:
        """Reset the connection to the client: RST, where a mere close would say goodbye."""
        opened = self._client.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._client.transport.abort()


Fault = Callable[[Exchange], Awaitable[None]]


async def none(exchange: Exchange) -> None:
    """As if the proxy were not there; a server that is away resets."""
    try:
        reply = await exchange.forward()
    except OSError:
        exchange.reset()
    else:
        await exchange.answer(reply)


async def lose_reply(exchange: Exchange) -> None:
    """The server does what was asked, and the connection is reset before the first byte of its reply."""
    with contextlib.suppress(OSError):
        await exchange.forward()
    exchange.reset()


async def cut_reply(exchange: Exchange) -> None:
    """The server does what was asked, and the connection is reset in the middle of its reply."""
    with contextlib.suppress(OSError):
        reply = await exchange.forward()
        await exchange.answer(reply[: len(reply) // 2])
    exchange.reset()


async def cut_request(exchange: Exchange) -> None:
    """The server gets two thirds of the request, and both connections are reset."""
    with contextlib.suppress(OSError):
        await exchange.forward(0.67)
    exchange.reset()


async def reset(exchange: Exchange) -> None:
    """Nobody hears of the request."""
    exchange.reset()


async def never(exchange: Exchange) -> None:
    """The request is swallowed; the connection stays until `release()`, and is reset then."""
    await exchange.released.wait()
    exchange.reset()


async def held(exchange: Exchange) -> None:
    """The server does what was asked; its reply comes at `release()`."""
    reply = await exchange.forward()
    await exchange.released.wait()
    await exchange.answer(reply)


def late(seconds: float) -> Fault:
    """The server does what was asked; its reply comes so much later."""

    async def fault(exchange: Exchange) -> None:
        reply = await exchange.forward()
        await asyncio.sleep(seconds)
        with contextlib.suppress(OSError):  # nobody waits any more
            await exchange.answer(reply)

    return fault


def says(status: int, body: str, code: int | None = None) -> Fault:
    """An answer that the server never gave; `code`: as an exception of ClickHouse's own."""

    async def fault(exchange: Exchange) -> None:
        header = f"X-ClickHouse-Exception-Code: {code}\r\n" if code else ""
        text = body.encode()
        head = f"HTTP/1.1 {status} So\r\n{header}Content-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n"
        await exchange.answer(head.encode() + text)

    return fault


def exception(code: int, name: str, words: str) -> Fault:
    """ClickHouse's own exception, word for word as it sends one."""
    return says(500, f"Code: {code}. DB::Exception: {words}. ({name}) (version 26.5.1.1)\n", code)


def inserts(fault: Fault, table: str = "") -> Fault:
    """A fault of inserts only, into one table or into any."""

    async def only(exchange: Exchange) -> None:
        met = exchange.request.table and table in ("", exchange.request.table)
        await (fault if met else none)(exchange)

    return only


def sometimes(rng: random.Random, share: float, faults: Sequence[Fault]) -> Fault:
    """One of the faults for this share of requests."""

    async def maybe(exchange: Exchange) -> None:
        await (rng.choice(faults) if rng.random() < share else none)(exchange)

    return maybe


class HttpProxy:
    """A proxy on a port of its own, in front of one server.

    Attributes:
        fault: what becomes of the next requests.
        requests: all so far.
    """

    def __init__(self, upstream: int) -> None:
        self.fault: Fault = none
        self.requests: list[Request] = []
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="http proxy", daemon=True)
        self._started = threading.Event()
        self._exchanges: set[asyncio.Task[None]] = set()
        self._port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def inserts(self, since: float = 0.0) -> list[Request]:
        """The inserts since a moment of the monotonic clock."""
        return [request for request in self.requests if request.table and request.at >= since]

    def release(self) -> None:
        """Let go of all that is held, and of what comes."""
        self._loop.call_soon_threadsafe(self._released.set)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *raised: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._released = asyncio.Event()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LIMIT))
        self._port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for exchange in self._exchanges:
            exchange.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._exchanges, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._exchanges.add(task)
        try:
            while not writer.is_closing():
                request = await _read_request(reader)
                self.requests.append(request)
                await self.fault(Exchange(request, self._upstream, writer, self._released))
        except (EOFError, OSError, asyncio.CancelledError):
            pass  # either side hung up, or the proxy ends
        finally:
            self._exchanges.discard(task)
            writer.transport.abort()


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head, body = await _read_parts(reader)
    statement = unquote_plus(head.split(b" ", 2)[1].decode()) + body[:200].decode(errors="replace")
    found = _INSERT.search(statement)
    return Request(time.monotonic(), found[1] if found else "", head, body)


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    return b"".join(await _read_parts(reader))


async def _read_parts(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of a request or a reply, the body as it is on the wire."""
    head = await reader.readuntil(b"\r\n\r\n")
    header = head.lower()
    if b"transfer-encoding: chunked" in header:
        body, size = b"", 1
        while size:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            body += line + await reader.readexactly(size + 2)
        return head, body
    length = re.search(rb"content-length: *(\d+)", header)
    return head, await reader.readexactly(int(length[1])) if length else b""
