"""TLS before a server that speaks none: the embedded ClickHouse opens no HTTPS of its own."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.wire.certificates import HOST


@contextlib.contextmanager
def tls_before(port: int, certificate: Path, *, clients_by: Path | None = None) -> Iterator[int]:
    """The port where TLS is spoken for what answers on `port`, as long as the block lasts.

    Args:
        port: of the server behind, on loopback.
        certificate: key and chain in one file.
        clients_by: clients must show a certificate that this authority signed.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients_by is not None:
        context.load_verify_locations(clients_by)
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server((HOST, 0)) as listening:

        def accept() -> None:
            with contextlib.suppress(OSError):  # closed: the block has ended
                while True:
                    client, _ = listening.accept()
                    threading.Thread(target=_serve, args=(context, client, port), daemon=True).start()

        accepting = threading.Thread(target=accept, name="tls", daemon=True)
        accepting.start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
    accepting.join()


def _serve(context: ssl.SSLContext, client: socket.socket, port: int) -> None:
    with contextlib.suppress(OSError), client:
        client.settimeout(60)
        try:
            secured = context.wrap_socket(client, server_side=True)
        except ssl.SSLError:
            # The alert is on its way. Closing with unread bytes would take it back.
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
            return
        with secured, socket.create_connection((HOST, port)) as behind:
            back = threading.Thread(target=_copy, args=(behind, secured), daemon=True)
            back.start()
            _copy(secured, behind)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
