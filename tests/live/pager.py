"""A pager on loopback that counts incidents by their keys, as PagerDuty's Events API does, and fails when told to."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_STEPS = {"trigger": "open", "acknowledge": "acknowledged", "resolve": "resolved"}


class Pager:
    """What came, and what is answered.

    Attributes:
        incidents: dedup key -> state.
        rings: dedup key -> how often it was opened.
        steps: (action, key) of each event that was taken.
        status: what is answered; 0: the connection is closed without an answer, after the event was taken.
    """

    def __init__(self) -> None:
        self.incidents: dict[str, str] = {}
        self.rings: Counter[str] = Counter()
        self.steps: list[tuple[str, str]] = []
        self.status = 202
        self.url = ""
        self._lock = threading.Lock()

    def take(self, event: dict[str, Any]) -> None:
        """Do what an event says."""
        key, step = event["dedup_key"], event["event_action"]
        with self._lock:
            before = self.incidents.get(key)
            self.steps.append((step, key))
            if step == "trigger":
                self.rings[key] += before in (None, "resolved")
            if before is not None or step == "trigger":
                again = step == "trigger" and before == "acknowledged"
                self.incidents[key] = "acknowledged" if again else _STEPS[step]


@contextmanager
def pager() -> Iterator[Pager]:
    """A pager that listens until the block ends."""
    counting = Pager()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = counting.status
            if status in (0, 202):
                counting.take(event)
            if status == 0:
                self.close_connection = True
                return
            body = json.dumps({"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]})
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    counting.url = f"http://127.0.0.1:{server.server_address[1]}/v2/enqueue"
    try:
        yield counting
    finally:
        server.shutdown()
        server.server_close()


def routes_file(folder: Path, counting: Pager) -> Path:
    """A routing file whose one channel is this pager."""
    (folder / "routing_key").write_text("0123456789abcdef0123456789abcdef\n")
    path = folder / "routes.yaml"
    path.write_text(
        f"""
version: 1
channels:
  - name: pager
    type: pagerduty
    url: {counting.url}
    allow_private: true
    routing_key_file: {folder / "routing_key"}
routes: [{{to: [pager]}}]
"""
    )
    return path
