"""Versions of the state, in short: the scenarios of `upgrade` at a small scale."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.stage import Stage, act
from tests.faults.upgrade import SCENARIOS
from tests.servers import KafkaServer

pytestmark = pytest.mark.live


def test_a_newer_worker_reads_an_older_ones_state_and_an_older_one_refuses_a_newer_ones_with_words(
    kafka_server: KafkaServer, tmp_path: Path
) -> None:
    name = "upgrade.one_after_the_other"
    asyncio.run(act(SCENARIOS[name], Stage(name, tmp_path, kafka_server, scale=0.1)))
