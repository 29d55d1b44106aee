"""A stand-in for `stepwatch ingest`: a real HTTP server on loopback that takes events, and answers as a test says.

For what the real one does at no test's will: to lose an answer, to hang, to want less than a reporter sends.
"""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from stepwatch.embedded import ports

Said = tuple[int, Mapping[str, str], bytes] | None
"""Status, headers, body; None: the connection is cut without an answer."""
Answers = Callable[[list[dict[str, Any]]], Said]
ACCEPTED: Said = (202, {}, b"")


def status(number: int, **headers: str) -> Answers:
    """Take nothing, and answer with this status; a header's `_` stands for `-`."""
    return lambda events: (number, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


def refusing(number: int, wrong: Mapping[str, str]) -> Answers:
    """RFC 9457 for the events with these ids, `field: error` by id; what has none of them is accepted."""

    def answer(events: list[dict[str, Any]]) -> Said:
        found = [(index, wrong[event["id"]].split(": ")) for index, event in enumerate(events) if event["id"] in wrong]
        errors = [{"index": index, "field": field, "error": error} for index, (field, error) in found]
        return problem(number, errors) if errors else ACCEPTED

    return answer


def problem(number: int, errors: Sequence[Mapping[str, Any]], **said: str) -> Said:
    """A problem document."""
    body = json.dumps({"title": "Refused", "status": number, "errors": errors, **said}).encode()
    return number, {"Content-Type": "application/problem+json"}, body


def at_most(count: int) -> Answers:
    """413 for more events than this."""
    return lambda events: ACCEPTED if len(events) <= count else (413, {}, b"")


@dataclass(frozen=True)
class Request:
    """Attributes: port of the client, path, headers (names in lower case), bytes of the body as sent, its events."""

    client_port: int
    path: str
    headers: Mapping[str, str]
    sent_bytes: int
    events: list[dict[str, Any]]


@dataclass
class Stand:
    """Attributes: port; tls: of `https`; the answers to come, the last one for all that follow; all requests; the
    events it took; hold: every answer waits for it.
    """

    port: int = field(default_factory=ports.any_free)
    tls: ssl.SSLContext | None = None
    answers: deque[Answers] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    hold: threading.Event | None = None
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://{ports.HOST}:{self.port}"

    @property
    def ids(self) -> list[str]:
        """Of the events that it took, each once, in their order."""
        return list(dict.fromkeys(event["id"] for event in self.taken))

    def start(self) -> Self:
        stand = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                stand._serve(self)

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on stderr."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            # A stop must not wait for connections that are kept open.
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that was killed is what some tests are about."""

        self._server = Server((ports.HOST, self.port), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        events = json.loads(
            gzip.decompress(body) if handler.headers.get("Content-Encoding") == "gzip" else body or b"[]"
        )
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append(Request(handler.client_address[1], handler.path, headers, len(body), events))
        if self.hold is not None:
            self.hold.wait(30)
        answer = self.answers[0] if self.answers else (lambda events: ACCEPTED)
        if len(self.answers) > 1:
            self.answers.popleft()
        said = answer(events)
        # Without its server this is a connection that outlived it: nobody is there any more.
        if said is None or self._server is None:
            if said is None:
                self.taken += events
            handler.close_connection = True
            return
        if said[0] == 202:
            self.taken += events
        handler.send_response(said[0])
        for name, value in said[1].items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(said[2])))
        handler.end_headers()
        handler.wfile.write(said[2])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.hold is not None:
            self.hold.set()
        self.stop()
