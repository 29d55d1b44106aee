"""The benchmark itself: its stream is what it says, and its verdicts are right. Speed is never tested."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from stepwatch.streams.decode import ACTION
from tests.bench import busy
from tests.bench.__main__ import run_rounds
from tests.bench.data import events, ticks
from tests.bench.report import print_report
from tests.bench.stages import measure_stages

BEGIN_US = 1_795_511_702_000_000


def test_nine_of_ten_events_are_actions_that_no_policy_matches_and_one_of_a_hundred_is_a_copy() -> None:
    kinds: Counter[str] = Counter()
    ids = set()
    for sent in events(20_000, BEGIN_US):
        policed = b'"sensitivity":"critical"' in sent.body
        kinds["policed" if policed else "plain" if sent.family == ACTION else "step-up"] += 1
        ids.add(sent.body)
    total = kinds.total()
    assert kinds["plain"] / total == pytest.approx(0.90, abs=0.01)
    assert kinds["policed"] / total == pytest.approx(0.05, abs=0.01)
    assert kinds["step-up"] / total == pytest.approx(0.05, abs=0.01)
    assert (total - len(ids)) / total == pytest.approx(0.01, abs=0.005)


def test_the_same_seed_gives_the_same_events_in_the_order_of_their_arrival() -> None:
    first, second = list(events(3000, BEGIN_US)), list(events(3000, BEGIN_US))
    assert first == second
    assert [sent.at_ms for sent in first] == sorted(sent.at_ms for sent in first)


@pytest.mark.live
def test_a_small_run_gives_every_action_exactly_one_verdict_which_is_that_of_replay(
    kafka: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = 4000
    stages = measure_stages(count)
    (only,) = asyncio.run(run_rounds(kafka, tmp_path, count, 1, stages))
    actions = sum(1 for _ in ticks(count))
    assert only.checked.faults == []
    assert only.checked.actions == only.checked.replayed == actions
    assert only.checked.verdicts["verified"] > only.checked.verdicts["unverified"] > 0
    print_report(count, stages, [only])
    assert "start to first verdict" in capsys.readouterr().out


def test_a_busy_subject_is_judged_whatever_it_does() -> None:
    for kind in busy.KINDS:
        line = busy.run(kind, 400)
        assert "unverified" in line if kind != "proved" else "'verified'" in line
