"""Alertmanager is told by its API v2: a real one where one is installed, and its answers by a server of ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stepwatch.embedded import ports
from stepwatch.notifiers.alertmanager import (
    ALIVE_FOR_S,
    ANNOTATION_CHARACTERS_MAX,
    LABEL_CHARACTERS_MAX,
    RESEND_EVERY_S,
    build_alert,
)
from stepwatch.notifiers.delivery import Delivery, Outcome, Step
from stepwatch.notifiers.messages import build_digest
from tests.notifiers.deliveries import HOSTILE, KEY, LONG, deliver, delivery, of_text, receiver, secret_file
from tests.notifiers.loopback import Loopback, Says, loopback
from tests.notifiers.told import shown

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
NOW = datetime(2026, 11, 24, 9, 16, tzinfo=UTC)
_PATIENCE_S = 30.0


def eventually(is_so: Callable[[], Any]) -> Any:
    """What is so in the end."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (found := is_so()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
    return found


class Real:
    """A real Alertmanager that tells a loopback server what it makes of its alerts."""

    def __init__(self, folder: Path, told: Loopback) -> None:
        self.url = f"http://127.0.0.1:{ports.any_free()}"
        self._told = told
        config = {
            "route": {"receiver": "us", "group_by": ["..."], "group_wait": "10ms", "group_interval": "50ms"},
            "receivers": [{"name": "us", "webhook_configs": [{"url": told.url, "send_resolved": True}]}],
        }
        (folder / "config.yml").write_text(json.dumps(config))
        self._command = [
            str(PROGRAM),
            f"--config.file={folder / 'config.yml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--cluster.listen-address=",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._answers)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that are active."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts") as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def told(self) -> list[tuple[str, str]]:
        """(status, severity) of each alert of each notification so far, in order."""
        alerts = [alert for got in self._told.got for alert in got.json["alerts"]]
        return [(alert["status"], alert["labels"]["severity"]) for alert in alerts]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready"):
                return True
        except OSError:
            return False


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    if PROGRAM is None:
        pytest.skip("no Alertmanager on PATH: make test-tools")
    with loopback() as told:
        server = Real(tmp_path, told)
        server.start()
        try:
            yield server
        finally:
            server.kill()


def test_a_real_alertmanager_fires_and_resolves_under_the_alerts_id(real: Real) -> None:
    [opened] = deliver(receiver(type="alertmanager", url=real.url), delivery())
    assert opened.outcome is Outcome.DELIVERED
    [alert] = real.alerts()
    assert (alert["labels"]["alert_id"], alert["labels"]["alertname"]) == (KEY, "unverified_action")
    assert alert["annotations"]["nearest_proof"] == "security key tap 42 s too old"
    assert alert["generatorURL"].endswith(KEY)
    eventually(lambda: real.told() == [("firing", "critical")])
    [resolved] = deliver(receiver(type="alertmanager", url=real.url), delivery(Step.RESOLVE))
    assert resolved.outcome is Outcome.DELIVERED
    eventually(lambda: real.told() == [("firing", "critical"), ("resolved", "critical")])
    assert real.alerts() == []


def test_a_real_alertmanager_takes_a_copy_as_the_same_alert(real: Real) -> None:
    deliver(receiver(type="alertmanager", url=real.url), delivery(), delivery(), delivery(Step.ACKNOWLEDGE))
    [alert] = real.alerts()
    assert alert["annotations"]["state"] == "acknowledged"
    eventually(lambda: real.told() == [("firing", "critical")])


def test_an_alert_of_another_severity_takes_the_place_of_the_former_one(real: Real) -> None:
    to = receiver(type="alertmanager", url=real.url)
    deliver(to, delivery(severity="high"))
    eventually(lambda: real.told() == [("firing", "high")])
    deliver(receiver(type="alertmanager", url=real.url), delivery(Step.UPDATE, version=2))
    [alert] = real.alerts()
    assert alert["labels"]["severity"] == "critical"
    eventually(lambda: set(real.told()[1:]) == {("firing", "critical"), ("resolved", "high")})


def test_an_alertmanager_that_forgot_is_told_again_by_the_same_delivery(real: Real) -> None:
    deliver(receiver(type="alertmanager", url=real.url), delivery())
    real.kill()
    real.start()
    assert real.alerts() == []
    to = receiver(type="alertmanager", url=real.url)
    assert to.resend_every_s == RESEND_EVERY_S
    deliver(to, delivery())
    assert len(real.alerts()) == 1


def test_a_real_alertmanager_takes_any_text(real: Real) -> None:
    for text in (HOSTILE, LONG, "a\ud800"):
        [answer] = deliver(receiver(type="alertmanager", url=real.url), of_text(text, key=text[:100]))
        assert answer.outcome is Outcome.DELIVERED, answer.words
    assert len(real.alerts()) == 3


# Its form, without one.


def test_an_alert_stays_for_an_hour_unless_it_is_sent_again_or_resolved() -> None:
    assert build_alert(delivery(), NOW)["endsAt"] == "2026-11-24T10:16:00.000Z"
    assert timedelta(seconds=ALIVE_FOR_S) > 10 * timedelta(seconds=RESEND_EVERY_S)
    assert build_alert(delivery(Step.RESOLVE), NOW)["endsAt"] == "2026-11-24T09:16:00.000Z"
    assert build_alert(delivery(), NOW)["startsAt"] == "2026-11-24T09:15:00.000000Z"


def test_a_digest_of_policies_is_taken_by_a_real_alertmanager(real: Real) -> None:
    digest = build_digest([shown(), shown(policy="9 lives/é")], why="more than 6 in a minute")
    [answer] = deliver(receiver(type="alertmanager", url=real.url), Delivery("dg_1", 1, Step.TRIGGER, digest))
    assert answer.outcome is Outcome.DELIVERED, answer.words
    [alert] = real.alerts()
    assert alert["annotations"]["unverified_action_under_payout_approve"] == "1"


def test_the_labels_of_an_alert_are_the_same_in_every_step() -> None:
    labels = [build_alert(delivery(step), NOW)["labels"] for step in Step]
    assert labels == [labels[0]] * 4
    assert labels[0] == {
        "alertname": "unverified_action",
        "alert_id": KEY,
        "severity": "critical",
        "tenant": "acme",
        "policy": "payout-approve",
        "owner": "payments-oncall",
        "service": "stepwatch",
    }


@pytest.mark.parametrize("text", [LONG, HOSTILE * 1000])
def test_labels_and_annotations_of_any_text_are_bounded(text: str) -> None:
    alert = build_alert(of_text(text), NOW)
    assert max(map(len, alert["labels"].values())) <= LABEL_CHARACTERS_MAX
    assert max(len(line) for value in alert["annotations"].values() for line in value.split("\n")) <= (
        ANNOTATION_CHARACTERS_MAX
    )


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([Says(200, b"[]"), Says(200, b"")], Outcome.DELIVERED),
        ([Says(500, b"")], Outcome.RETRY),
        ([Says(200, b"[]"), Says(503, b"")], Outcome.RETRY),
        ([Says(200, b"[]"), Says(400, b"bad label")], Outcome.REFUSED),
        ([Says(401, b"")], Outcome.RETRY),
        ([Says(200, b"<html>"), Says(200, b"")], Outcome.DELIVERED),
        ([Says(200, b'[1,{"labels":2}]'), Says(200, b"")], Outcome.DELIVERED),
    ],
)
def test_each_answer_has_its_outcome(answers: list[Says], outcome: Outcome) -> None:
    with loopback(*answers) as server:
        assert deliver(receiver(type="alertmanager", url=server.url), delivery())[0].outcome is outcome


@pytest.mark.parametrize(
    ("answers", "unsent"), [([Says(500, b"")], True), ([Says(lost=True)], True), ([Says(200, b"[]"), Says(500)], False)]
)
def test_a_question_that_is_not_answered_has_put_nothing_there(answers: list[Says], unsent: bool) -> None:
    with loopback(*answers) as server:
        assert deliver(receiver(type="alertmanager", url=server.url), delivery())[0].unsent is unsent


@pytest.mark.parametrize("way", ["bearer", "basic"])
def test_credentials_are_sent_with_both_requests(way: str, tmp_path: Path) -> None:
    path = secret_file(tmp_path, "s3cret-of-ours")
    login: dict[str, str] = {"bearer_file": path} if way == "bearer" else {"user": "u", "password_file": path}
    with loopback(Says(200, b"[]"), Says(401, b"no s3cret-of-ours dTpzM2NyZXQtb2Ytb3Vycw==")) as server:
        [answer] = deliver(receiver(type="alertmanager", url=server.url, **login), delivery())
        said = {got.headers["Authorization"] for got in server.got}
    assert said == {"Bearer s3cret-of-ours" if way == "bearer" else "Basic dTpzM2NyZXQtb2Ytb3Vycw=="}
    assert "s3cret" not in answer.words
    assert way == "bearer" or "dTpz" not in answer.words
