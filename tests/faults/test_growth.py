"""The state topic shrinks again: what was forgotten is gone from its log."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.growth import SCENARIOS
from tests.faults.stage import Stage, act
from tests.servers import KafkaServer

pytestmark = pytest.mark.live


def test_after_facts_are_forgotten_the_log_of_the_state_holds_few_records_and_a_restart_reads_few(
    kafka_server: KafkaServer, tmp_path: Path
) -> None:
    name = "growth.shrinks"
    asyncio.run(act(SCENARIOS[name], Stage(name, tmp_path, kafka_server, scale=0.1)))
