"""Connections whose request and whole answer have one end in time, however slowly the bytes come.

A socket's own timeout begins anew with each piece: a server that drips would hold its caller for as long as it likes.
"""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any, Final

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

_PIECE_BYTES: Final = 16 * 1024
"""One record of TLS: its socket counts the timeout for each anew."""


def pool_of_connections(connections: int, **said: Any) -> PoolManager:
    """A pool for one server.

    The `connect` timeout of a request is for the connection, and again for all that follows; the `read` timeout is to
    be the same. Neither is for the name: that takes what the system takes, and each of its addresses is tried as long.

    Args:
        connections: kept open at most.
        said: for urllib3's connections.
    """
    pool = PoolManager(num_pools=1, maxsize=connections, **said)
    pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return pool


class _Reader(io.RawIOBase):
    """What comes from a socket until then."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, until_s: float) -> None:
        self._raw = raw
        self._sock = sock
        self._until_s = until_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        _give(self._sock, self._until_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Ends:
    """Mixed into urllib3's connections."""

    _until_s = 0.0

    def request(self, *args: Any, **said: Any) -> None:
        connection: Any = self
        if connection.sock is None:
            connection.connect()
        self._until_s = time.monotonic() + connection.timeout
        super().request(*args, **said)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        connection: Any = self
        for begin in range(0, len(data), _PIECE_BYTES):
            _give(connection.sock, self._until_s)
            super().send(data[begin : begin + _PIECE_BYTES])  # type: ignore[misc]

    def response_class(self, sock: socket.socket, **said: Any) -> HTTPResponse:
        """What `http.client` makes of the socket once the request is sent."""
        response = HTTPResponse(sock, **said)
        raw: Any = response.fp
        response.fp = io.BufferedReader(_Reader(raw.detach(), sock, self._until_s))
        return response


class _HttpConnection(_Ends, HTTPConnection):  # type: ignore[misc]  # a class there, a function here: both are called
    pass


class _HttpsConnection(_Ends, HTTPSConnection):  # type: ignore[misc]
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


def _give(sock: socket.socket, until_s: float) -> None:
    """Give the socket what is left of the time.

    Raises:
        TimeoutError: nothing is.
    """
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("timed out")
    sock.settimeout(left_s)
