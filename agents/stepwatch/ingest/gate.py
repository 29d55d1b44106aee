"""Connections, let in one by one: each counts from its first moment, before any TLS handshake, and that has its time.

asyncio's own server starts handshakes without end and waits a minute for each, so silent clients would use up the files
of the process, and nobody else could connect.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import Callable
from typing import Final

from stepwatch.agents.errors import SettingWrong
from stepwatch.agents.logs import get_logger
from stepwatch.ingest.connections import Bounds

log = get_logger(__name__)
_FILES_BESIDE: Final = 128
"""What the process opens beside its clients' connections: those to Kafka and ClickHouse, and files."""
_AGAIN_S: Final = 1.0


class Gate:
    """Lets connections in, from `start` to `close`.

    Args:
        listener: they arrive there.
        protocol: makes the protocol of one.
        tls: None: plain HTTP.
        bounds: of each, and how many there may be.
        served: how many are served now.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        bounds: Bounds,
        served: Callable[[], int],
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._tls = tls
        self._bounds = bounds
        self._served = served
        self._opening: set[asyncio.Task[None]] = set()
        self._letting_in: asyncio.Task[None] | None = None

    def start(self, on_end: Callable[[], None]) -> None:
        """Let connections in; `on_end` is called when none are any more, whatever the reason."""
        self._listener.setblocking(False)
        self._letting_in = asyncio.create_task(self._let_in())
        self._letting_in.add_done_callback(lambda _: on_end())

    async def close(self) -> None:
        """Let none in any more; those that are not open yet are closed.

        Raises:
            Exception: what kept it from letting them in, if it was that.
        """
        if self._letting_in is None:
            return
        for task in (self._letting_in, *self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError):
            await self._letting_in

    async def _let_in(self) -> None:
        loop, said = asyncio.get_running_loop(), ""
        while True:
            try:
                client, _ = await loop.sock_accept(self._listener)
            except ConnectionError:
                continue
            except OSError as error:
                if str(error) != said:
                    said = str(error)
                    log.error("no connection can be let in; trying again every second", error=said)
                await asyncio.sleep(_AGAIN_S)
                continue
            said = ""
            # With plain HTTP one too many is told so; here that would take the handshake that there is no room for.
            if self._tls is not None and self._served() + len(self._opening) >= self._bounds.connections:
                client.close()
            else:
                task = asyncio.create_task(self._open(client))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)
            # What waits in the listener comes without a pause, and others must be served.
            await asyncio.sleep(0)

    async def _open(self, client: socket.socket) -> None:
        with_tls = self._tls is not None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                client,
                ssl=self._tls,
                ssl_handshake_timeout=self._bounds.head_s if with_tls else None,
                ssl_shutdown_timeout=self._bounds.write_s if with_tls else None,
            )
        except (OSError, TimeoutError):
            # It spoke no TLS, or not in time; asyncio has closed it.
            return


def need_files(connections: int, setting: str) -> None:
    """See to it that the process may open a file for each connection, and what it needs beside them.

    Args:
        connections: at most.
        setting: the variable that says so.

    Raises:
        SettingWrong: the system allows too few.
    """
    wanted = connections + _FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SettingWrong(
            f"{setting}={connections} needs {wanted} open files, and this process may have {hard}: "
            f"set at most {max(hard - _FILES_BESIDE, 1)}, or allow more files (ulimit -n)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
