"""The example bank in one process: its API by HTTP, its reporter in memory, its clock and its people's phones."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
import pytest
from starlette.testclient import TestClient

from deploy.examples.bank.api import new_app
from deploy.examples.bank.outcomes import Outcomes
from deploy.examples.bank.stepwatch_wiring import Stepwatch
from stepwatch.sdk import MemoryReporter
from tests.sdk.codes import KEY, STEP_US

LARGE, OTHER, SMALL = 0, 1, 2
"""Which of a person's first payouts is what."""


@dataclass
class Teller:
    """One person at the bank.

    Attributes:
        client: their browser.
        reporter: what the bank reported.
        now_us: the clock of the process; it begins near the true one, by which actions are timed, at the start of a
            time step.
    """

    client: TestClient
    reporter: MemoryReporter
    outcomes: Outcomes
    now_us: int
    number: int = 1000
    totp: pyotp.TOTP | None = field(default=None)

    def post(self, path: str, **fields: str) -> Any:
        """A request with a JSON body."""
        return self.client.post(path, json=fields)

    def sign_in(self, person: str = "ada") -> None:
        assert self.post("/session", person=person).status_code == 201

    def enrol(self) -> None:
        """Scan the QR code, confirm it, and wait until the code that did is over."""
        uri = self.post("/enrolment").json()["uri"]
        totp = pyotp.parse_uri(uri)
        assert isinstance(totp, pyotp.TOTP)
        self.totp = totp
        assert self.post("/enrolment/confirm", code=self.code()).status_code == 201
        self.now_us += STEP_US

    def code(self) -> str:
        """What the phone shows now."""
        assert self.totp is not None
        return self.totp.at(self.now_us // 1_000_000)

    def payout(self, place: int = LARGE) -> str:
        """Id of one of the first payouts."""
        return f"po-{self.number + place}"

    def pay(self, place: int = LARGE, route: str = "") -> Any:
        return self.post(f"{route}/payouts/{self.payout(place)}/pay")

    def prove(self, token: str, code: str, place: int = LARGE) -> Any:
        return self.post(f"/payouts/{self.payout(place)}/prove", challenge=token, code=code)

    def challenged(self, place: int = LARGE) -> str:
        """The token of a new challenge."""
        asked = self.pay(place)
        assert asked.status_code == 401
        return str(asked.json()["challenge"])


def new_teller(tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Teller:
    """A bank that has just opened, with somebody at its door."""
    reporter, outcomes = MemoryReporter(), Outcomes()
    app = new_app(Stepwatch(reporter, tmp / "otp.db", KEY), outcomes)
    now_us = time.time_ns() // 1000 // STEP_US * STEP_US
    teller = Teller(TestClient(app, base_url="http://127.0.0.1"), reporter, outcomes, now_us)
    monkeypatch.setattr(time, "time_ns", lambda: teller.now_us * 1000)
    return teller
