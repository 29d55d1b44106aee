"""An application of two processes that report over TLS and SASL: pre-forked here, or by `uvicorn --workers`."""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from stepwatch.sdk import AsgiContext, KafkaReporter, Source, WsgiContext

WORKERS = 2
APP = Source("/served", tenant="acme")


def options_for(ca: str, mechanism: str, user: str, password: str) -> dict[str, Any]:
    """What the README says to give the reporter, for a listener with TLS and SASL."""
    return {
        "security_protocol": "SASL_SSL",
        "ssl_context": ssl.create_default_context(cafile=ca),
        "sasl_mechanism": mechanism,
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }


def new_reporter() -> KafkaReporter:
    """As `SERVED`, JSON in the environment, says."""
    said = json.loads(os.environ["SERVED"])
    options = options_for(said["ca"], said["mechanism"], said["user"], said["password"])
    return KafkaReporter(said["bootstrap"], prefix=said["prefix"], options=options, close_timeout_s=30)


def report(reporter: KafkaReporter, name: str) -> str:
    """Report an action of this id; returns the process."""
    reporter.report(APP.action_performed("a.b", subject=f"user-{name}", id=name))
    return str(os.getpid())


class Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def prefork() -> None:
    """Make the reporter, report once, fork, and let each child answer on the one socket until SIGTERM."""
    reporter = new_reporter()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        process = report(reporter, environ["PATH_INFO"].strip("/"))
        start_response("200 OK", [("content-type", "text/plain")])
        return [process.encode()]

    server = make_server("127.0.0.1", 0, WsgiContext(app), handler_class=Quiet)
    report(reporter, "parent")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    children = []
    for _ in range(WORKERS):
        child = os.fork()
        if child == 0:
            server.serve_forever()
        children.append(child)
    print(server.server_port, flush=True)
    try:
        signal.pause()
    finally:
        for child in children:
            os.kill(child, signal.SIGTERM)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(max(statuses))


def asgi() -> AsgiContext:
    """For `uvicorn --factory --workers`: a reporter in each process, closed when its server ends."""
    reporter = new_reporter()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with reporter:
            yield

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(report(reporter, request.path_params["name"]))

    return AsgiContext(Starlette(routes=[Route("/{name}", answer)], lifespan=lifespan))


if __name__ == "__main__":
    prefork()
