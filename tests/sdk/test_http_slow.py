"""A server that answers without end, a byte at a time: it is left when the time is over, whatever it drips."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import pytest
import trustme

from stepwatch.embedded import ports
from stepwatch.sdk import HttpReporter
from stepwatch.sdk.http_assurance import AssuranceUnknown, HttpAssurance
from stepwatch.sdk.http_client import HttpClient, NoAnswer
from tests.sdk.reported import report, until

TIMEOUT_S = 0.3
PAUSE_S = 0.02
"""Far below the timeout, which a socket's own would therefore never reach."""
BODY = b'{"verifications":[]}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n" + BODY.ljust(300)
DRIPS: dict[str, list[bytes]] = {
    "head": [bytes([byte]) for byte in WHOLE.replace(b"OK", b"O" + b"K" * 200)],
    "body": [LONG[:-300], *[bytes([byte]) for byte in LONG[-300:]]],
    "endless-begin": [b"HTTP/1.1 100 Continue\r\n\r\n"] * 200 + [WHOLE],
}


class Slow:
    """A server on loopback that does the same with every connection, a step each 20 ms, until its client is gone.

    Attributes:
        steps: how many were done in all.
        over: connections whose client has not waited for the last step.
    """

    def __init__(self, step: Callable[[socket.socket, int], bool], tls: ssl.SSLContext | None = None) -> None:
        self.steps = self.over = 0
        self._step = step
        self._tls = tls
        self._stop = threading.Event()
        self._listener = socket.create_server((ports.HOST, 0))
        self.url = f"http{'s' if tls else ''}://{ports.HOST}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._listener.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
                with self._tls.wrap_socket(client, server_side=True) if self._tls else client as client:
                    self._serve(client)
            except OSError:
                self.over += 1

    def _serve(self, client: socket.socket) -> None:
        number = 0
        while self._step(client, number) and not self._stop.wait(PAUSE_S):
            number += 1
            self.steps += 1


def dripping(pieces: list[bytes]) -> Callable[[socket.socket, int], bool]:
    def step(client: socket.socket, number: int) -> bool:
        if number == 0:
            client.recv(65536)
        client.sendall(pieces[number])
        return number + 1 < len(pieces)

    return step


@pytest.fixture(params=["http", "https"])
def contexts(request: pytest.FixtureRequest) -> Iterator[tuple[ssl.SSLContext | None, ssl.SSLContext | None]]:
    """The server's and the client's."""
    if request.param == "http":
        yield None, None
        return
    authority, ours = trustme.CA(), ssl.create_default_context()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert(ports.HOST).configure_cert(server)
    yield server, ours


@pytest.mark.parametrize("drip", DRIPS)
def test_an_answer_that_drips_is_none_when_the_time_is_over(
    drip: str, contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None]
) -> None:
    server, ours = contexts
    with Slow(dripping(DRIPS[drip]), server) as slow:
        assurance = HttpAssurance(slow.url, token="tok-1", timeout_s=TIMEOUT_S, ssl_context=ours)
        with pytest.raises(AssuranceUnknown, match="timed out"):
            assurance.proofs("acme", "alice")
        until(lambda: slow.over == 1, "that the connection is closed")
        assert slow.steps < len(DRIPS[drip]) - 1


def test_the_same_answer_is_believed_where_it_comes_in_time() -> None:
    with Slow(dripping(DRIPS["body"])) as slow:
        assert HttpAssurance(slow.url, token="tok-1", timeout_s=60).proofs("acme", "alice") == ()


def test_a_request_that_is_taken_a_little_at_a_time_has_the_same_end(
    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
) -> None:
    server, ours = contexts
    left = [8 * 1024 * 1024]

    def sipping(client: socket.socket, number: int) -> bool:
        left[0] -= len(client.recv(65536))
        return left[0] > 0

    with Slow(sipping, server) as slow:
        client = HttpClient(
            slow.url, token="tok-1", token_file=None, timeout_s=TIMEOUT_S, connections=1, ssl_context=ours
        )
        with pytest.raises(NoAnswer, match="timed out"):
            client.ask("POST", "/v1/events", body=b"x" * left[0])
    assert left[0] > 0


def test_a_reporter_says_so_and_keeps_its_events() -> None:
    with Slow(dripping(DRIPS["body"])) as slow:
        reporter = HttpReporter(slow.url, token="tok-1", timeout_s=TIMEOUT_S)
        report(reporter, 3)
        until(lambda: "timed out" in reporter.stats.away, "that it is said")
        assert (reporter.stats.waiting, reporter.stats.dropped) == (3, {})
        assert not reporter.close(0)
