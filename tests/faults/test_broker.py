"""The short set of the broker's scenarios, as `make test` plays them; the long one is `python -m tests.faults`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.broker import SCENARIOS
from tests.faults.stage import Stage, act
from tests.servers import KafkaServer

pytestmark = pytest.mark.live
SHORT = {
    "broker.kill_with_worker": 0.15,
    "broker.cut_markers": 0.1,
    "broker.state_and_offsets_gone": 0.1,
    "broker.input_expired": 0.1,
}
"""Scenario -> how much of it. The others wait for long, or differ in what they lose: `make faults` plays them."""


@pytest.mark.parametrize("name", SHORT)
def test_after_a_fault_of_the_broker_everything_is_exact(name: str, kafka_server: KafkaServer, tmp_path: Path) -> None:
    stage = Stage(name, tmp_path, kafka_server, seed=20261125, scale=SHORT[name])
    outcome = asyncio.run(act(SCENARIOS[name], stage))
    assert outcome.records > 0
