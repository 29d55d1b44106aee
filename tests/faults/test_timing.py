"""Clocks, pulses and backlogs, in short: the scenarios of `timing` at a small scale."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.stage import Stage, act
from tests.faults.timing import SCENARIOS
from tests.servers import KafkaServer

pytestmark = pytest.mark.live

SHORT = ("workers_clock", "pulses_refused", "backlog_uneven")
"""The others wait for minutes of log time (`idle`), or are these again with more records: `make faults` plays them."""


@pytest.mark.parametrize("name", SHORT)
def test_the_verdicts_are_those_of_the_law_whatever_clocks_and_pulses_do(
    name: str, kafka_server: KafkaServer, tmp_path: Path
) -> None:
    name = f"timing.{name}"
    asyncio.run(act(SCENARIOS[name], Stage(name, tmp_path, kafka_server, scale=0.1)))
