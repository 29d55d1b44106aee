"""uvicorn's connections, with the bounds that it lacks: who is slow, silent or too large does not stay.

It has a time limit for idle connections only. A client that sends a byte of its head a second, one that never reads its
answer, and one that goes on sending a body that was refused would each hold a connection for ever.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from stepwatch.ingest.problems import PROBLEM_JSON, ProblemDetails

REFUSED_BYTES_MAX: Final = 8 << 20
"""Of a body that was answered already: read and thrown away, so that its sender gets to read the answer."""
HEAD_BYTES_MAX: Final = 16 * 1024


def _problem(status: HTTPStatus, detail: str, header: str = "") -> bytes:
    """An answer for whom no request was read, so no page is named in it."""
    details = ProblemDetails(title=status.phrase, status=status, detail=detail, instance="")
    body = details.model_dump_json(exclude={"errors"})
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{header}Connection: close\r\nContent-Type: {PROBLEM_JSON}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


_FULL: Final = _problem(
    HTTPStatus.SERVICE_UNAVAILABLE, "too many connections are open: repeat the request soon", "Retry-After: 1\r\n"
)
_TOO_SLOW: Final = _problem(HTTPStatus.REQUEST_TIMEOUT, "the head of the request did not come in time")
_NO_HTTP: Final = _problem(
    HTTPStatus.BAD_REQUEST, f"expected an HTTP/1.1 request with a head of at most {HEAD_BYTES_MAX} bytes"
)


class Bounds(NamedTuple):
    """Of each connection, in seconds, and how many there may be."""

    head_s: float
    write_s: float
    connections: int


def bounded(bounds: Bounds) -> type[H11Protocol]:
    """The protocol class for uvicorn that keeps these bounds."""
    return type("BoundedProtocol", (_BoundedProtocol,), {"bounds": bounds})


class _BoundedProtocol(H11Protocol):
    bounds: Bounds

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owing: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._thrown_away = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            transport.write(_FULL)
            self._end()
            return
        self._look()

    def data_received(self, data: bytes) -> None:
        if self._answered_early():
            self._thrown_away += len(data)
            if self._thrown_away > REFUSED_BYTES_MAX:
                self.transport.abort()
                return
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        self._thrown_away = 0
        super().on_response_complete()
        self._look()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_NO_HTTP)
        self._end()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._end()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(self.bounds.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stuck is not None and not self.transport.is_closing():
            self._stuck.cancel()
            self._stuck = None

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._owing, self._stuck):
            if timer is not None:
                timer.cancel()
        self._owing = None
        super().connection_lost(exc)

    def _answered_early(self) -> bool:
        """The answer went out, and the rest of the request still comes."""
        return self.cycle is not None and self.cycle.response_complete and self.conn.their_state is h11.SEND_BODY

    def _look(self) -> None:
        """Set the time limit while a head is owed to us, or the rest of what was answered; it runs from its first byte.

        Between two requests uvicorn's own limit holds; while a request is under way, that of whoever reads its body.
        """
        if self.transport.is_closing():
            return
        idle = self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None
        if not (idle or self._answered_early()):
            if self._owing is not None:
                self._owing.cancel()
                self._owing = None
        elif self._owing is None:
            self._owing = self.loop.call_later(self.bounds.head_s, self._too_slow)

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            if self.conn.our_state is h11.IDLE:
                self.transport.write(_TOO_SLOW)
            self._end()

    def _end(self) -> None:
        """Close, and do not wait long for a client that does not read."""
        self.transport.close()
        if self._stuck is None:
            self._stuck = self.loop.call_later(self.bounds.write_s, self.transport.abort)
