"""The curl of the producer's page, run as it stands there against `stepwatch ingest`."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from stepwatch.embedded import ports
from stepwatch.streams.decode import ACTION, Event, Heartbeat, decode
from tests.cli.console import ROOT
from tests.live.harness import environment, new_settings, read, until, with_topics
from tests.live.road import Role
from tests.schemas.test_producer_page import blocks

pytestmark = pytest.mark.live


async def _ready(address: str) -> bool:
    def ask() -> bool:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return await asyncio.to_thread(ask)


def test_what_curl_posts_by_the_page_lies_in_the_topic(kafka: str, tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("no curl, or no bash, here")
    shell = "".join(block for block in blocks("sh") if "curl" in block)
    port = ports.any_free()
    address = f"http://127.0.0.1:{port}"
    settings = asyncio.run(
        with_topics(new_settings(kafka, tmp_path, ingest_port=port, tokens_file=tmp_path / "tokens.json"))
    )
    command = f'stepwatch() {{ {shlex.quote(sys.executable)} -m stepwatch.cli.main "$@"; }}\n'
    script = command + shell.replace("http://localhost:7310", address).replace("curl -sS", "curl -sS -w '%{http_code}'")
    server = Role(settings, tmp_path / "log", "ingest")
    try:
        asyncio.run(until(lambda: _ready(address), 60, "the API"))
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=ROOT,
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout.count("}202") == 2, done.stdout + done.stderr + server.said
    finally:
        server.stop()
    (record,) = asyncio.run(read(settings, settings.topics.actions))
    event = decode(record.value, record.timestamp * 1000, ACTION)
    assert isinstance(event, Event)
    assert (event.id, record.key) == ("01JD-2", b"default/alice")
    beats = asyncio.run(read(settings, settings.topics.authentications))
    assert sorted(beat.partition for beat in beats) == list(range(settings.partitions))
    for beat in beats:
        said = decode(beat.value, beat.timestamp * 1000)
        assert isinstance(said, Heartbeat)
        assert (said.source, beat.key) == ("/payments/api", None)
