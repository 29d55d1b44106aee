"""The benchmark itself: its stream is what it says, and its verdicts are right. Speed is never tested."""

from __future__ import annotations

import asyncio

import pytest

from tests.bench.__main__ import bench
from tests.bench.data import build_stream


def test_a_stream_is_nine_tenths_actions_that_no_policy_matches() -> None:
    stream = build_stream(20_000, 1_795_511_702_000_000)
    assert stream.count == pytest.approx(20_200, rel=0.02)
    assert len(stream.policed) / stream.actions == pytest.approx(0.05 / 0.95, rel=0.15)
    verdicts = list(stream.expected().values())
    assert 0.05 < verdicts.count("unverified") / len(verdicts) < 0.3


@pytest.mark.live
def test_a_small_run_judges_every_action_as_a_look_up_of_its_proofs_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(bench(4_000, 1)) == 0
    assert "bare loop" in capsys.readouterr().out
