"""The example bank by its one command, its own servers and roles: pay by HTTP, and read what becomes of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest

from stepwatch.embedded import ports
from stepwatch.embedded.folder import DataFolder

pytestmark = pytest.mark.live
ROOT = Path(__file__).resolve().parents[2]
_LISTENERS = ("kafka", "kafka_controller", "clickhouse", "correlate_web", "store_web", "notify_web", "bank_web")
_VERDICT_S = 60.0


class Opened:
    """A bank that runs."""

    def __init__(self, data: Path) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("STEPWATCH_")}
        command = [sys.executable, "-m", "deploy.examples.bank", "--data", str(data)]
        self.log = data / "bank.log"
        with self.log.open("w") as err:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=err, text=True
            )
        assert self.process.stdout is not None
        # It ends by itself where something cannot be had, so this line comes or the end does.
        said = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found, self.log.read_text()
        self.url = found[0]

    def stop(self, by: signal.Signals) -> int:
        """The exit status after a signal."""
        self.process.send_signal(by)
        return self.process.wait(60)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder with ports of its own; nothing may run on it in the end."""
    (tmp_path / "ports.json").write_text(json.dumps({name: ports.any_free() for name in _LISTENERS}))
    yield tmp_path
    assert not DataFolder(tmp_path).is_owned(), "a server outlived the bank"


class Person:
    """Ada at her browser."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url)
        assert self.post("/session", person="ada").status_code == 201
        totp = pyotp.parse_uri(self.post("/enrolment").json()["uri"])
        assert isinstance(totp, pyotp.TOTP)
        self.totp = totp
        assert self.post("/enrolment/confirm", code=self.totp.now()).status_code == 201

    def post(self, path: str, **fields: str) -> httpx.Response:
        return self._client.post(path, json=fields)

    def verdicts(self) -> set[tuple[str, str]]:
        """(what, verdict and reason) as the page shows them."""
        page = self._client.get("/").text
        lines = re.findall(r'data-kind="verdict" data-words="(\w+ \w+)".*?class="title">([^<]+)<', page, re.DOTALL)
        return {(title, words) for words, title in lines}

    def next_code(self) -> str:
        """A code that was not used yet: of the step that follows, which the verifier takes for a fast clock's."""
        return self.totp.at(int(time.time()) + self.totp.interval)


def until(what: Callable[[], object], expected: object) -> None:
    """Ask until it is as expected."""
    give_up = time.monotonic() + _VERDICT_S
    while (found := what()) != expected:
        if time.monotonic() > give_up:
            assert found == expected
        time.sleep(0.2)


def stored(data: Path) -> set[tuple[str, str, str, str]]:
    """(payout, outcome, verdict, reason) of each action in ClickHouse."""
    query = "select resource_id, outcome, verdict, reason from audit_current"
    command = [sys.executable, "-m", "stepwatch.cli.main", "sql", "--data", str(data), "--json", query]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # Until the store has made the tables it is refused in words.
    rows: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    return {(row["resource_id"], row["outcome"], row["verdict"], row["reason"]) for row in rows}


def test_what_is_paid_by_http_is_judged_on_the_page_as_in_the_tables_and_ctrl_c_ends_all(data: Path) -> None:
    bank = Opened(data)
    try:
        ada = Person(bank.url)
        challenged = ada.post("/payouts/po-1000/pay")
        assert challenged.status_code == 401
        token, code = challenged.json()["challenge"], ada.next_code()
        assert ada.post("/payouts/po-1000/prove", challenge=token, code=code).status_code == 200
        assert ada.post("/payouts/po-1000/pay").status_code == 200
        token = ada.post("/payouts/po-1001/pay").json()["challenge"]
        replayed = ada.post("/payouts/po-1001/prove", challenge=token, code=code)
        assert replayed.json()["failure"] == "replayed_code"
        assert ada.post("/payouts/po-1002/pay").status_code == 200
        assert ada.post("/old/payouts/po-1003/pay").status_code == 200
        expected = {
            # First `no_step_up`; revised when the proof came, for the payment that followed it.
            ("po-1000", "denied", "unverified", "after_the_fact"),
            ("po-1000", "success", "verified", "step_up"),
            ("po-1001", "denied", "unverified", "wrong_binding"),
            ("po-1002", "success", "not_required", "no_policy"),
            ("po-1003", "success", "unverified", "wrong_binding"),
        }
        ended = {"denied": "was stopped", "success": "took effect"}
        shown = {(f"payout {what} {ended[how]}", f"{verdict} {why}") for what, how, verdict, why in expected}
        until(ada.verdicts, shown)
        until(lambda: stored(data), expected)
        assert bank.stop(signal.SIGINT) == 130
        assert "Traceback" not in bank.log.read_text()
    finally:
        bank.process.kill()
