"""A real HTTP server on loopback that answers as a test says, and keeps what it was sent."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Got:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Says:
    """One answer.

    Attributes:
        lost: the request is taken, and the connection closed without an answer.
        hangs: nothing is answered until the server ends.
    """

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: bool = False
    hangs: bool = False


class Loopback:
    """The server. `answers` are given in turn, the last of them for ever."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self.got: list[Got] = []
        self.answers: list[Says | Callable[[Got], Says]] = [Says()]
        self.over = threading.Event()
        self._scheme = "http" if context is None else "https"
        self._server = _Server((address, port), _Handler)
        self._server.loopback = self
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Of the server, without a slash at the end."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def next_answer(self, got: Got) -> Says:
        self.got.append(got)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, Says) else answer(got)

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    loopback: Loopback

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off, as some tests make it, is no error here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        loopback = self.server.loopback
        answer = loopback.next_answer(Got(self.command, self.path, dict(self.headers.items()), body))
        if answer.hangs:
            loopback.over.wait(60)
        if answer.hangs or answer.lost:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = _any

    def log_message(self, format: str, *args: Any) -> None:
        """The tests read what came; nothing is printed."""


@contextmanager
def loopback(*answers: Says, **options: Any) -> Iterator[Loopback]:
    """A running server that gives these answers in turn; none: 200."""
    with Loopback(**options) as server:
        server.answers = list(answers) or [Says()]
        yield server
