"""HTTP as a process, for the API and the console: its address, its bounds, its parts, its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette

from stepwatch.agents.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_PROBLEM, PortTaken, RoleError, SettingWrong
from stepwatch.agents.logs import configure_logs, get_logger
from stepwatch.agents.settings import Settings, unknown_variables
from stepwatch.ingest.connections import HEAD_BYTES_MAX, Bounds, bounded
from stepwatch.ingest.gate import Gate, need_files

log = get_logger(__name__)
_END_S: Final = 5
"""How long requests under way may take once the process is to end."""
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a role is served.

    Attributes:
        role: its name; its settings begin with it.
        host, port: of this machine.
        cert, key: files of TLS; None: plain HTTP.
        at_stake: what can be read on the way without TLS.
        bounds: of each connection, and how many there may be.
        idle_s: how long a connection is kept open without a request, s.
    """

    role: str
    host: str
    port: int
    cert: Path | None
    key: Path | None
    at_stake: str
    bounds: Bounds
    idle_s: int

    @property
    def address(self) -> str:
        """For a browser or curl."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.cert else ''}://{host}:{self.port}/"

    def variable(self, name: str) -> str:
        """The environment variable of a setting."""
        return f"STEPWATCH_{self.role.upper()}_{name}"


def run_role(settings: Settings, role: str, run: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run a role as this process; returns the exit status. What it fails of is logged in words."""
    configure_logs(settings)
    # At `debug` uvicorn would write of every connection, and of a request what a stranger chose.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    for name in unknown_variables(os.environ):
        log.warning("no such setting: is it misspelt? `stepwatch settings` lists them", variable=name)
    try:
        return asyncio.run(run())
    except RoleError as error:
        log.error(str(error), role=role, code=error.code, retriable=error.retriable)
        return error.exit_status
    except Exception as error:
        log.error("failed", role=role, code="unexpected", exc_info=error)
        return EXIT_PROBLEM


async def _awaited(run: Callable[[], Coroutine[Any, Any, int]]) -> int:
    return await run()


def listen(site: Site, backlog: int) -> socket.socket:
    """Listen there.

    Raises:
        PortTaken: it cannot be listened on.
        SettingWrong: the system allows fewer open files than there may be connections.
    """
    need_files(site.bounds.connections, site.variable("CONNECTIONS"))
    if site.cert is None and site.host not in LOOPBACK:
        log.warning(
            f"plain HTTP on an address that others reach: {site.at_stake} can be read on the way; set "
            f"{site.variable('TLS_CERT')} and {site.variable('TLS_KEY')}, or put a proxy with TLS before it",
            at=site.address,
        )
    family = socket.AF_INET6 if ":" in site.host else socket.AF_INET
    try:
        return socket.create_server((site.host, site.port), family=family, backlog=backlog)
    except OSError as error:
        raise PortTaken(
            f"{site.address} cannot be listened on ({error.strerror or error}): set {site.variable('PORT')} to a free "
            f"port, and {site.variable('HOST')} to an address of this machine"
        ) from error


async def serve(
    site: Site, app: Starlette, listener: socket.socket, parts: Sequence[Awaitable[Any]], end_streams: Callable[[], Any]
) -> int:
    """Serve an app until SIGTERM (0) or SIGINT (130), or until a part of it ends.

    Args:
        site: where.
        app: what.
        listener: of `listen`.
        parts: what the app answers from; none ends by itself.
        end_streams: ends the answers that have no end, for which uvicorn would wait.

    Raises:
        RoleError: as a part, or TLS, raised it.
    """
    server = _Server(_configure(site, app), site.bounds)
    loop, signalled = asyncio.get_running_loop(), asyncio.Event()
    by: list[signal.Signals] = []

    def on_signal(which: signal.Signals) -> None:
        by.append(which)
        signalled.set()

    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, on_signal, which)
    log.info("starting", role=site.role, at=site.address)
    serving, waiting = asyncio.ensure_future(server.serve([listener])), asyncio.ensure_future(signalled.wait())
    running = [asyncio.ensure_future(part) for part in parts]
    done, _ = await asyncio.wait([serving, waiting, *running], return_when=asyncio.FIRST_COMPLETED)
    end_streams()
    server.should_exit = True
    await asyncio.wait([serving])
    for task in (waiting, *running):
        task.cancel()
    await asyncio.gather(waiting, *running, return_exceptions=True)
    for task in done - {waiting}:
        task.result()
    log.info("stopped", role=site.role)
    return EXIT_INTERRUPTED if by and by[0] == signal.SIGINT else EXIT_OK


def _configure(site: Site, app: Starlette) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=bounded(site.bounds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=site.idle_s,
        timeout_graceful_shutdown=_END_S,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        ssl_certfile=site.cert,
        ssl_keyfile=str(site.key) if site.key else None,
        # Without a password OpenSSL would ask for one on the terminal, and wait.
        ssl_keyfile_password="",
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise SettingWrong(
            f"{site.variable('TLS_CERT')}={site.cert} and {site.variable('TLS_KEY')}={site.key} cannot be used: "
            f"{error.strerror or error}; expected a certificate and its own key in PEM, the key without a password"
        ) from error
    return config


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, bounds: Bounds) -> None:
        super().__init__(config)
        self._bounds = bounds
        self._gate: Gate | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but for who accepts connections."""
        assert sockets is not None
        config, state = self.config, self.server_state

        def new_protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=state, app_state={}
            )
            return made

        self.servers = []
        self._gate = Gate(sockets[0], new_protocol, config.ssl, self._bounds, lambda: len(state.connections))
        self._gate.start(self._end)
        self.started = True

    def _end(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, once nobody is let in any more."""
        try:
            if self._gate is not None:
                await self._gate.close()
        finally:
            await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`, which has more to stop than this."""
        yield
