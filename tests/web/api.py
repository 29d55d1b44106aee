"""An ingest process of a test, and what one asks it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stepwatch.agents.settings import Settings
from stepwatch.embedded import ports
from stepwatch.ingest.tokens import create_token, wall_clock_us
from stepwatch.schemas.times import format_time
from tests.live.harness import Worker, new_settings, until

STRUCTURED = "application/cloudevents+json"
POLICY = """\
version: 1
policies:
  - id: payout
    match: {action: ["payments.payout.*"]}
    require: {amr_any: [hwk]}
    alert: {grace: 0s}
"""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Api:
    """A process of the role, with a token that may do everything in tenant acme; with TLS, its authority is ca.pem."""

    def __init__(self, kafka: str, tmp: Path, settings: Settings | None = None, **changes: Any) -> None:
        values = {"ingest_port": ports.any_free(), "tokens_file": tmp / "tokens.json", **changes}
        made = new_settings(kafka, tmp, **values) if settings is None else settings.model_copy(update=values)
        self.settings: Settings = made
        self.secret = create_token(
            self.settings.tokens_path, "all", tenants=["acme"], sources=["*"], may=["post", "read", "respond"]
        )
        self._log = tmp / "ingest.log"
        with_tls = self.settings.ingest_tls_cert is not None
        self._tls = ssl.create_default_context(cafile=tmp / "ca.pem") if with_tls else None

    def start(self) -> Worker:
        """Start it; the caller stops it."""
        return Worker(self.settings, self._log, "stepwatch.cli.main ingest")

    def said(self) -> str:
        """Its log so far."""
        return self._log.read_text()

    def token(self, name: str, **words: Any) -> str:
        """Another token's secret."""
        return create_token(self.settings.tokens_path, name, **{"tenants": ["acme"], "sources": ["*"], **words})

    def ask(self, path: str, body: bytes | None = None, token: str | None = None, **headers: str) -> Answer:
        """One request: a POST where there is a body."""
        said = {"Authorization": f"Bearer {self.secret if token is None else token}"} if token != "" else {}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            said.setdefault("Content-Type", STRUCTURED)
        scheme = "http" if self._tls is None else "https"
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{self.settings.ingest_port}{path}", body, said)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._tls) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())

    def post(self, *events: dict[str, Any], **headers: str) -> Answer:
        """Post events as lines."""
        body = b"\n".join(json.dumps(event).encode() for event in events)
        return self.ask("/v1/events", body, **{"Content_Type": "application/x-ndjson", **headers})

    async def ready(self) -> bool:
        """Whether it waits for nothing."""
        try:
            return self.ask("/readyz", token="").status == 200
        except OSError:
            return False

    def connect(self) -> socket.socket:
        """A connection of one's own, with a time limit."""
        return socket.create_connection(("127.0.0.1", self.settings.ingest_port), timeout=30)


@contextlib.contextmanager
def serving(api: Api) -> Iterator[Worker]:
    """The process, ready, and stopped at the end."""
    worker = api.start()
    try:
        asyncio.run(until(api.ready, 60, "ready"))
        yield worker
    finally:
        status = worker.stop()
        assert api.secret not in worker.said
    assert status == 0, worker.said


def event(id: str, kind: str = "action.performed", *, subject: str = "alice", **data: Any) -> dict[str, Any]:
    """One event of now, of tenant acme."""
    if kind == "action.performed":
        data.setdefault("action", "payments.payout.approve")
    return {
        "specversion": "1.0",
        "id": id,
        "source": "/app",
        "type": f"stepwatch.{kind}",
        "time": format_time(wall_clock_us()),
        "subject": subject,
        "data": {"tenant": "acme", "session": "s-1", **data},
    }
