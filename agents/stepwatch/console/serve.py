"""The console as a process: its address, who may come in, its parts, its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn

from stepwatch.agents.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_PROBLEM, PortTaken, RoleError, SettingWrong
from stepwatch.agents.logs import configure_logs, get_logger
from stepwatch.agents.settings import Settings, unknown_variables
from stepwatch.console.app import build_app
from stepwatch.console.service import Console
from stepwatch.console.users import read_users
from stepwatch.ingest.connections import HEAD_BYTES_MAX, Bounds, bounded

log = get_logger(__name__)
_END_S: Final = 5
_HEAD_S: Final = 10.0
_WRITE_S: Final = 30.0
_IDLE_S: Final = 30
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `run_console`, which has more to stop than this."""
        yield


def main(settings: Settings, tell: Callable[[str], None]) -> int:
    """Run the console as this process; returns the exit status.

    Args:
        settings: as set.
        tell: takes the address and the token, for the person who started it; never a log.
    """
    configure_logs(settings)
    # At `debug` uvicorn would write of every connection, and of a request what a stranger chose.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    for name in ("clickhouse_connect", "urllib3.connectionpool"):
        # They report what is tried again as if it were lost; what stays wrong is said on the page.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return asyncio.run(run_console(settings, tell))


async def run_console(settings: Settings, tell: Callable[[str], None]) -> int:
    """Run until SIGTERM (0) or SIGINT (130), or until something in it fails, which is logged in words."""
    for name in unknown_variables(os.environ):
        log.warning("no such setting: is it misspelt? `stepwatch settings` lists them", variable=name)
    try:
        return await _run(settings, tell)
    except RoleError as error:
        log.error(str(error), role="console", code=error.code, retriable=error.retriable)
        return error.exit_status
    except Exception as error:
        log.error("failed", role="console", code="unexpected", exc_info=error)
        return EXIT_PROBLEM


async def _run(settings: Settings, tell: Callable[[str], None]) -> int:
    token = _token_of(settings)
    listener, console = _listen(settings), Console(settings, token)
    server = _Server(_config(settings, console))
    loop, signalled = asyncio.get_running_loop(), asyncio.Event()
    by: list[signal.Signals] = []

    def on_signal(which: signal.Signals) -> None:
        by.append(which)
        signalled.set()

    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, on_signal, which)
    log.info("starting", role="console", kafka=settings.kafka_bootstrap, at=address_of(settings))
    serving = asyncio.ensure_future(server.serve([listener]))
    parts = [asyncio.ensure_future(part) for part in console.parts()]
    tell(address_of(settings))
    if token and settings.console_token is None:
        tell(f"token: {token}")
    waiting = asyncio.ensure_future(signalled.wait())
    done, _ = await asyncio.wait([serving, waiting, *parts], return_when=asyncio.FIRST_COMPLETED)
    # uvicorn would wait for them, and they end by themselves only when their browser goes.
    console.changes.close()
    server.should_exit = True
    await asyncio.wait([serving])
    for task in (waiting, *parts):
        task.cancel()
    await asyncio.gather(waiting, *parts, return_exceptions=True)
    console.tables.close()
    for task in done - {waiting}:
        task.result()
    log.info("stopped", role="console")
    return EXIT_INTERRUPTED if by and by[0] == signal.SIGINT else EXIT_OK


def _token_of(settings: Settings) -> str:
    """What opens the console; `""` where people have passwords.

    Raises:
        UsersRefused: the password file cannot be used.
        SettingWrong: others reach the address, and nobody has a password.
    """
    if read_users(settings.console_users_path):
        return ""
    if settings.console_host not in LOOPBACK:
        raise SettingWrong(
            f"STEPWATCH_CONSOLE_HOST={settings.console_host} can be reached by others, and nobody has a password yet: "
            "`stepwatch console passwd NAME --role admin --tenant '*'`, then start it again"
        )
    said = settings.console_token
    return said.get_secret_value() if said is not None else secrets.token_urlsafe(24)


def _config(settings: Settings, console: Console) -> uvicorn.Config:
    config = uvicorn.Config(
        build_app(console),
        http=bounded(Bounds(_HEAD_S, _WRITE_S, settings.console_connections)),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_END_S,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        ssl_certfile=settings.console_tls_cert,
        ssl_keyfile=str(settings.console_tls_key) if settings.console_tls_key else None,
        # Without a password OpenSSL would ask for one on the terminal, and wait.
        ssl_keyfile_password="",
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise SettingWrong(
            f"STEPWATCH_CONSOLE_TLS_CERT={settings.console_tls_cert} and STEPWATCH_CONSOLE_TLS_KEY="
            f"{settings.console_tls_key} cannot be used: {error.strerror or error}; expected a certificate and its own "
            "key in PEM, the key without a password"
        ) from error
    return config


def _listen(settings: Settings) -> socket.socket:
    if settings.console_tls_cert is None and settings.console_host not in LOOPBACK:
        log.warning(
            "plain HTTP on an address that others reach: passwords can be read on the way; set "
            "STEPWATCH_CONSOLE_TLS_CERT and STEPWATCH_CONSOLE_TLS_KEY, or put a proxy with TLS before it",
            at=address_of(settings),
        )
    family = socket.AF_INET6 if ":" in settings.console_host else socket.AF_INET
    try:
        return socket.create_server((settings.console_host, settings.console_port), family=family, backlog=512)
    except OSError as error:
        raise PortTaken(
            f"{address_of(settings)} cannot be listened on ({error.strerror or error}): set STEPWATCH_CONSOLE_PORT to "
            "a free port, and STEPWATCH_CONSOLE_HOST to an address of this machine"
        ) from error


def address_of(settings: Settings) -> str:
    """Where the console is, for a browser."""
    host = f"[{settings.console_host}]" if ":" in settings.console_host else settings.console_host
    return f"http{'s' if settings.console_tls_cert else ''}://{host}:{settings.console_port}/"
