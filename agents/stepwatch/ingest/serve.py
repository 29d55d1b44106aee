"""The role `ingest` as a process: its address, its parts, its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn

from stepwatch.agents.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_PROBLEM, PortTaken, RoleError, SettingWrong
from stepwatch.agents.logs import configure_logs, get_logger
from stepwatch.agents.settings import Settings, unknown_variables
from stepwatch.ingest.app import build_app
from stepwatch.ingest.connections import HEAD_BYTES_MAX, Bounds, bounded
from stepwatch.ingest.gate import Gate, need_files
from stepwatch.ingest.service import Ingest
from stepwatch.ingest.tokens import read_tokens

log = get_logger(__name__)
_END_S = 5
"""How long requests under way may take once the process is to end."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


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
        """Leave signals to `run_ingest`, which has more to stop than this."""
        yield


def main(settings: Settings) -> int:
    """Run the role as this process; returns the exit status."""
    configure_logs(settings)
    # At `debug` uvicorn would write of every connection, and of a request what a stranger chose.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return asyncio.run(run_ingest(settings))


async def run_ingest(settings: Settings) -> int:
    """Run the role until SIGTERM (0) or SIGINT (130), or until something in it fails, which is logged in words."""
    for name in unknown_variables(os.environ):
        log.warning("no such setting: is it misspelt? `stepwatch settings` lists them", variable=name)
    try:
        return await _run(settings)
    except RoleError as error:
        log.error(str(error), role="ingest", code=error.code, retriable=error.retriable)
        return error.exit_status
    except Exception as error:
        log.error("failed", role="ingest", code="unexpected", exc_info=error)
        return EXIT_PROBLEM


async def _run(settings: Settings) -> int:
    if not read_tokens(settings.tokens_path):
        log.warning(
            "there is no token yet, so nobody can post: `stepwatch token create`", file=str(settings.tokens_path)
        )
    need_files(settings.ingest_connections)
    listener, ingest = _listen(settings), Ingest(settings)
    bounds = Bounds(settings.ingest_head_ms / 1000, settings.ingest_body_ms / 1000, settings.ingest_connections)
    server = _Server(_config(settings, ingest, bounds), bounds)
    loop, signalled = asyncio.get_running_loop(), asyncio.Event()
    by: list[signal.Signals] = []

    def on_signal(which: signal.Signals) -> None:
        by.append(which)
        signalled.set()

    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, on_signal, which)
    log.info("starting", role="ingest", kafka=settings.kafka_bootstrap, at=_address(settings))
    serving = asyncio.ensure_future(server.serve([listener]))
    parts: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(ingest.persist(name, keep, asyncio.sleep))
        for name, keep in (
            ("kafka", ingest.outlet.keep),
            ("policies", ingest.keep_policies),
            ("assurance", ingest.keep_assurance),
            ("alerts", ingest.alerts.follow),
        )
    ]
    waiting = asyncio.ensure_future(signalled.wait())
    done, _ = await asyncio.wait([serving, waiting, *parts], return_when=asyncio.FIRST_COMPLETED)
    # uvicorn would wait for them, and they end by themselves only when their client goes.
    ingest.streams.close()
    server.should_exit = True
    await asyncio.wait([serving])
    for task in (waiting, *parts):
        task.cancel()
    await asyncio.gather(waiting, *parts, return_exceptions=True)
    for task in done - {waiting}:
        task.result()
    log.info("stopped", role="ingest")
    return EXIT_INTERRUPTED if by and by[0] == signal.SIGINT else EXIT_OK


def _config(settings: Settings, ingest: Ingest, bounds: Bounds) -> uvicorn.Config:
    config = uvicorn.Config(
        build_app(ingest),
        http=bounded(bounds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.ingest_idle_ms // 1000,
        timeout_graceful_shutdown=_END_S,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        ssl_certfile=settings.ingest_tls_cert,
        ssl_keyfile=str(settings.ingest_tls_key) if settings.ingest_tls_key else None,
        # Without a password OpenSSL would ask for one on the terminal, and wait.
        ssl_keyfile_password="",
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise SettingWrong(
            f"STEPWATCH_INGEST_TLS_CERT={settings.ingest_tls_cert} and STEPWATCH_INGEST_TLS_KEY="
            f"{settings.ingest_tls_key} cannot be used: {error.strerror or error}; expected a certificate and its own "
            "key in PEM, the key without a password"
        ) from error
    return config


def _listen(settings: Settings) -> socket.socket:
    if settings.ingest_tls_cert is None and settings.ingest_host not in _LOOPBACK:
        log.warning(
            "plain HTTP on an address that others reach: tokens can be read on the way; set STEPWATCH_INGEST_TLS_CERT "
            "and STEPWATCH_INGEST_TLS_KEY, or put a proxy with TLS before it",
            at=_address(settings),
        )
    family = socket.AF_INET6 if ":" in settings.ingest_host else socket.AF_INET
    try:
        return socket.create_server((settings.ingest_host, settings.ingest_port), family=family, backlog=2048)
    except OSError as error:
        raise PortTaken(
            f"{_address(settings)} cannot be listened on ({error.strerror or error}): set STEPWATCH_INGEST_PORT to a "
            "free port, and STEPWATCH_INGEST_HOST to an address of this machine"
        ) from error


def _address(settings: Settings) -> str:
    return f"{settings.ingest_host}:{settings.ingest_port}"
