"""The SDK's reporter over a protected wire: what an application reports arrives, from several processes too."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stepwatch.agents.settings import Settings
from stepwatch.embedded import ports
from stepwatch.schemas.keys import partition_of
from stepwatch.sdk import KafkaReporter
from tests.live.harness import ROOT, environment, new_settings, read, with_topics
from tests.wire.listeners import INSIDER, MECHANISMS, Wire
from tests.wire.served import APP, WORKERS, options_for

pytestmark = pytest.mark.live
REQUESTS = 60


def place(wire: Wire, tmp: Path) -> Settings:
    """Topics of their own, read and made through the listener that asks for nothing."""
    return asyncio.run(with_topics(new_settings(wire.at("PLAINTEXT"), tmp, partitions=3)))


def reported(settings: Settings) -> list[Any]:
    return asyncio.run(read(settings, settings.topics.actions))


def ids_of(records: list[Any]) -> list[str]:
    return sorted(json.loads(record.value)["id"] for record in records)


def options_of(wire: Wire, listener: str, mechanism: str) -> dict[str, Any]:
    files = wire.certificates
    options = options_for(str(files.ca), mechanism, INSIDER, wire.secrets.users[INSIDER])
    if listener == "SASL":
        return {**options, "security_protocol": "SASL_PLAINTEXT", "ssl_context": None}
    if listener == "SASLTLS":
        return options
    if listener == "MUTUAL":
        options["ssl_context"].load_cert_chain(files.client_cert, files.client_key)
    return {"security_protocol": "SSL", "ssl_context": options["ssl_context"]}


@pytest.mark.parametrize(
    ("listener", "mechanism"),
    [("TLS", ""), ("MUTUAL", ""), *((at, how) for at in ("SASL", "SASLTLS") for how in MECHANISMS)],
)
def test_events_and_heartbeats_arrive_through_every_door(
    wire: Wire, tmp_path: Path, listener: str, mechanism: str
) -> None:
    settings = place(wire, tmp_path)
    options = options_of(wire, listener, mechanism)
    with KafkaReporter(wire.at(listener), prefix=settings.prefix, options=options, heartbeat=APP) as reporter:
        for number in range(50):
            reporter.report(APP.action_performed("a.b", subject=f"user-{number}", id=f"{number:02}"))
        assert reporter.flush(30), reporter.stats
        until(lambda: reporter.stats.heartbeats > 0, reporter)
    records = reported(settings)
    assert ids_of(records) == [f"{number:02}" for number in range(50)]
    assert all(record.partition == partition_of(record.key, 3) for record in records)
    beats = asyncio.run(read(settings, settings.topics.authentications))
    assert {record.partition for record in beats} == {0, 1, 2}


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_is_said_without_being_printed_and_what_waits_is_counted(
    wire: Wire, tmp_path: Path, mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = place(wire, tmp_path)
    options = options_for(str(wire.certificates.ca), mechanism, INSIDER, wire.secrets.wrong)
    with caplog.at_level(logging.DEBUG):
        reporter = KafkaReporter(wire.at("SASLTLS"), prefix=settings.prefix, options=options, log_every_s=0.1)
        reporter.report(APP.action_performed("a.b", subject="alice", id="held"))
        until(lambda: "authentication" in reporter.stats.away.lower(), reporter)
        until(lambda: "stepwatch.sdk" in {record.name for record in caplog.records}, reporter)
        assert reporter.stats.waiting == 1
        assert not reporter.close(0)
    assert reporter.stats.dropped == {"unsent": 1}
    assert not wire.secrets.told_by(caplog.text + repr(reporter.stats))
    assert reported(settings) == []


@pytest.mark.parametrize(
    ("listener", "trusted", "words"),
    [("TLS", "stranger", "certificate"), ("EXPIRED", "ca", "expired"), ("ELSEWHERE", "ca", "127.0.0.1")],
)
def test_a_broker_that_is_not_who_it_should_be_gets_nothing_and_that_is_said(
    wire: Wire, tmp_path: Path, listener: str, trusted: str, words: str
) -> None:
    settings = place(wire, tmp_path)
    context = ssl.create_default_context(cafile=str(getattr(wire.certificates, trusted)))
    options = {"security_protocol": "SSL", "ssl_context": context}
    reporter = KafkaReporter(wire.at(listener), prefix=settings.prefix, options=options)
    reporter.report(APP.action_performed("a.b", subject="alice"))
    until(lambda: bool(reporter.stats.away), reporter)
    assert wire.at(listener) in reporter.stats.away
    assert words in reporter.stats.away
    assert not reporter.close(0)
    assert reported(settings) == []


ENDS = """
import sys
from tests.wire.served import APP, new_reporter
new_reporter().report(APP.action_performed("a.b", subject="alice", id="the-only-one"))
"""


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_program_that_ends_at_once_has_sent_its_event(wire: Wire, tmp_path: Path, mechanism: str) -> None:
    # While the interpreter ends no pool takes the steps of SCRAM any more.
    settings = place(wire, tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", ENDS],
        env=served_environment(wire, settings, mechanism),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ids_of(reported(settings)) == ["the-only-one"]


@pytest.mark.parametrize("server", ["prefork", "uvicorn"])
def test_each_process_of_a_server_sends_what_it_reports_and_ends_with_nothing_left(
    wire: Wire, tmp_path: Path, server: str
) -> None:
    settings = place(wire, tmp_path)
    port, process = started(server, served_environment(wire, settings, "SCRAM-SHA-512"), tmp_path / "log")
    try:
        answered = {name: pid for name, pid in asked(port) if pid}
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    finally:
        process.kill()
    said = (tmp_path / "log").read_text()
    # uvicorn ends by the signal that it got.
    assert status in ((0,) if server == "prefork" else (0, -signal.SIGTERM)), said
    assert len(set(answered.values())) == WORKERS
    first = ["parent"] if server == "prefork" else []
    assert ids_of(reported(settings)) == sorted([*answered, *first])
    assert "Traceback" not in said


def served_environment(wire: Wire, settings: Settings, mechanism: str) -> dict[str, str]:
    said = {
        "bootstrap": wire.at("SASLTLS"),
        "prefix": settings.prefix,
        "ca": str(wire.certificates.ca),
        "mechanism": mechanism,
        "user": INSIDER,
        "password": wire.secrets.users[INSIDER],
    }
    return environment(settings, SERVED=json.dumps(said))


def started(server: str, env: dict[str, str], log: Path) -> tuple[int, subprocess.Popen[str]]:
    """A server and its port."""
    port = ports.any_free()
    uvicorn = ["uvicorn", "tests.wire.served:asgi", "--factory", "--workers", str(WORKERS), "--port", str(port)]
    command = ["tests.wire.served"] if server == "prefork" else uvicorn
    with log.open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=err, text=True
        )
    assert process.stdout is not None
    return (int(process.stdout.readline()) if server == "prefork" else port), process


def asked(port: int) -> list[tuple[str, str]]:
    """(name, process that answered) of `REQUESTS` requests, and of more until every process has answered one."""
    give_up = time.monotonic() + 60
    found: list[tuple[str, str]] = []
    with ThreadPoolExecutor(8) as pool:
        while time.monotonic() < give_up:
            names = [f"r-{len(found) + number}" for number in range(REQUESTS)]
            found += zip(names, pool.map(lambda name: ask(port, name), names), strict=True)
            if len({pid for _, pid in found if pid}) == WORKERS:
                break
    return found


def ask(port: int, name: str) -> str:
    """The process that took it; "" while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=20) as answer:
            return str(answer.read().decode())
    except ConnectionRefusedError:
        return ""
    except OSError as error:
        if isinstance(getattr(error, "reason", None), ConnectionRefusedError):
            time.sleep(0.05)
            return ""
        raise


def until(what: Callable[[], bool], reporter: KafkaReporter) -> None:
    give_up = time.monotonic() + 30
    while not what():
        assert time.monotonic() < give_up, reporter.stats
        time.sleep(0.05)
