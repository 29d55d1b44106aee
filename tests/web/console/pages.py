"""A console of a test without servers: alerts as records, a clock that a test moves, forms as browsers send them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from starlette.testclient import TestClient

from stepwatch.agents.settings import Settings
from stepwatch.console.app import build_app
from stepwatch.console.service import Console
from stepwatch.console.users import set_user
from stepwatch.ingest.alerts import Alerts
from stepwatch.schemas.alerts import AlertRow
from stepwatch.schemas.times import format_time

NOW_US = 1_795_511_000_000_000
AT = format_time(NOW_US - 60_000_000)
PASSWORD = "a long password"
TOKEN = "the-token"
NOBODY = "127.0.0.1:9"
"""An address at which nothing answers."""


def alert(alert_id: str = "al_1", **changes: Any) -> AlertRow:
    """An alert, open and critical."""
    values: dict[str, Any] = {
        "alert_id": alert_id, "version": 1, "tenant": "acme", "kind": "unverified_action", "severity": "critical",
        "state": "open", "subject": "alice", "policy": "payout", "reason": "stale", "title": f"title of {alert_id}",
        "explanation": "the last proof was too old", "runbook": "https://runbooks.acme.example/p", "owner": "payments",
        "count": 1, "actions": ["a-1"], "first_time": AT, "last_time": AT, "opened_at": AT, "updated_at": AT,
        "closes_at": AT, "detection_ms": 12, "overdue_ms": 10,
    }  # fmt: skip
    return AlertRow(**{**values, **changes})


class Site:
    """The app of a console, its clock, and browsers that look at it.

    Attributes:
        now_us: what its clock says.
        console: the process behind the pages; it reads no topic.
    """

    def __init__(self, tmp: Path, *alerts: AlertRow, base: str = "http://console", **changes: Any) -> None:
        self.now_us = NOW_US
        values: dict[str, Any] = {
            "data": tmp,
            "kafka_bootstrap": NOBODY,
            "clickhouse_url": f"http://{NOBODY}",
            "start_timeout_ms": 200,
            **changes,
        }
        self.console = Console(Settings(**values), TOKEN, clock=lambda: self.now_us)
        self._app = build_app(self.console)
        self._base = base
        self.put(*alerts)

    def put(self, *alerts: AlertRow) -> None:
        """Let the board know of alerts, as if they had been read."""
        board = self.console.board
        held = board.alerts if board.alerts is not None else Alerts()
        for number, one in enumerate(alerts):
            record = SimpleNamespace(value=one.model_dump_json().encode(), key=b"", partition=0, offset=number)
            held.take_alert(record)
        board.alerts, board.away = held, ""
        self.console.changes.note()

    def user(self, name: str, role: str = "viewer", *tenants: str) -> None:
        """Add a user to the password file."""
        set_user(self.console.settings.console_users_path, name, PASSWORD, role, tenants or ("*",))

    def browser(self) -> TestClient:
        """One that is not signed in; redirects are shown, not followed."""
        return TestClient(self._app, base_url=self._base, follow_redirects=False, raise_server_exceptions=False)

    def signed_in(self, name: str = "") -> TestClient:
        """A browser of a user, or of whoever has the token."""
        browser = self.browser()
        answer = sign_in(browser, PASSWORD if name else TOKEN, name)
        assert answer.status_code == 303, answer.text
        return browser


def sign_in(browser: TestClient, secret: str, name: str = "", **more: str) -> httpx.Response:
    """Open the form and send it."""
    form = {"csrf": csrf_of(browser.get("/sign-in")), "name": name, "secret": secret, **more}
    return browser.post("/sign-in", data=form)


def csrf_of(page: httpx.Response) -> str:
    """The secret of the first form of a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]
