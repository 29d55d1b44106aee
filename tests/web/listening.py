"""A client of the stream of alerts in tests: it reads what comes, one event after another."""

from __future__ import annotations

import http.client
import json
from types import TracebackType
from typing import Any, Self

from tests.web.api import Api

_EVENTS_MAX = 300
"""In which an alert must come; of comments a minute, where one comes every 200 ms."""


class Listener:
    """One stream, open from the head of its answer on.

    Attributes:
        alerts: those that came.
        last_id: the `id` that was read last.
    """

    def __init__(self, api: Api, query: str = "", *, token: str | None = None, last_id: str = "") -> None:
        self.alerts: list[dict[str, Any]] = []
        self.last_id = last_id
        self._connection = http.client.HTTPConnection("127.0.0.1", api.settings.ingest_port, timeout=60)
        headers = {"Authorization": f"Bearer {token or api.secret}"} | ({"Last-Event-ID": last_id} if last_id else {})
        self._connection.request("GET", f"/v1/stream{query}", headers=headers)
        self._answer = self._connection.getresponse()
        if self._answer.status != 200:
            self._connection.close()
            raise AssertionError(f"status {self._answer.status}")
        assert self._answer.headers["content-type"].startswith("text/event-stream")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answer.close()
        self._connection.close()

    def alert(self) -> dict[str, Any]:
        """The next alert."""
        count = len(self.alerts)
        for _ in range(_EVENTS_MAX):
            assert self._event() is not None, "the stream has ended"
            if len(self.alerts) > count:
                return self.alerts[-1]
        raise AssertionError("comments came, and no alert")

    def beat(self) -> None:
        """Read up to the next comment that says that the stream is alive."""
        while (said := self._event()) != [": alive"]:
            assert said is not None, "the stream has ended"

    def until_ended(self) -> None:
        """Read up to the end."""
        while self._event() is not None:
            pass

    def _event(self) -> list[str] | None:
        """The lines of the next event; None at the end."""
        lines: list[str] = []
        while line := self._answer.readline():
            text = line.decode().rstrip("\n")
            if not text:
                break
            lines.append(text)
            name, _, value = text.partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "data":
                self.alerts.append(json.loads(value))
        return lines or None
