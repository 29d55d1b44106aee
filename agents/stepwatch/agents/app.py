"""One Faust app per role: agents on in-memory channels, services, health pages (DESIGN section 7)."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import faust
from aiokafka.errors import KafkaError
from faust.app.base import BootStrategy
from mode import Service
from mode.supervisors import CrashingSupervisor
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from stepwatch.agents import metrics as role_metrics
from stepwatch.agents.clients import failed
from stepwatch.agents.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_PROBLEM, PortTaken, RoleError
from stepwatch.agents.health import Health
from stepwatch.agents.logs import FRAMEWORK, get_logger
from stepwatch.agents.settings import Role, Settings, unknown_variables

log = get_logger(__name__)


class _NoKafkaOfFausts(BootStrategy):
    """Faust starts agents, services and web; its own consumer and producer would lose exactly-once."""

    enable_kafka = False
    enable_sensors = False


class RoleApp(faust.App):
    """The Faust app of one role.

    Attributes:
        role: which.
        settings: of this process.
        health: what /readyz answers; the role's services keep it true.
    """

    BootStrategy = _NoKafkaOfFausts
    logger = FRAMEWORK

    def __init__(self, role: Role, settings: Settings) -> None:
        port = settings.web_port(role)
        web: dict[str, Any] = {} if port is None else {"web_port": port}
        super().__init__(
            settings.group(role),
            broker="kafka://never.invalid",
            agent_supervisor=CrashingSupervisor,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=port is not None,
            web_host=settings.web_host,
            web_bind=settings.web_host,
            **web,
            web_router_enabled=False,
            web_tables_enabled=False,
            web_stats_enabled=False,
        )
        self.role: Role = role
        self.settings = settings
        self.health = Health()

    def add(self, service: Service) -> None:
        """Start `service` after the app's agents and stop it before them; its failure ends the process."""
        self.service(service)  # type: ignore[arg-type]  # Faust takes an instance too; a test holds it

    def every(self, seconds: float, do: Callable[[], Awaitable[None]]) -> None:
        """Call `do` again and again, at most every so many seconds; its failure ends the process."""
        self.timer(interval=seconds, name=do.__name__)(do)

    async def on_first_start(self) -> None:
        """Make no folders: they would be for Faust's tables, and a role keeps nothing on disk."""

    async def on_started(self) -> None:
        """Open the channels: without a Kafka consumer of Faust's no assignment comes that would do so."""
        self.flow_control.resume()
        self.health.works("start")
        await super().on_started()


def build_app(role: Role, settings: Settings) -> RoleApp:
    """The app of a role, with its health pages, to which the role adds its agent and services.

    Add an agent by `@app.agent(app.channel(maxsize=...))` and a service by `@app.service`. An exception in
    either ends the process: `run_app` returns its exit status.
    """
    app = RoleApp(role, settings)
    if settings.web_port(role) is not None:
        _add_pages(app)
    return app


class _Worker(faust.Worker):
    """Faust's worker, stopped by `run_app`: its own signal handlers do not wait until all is stopped."""

    def install_signal_handlers(self) -> None:
        """Install none."""


async def run_app(app: RoleApp) -> int:
    """Run a role until SIGTERM (a clean stop, 0) or SIGINT (the same, 130), or until something in it fails.

    Returns:
        The exit status: 0, 130, that of the RoleError, or 1. What failed is logged in words, once.
    """
    loop = asyncio.get_running_loop()
    worker = _Worker(app, loop=loop, quiet=True, override_logging=False, redirect_stdouts=False)
    worker.spinner = None  # it writes terminal codes to standard output
    signalled: asyncio.Future[signal.Signals] = loop.create_future()

    def on_signal(which: signal.Signals) -> None:
        if not signalled.done():
            signalled.set_result(which)

    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, on_signal, which)
    log.info("starting", role=app.role, kafka=app.settings.kafka_bootstrap)
    running = asyncio.ensure_future(worker.start())
    ends: list[asyncio.Future[Any]] = [running, signalled]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    failure = _failure(worker, running)
    await worker.stop()
    running.cancel()
    await asyncio.wait({running})
    if failure is not None:
        return _exit_status(app, failure)
    log.info("stopped", role=app.role)
    return EXIT_INTERRUPTED if signalled.done() and signalled.result() == signal.SIGINT else EXIT_OK


def run_role(build: Callable[[Settings], RoleApp], settings: Settings) -> int:
    """Run the app that `build` makes, in an event loop of its own; returns the exit status."""

    async def run() -> int:
        for name in unknown_variables(os.environ):
            log.warning("no such setting: is it misspelt? `stepwatch settings` lists them", variable=name)
        return await run_app(build(settings))

    return asyncio.run(run())


def _add_pages(app: RoleApp) -> None:
    @app.page("/healthz")
    async def healthz(web: Any, request: Any) -> Any:
        return web.text("alive\n")

    @app.page("/readyz")
    async def readyz(web: Any, request: Any) -> Any:
        return web.text(app.health.words() + "\n", status=200 if app.health.ready else 503)

    @app.page("/metrics")
    async def metrics(web: Any, request: Any) -> Any:
        return web.bytes(generate_latest(role_metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _failure(worker: faust.Worker, running: asyncio.Future[None]) -> BaseException | None:
    """Why the worker ended by itself; None where it did not."""
    raised = running.exception() if running.done() and not running.cancelled() else None
    return raised or worker.crash_reason


def _exit_status(app: RoleApp, failure: BaseException) -> int:
    if isinstance(failure, OSError) and failure.errno == errno.EADDRINUSE:
        port = app.settings.web_port(app.role)
        failure = PortTaken(
            f"{app.settings.web_host}:{port} is in use, so /healthz and /metrics cannot be served there: "
            f"set STEPWATCH_{app.role.upper()}_WEB_PORT to a free port, or to 0 to do without"
        )
    if isinstance(failure, KafkaError):
        failure = failed(app.settings, failure)
    if isinstance(failure, RoleError):
        log.error(str(failure), role=app.role, code=failure.code, retriable=failure.retriable)
        return failure.exit_status
    log.error("failed", role=app.role, code="unexpected", exc_info=failure)
    return EXIT_PROBLEM
