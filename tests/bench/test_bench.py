"""The benchmark itself: its stream is what it says, and its verdicts are right. Speed is never tested."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from stepwatch.embedded.kafka import EmbeddedKafka
from stepwatch.schemas.times import SECOND_US
from stepwatch.streams.decode import ACTION
from tests.bench import busy, ingest
from tests.bench.__main__ import Bench
from tests.bench.data import action_body, events, step_up_body, ticks
from tests.bench.fill import new_settings
from tests.bench.ground import Ground
from tests.bench.latency import loop_latency, worker_latency
from tests.bench.report import Measured, print_report
from tests.bench.stages import measure_stages, row_bytes_of
from tests.bench.truth import truth
from tests.servers import KafkaServer

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


def test_the_truth_is_the_latest_strong_proof_of_the_session_that_is_young_enough() -> None:
    def action(number: int, time_us: int) -> bytes:
        return action_body(number, time_us, 1, 0, True)

    def step_up(number: int, time_us: int, session: int = 0, amr: str = "hwk", who: int = 1) -> bytes:
        return step_up_body(number, time_us, who, session, amr)

    minute = 60 * SECOND_US
    others = [step_up(7, BEGIN_US, session=1), step_up(8, BEGIN_US, amr="pwd"), step_up(9, BEGIN_US, who=2)]
    proofs = [step_up(1, BEGIN_US - 5 * minute), step_up(2, BEGIN_US - 4 * minute), *others]
    late = step_up(3, BEGIN_US + 5 * SECOND_US)
    assert truth([action(0, BEGIN_US)], others) == {"a-00000000": ("unverified", "")}
    assert truth([action(0, BEGIN_US)], proofs) == {"a-00000000": ("verified", "v-00000002")}
    assert truth([action(0, BEGIN_US)], [*proofs, late]) == {"a-00000000": ("verified", "v-00000003")}
    assert truth([action(0, BEGIN_US - 1)], [late]) == {"a-00000000": ("unverified", "")}
    assert truth([action(0, BEGIN_US)], proofs[:1]) == {"a-00000000": ("verified", "v-00000001")}
    assert truth([action(0, BEGIN_US + 1)], proofs[:1]) == {"a-00000000": ("unverified", "")}


@pytest.mark.live
def test_a_small_run_gives_every_action_exactly_one_verdict_which_is_that_of_replay(
    kafka_server: KafkaServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not isinstance(kafka_server, EmbeddedKafka):
        pytest.skip("the CPU of a broker in a container is not that of a process here")
    count = 4000
    stages = measure_stages(count)
    measured = Measured(count, stages.row_bytes, stages)
    asyncio.run(Bench(Ground(tmp_path, kafka_server, None), measured).run(("job",), 1, 0))
    actions = sum(1 for _ in ticks(count))
    (only,) = measured.rounds
    assert measured.faults == []
    assert only.checked.actions == only.checked.replayed == actions
    assert only.checked.verdicts["verified"] > only.checked.verdicts["unverified"] > 0
    print_report(measured)
    assert "start to first verdict" in capsys.readouterr().out


@pytest.mark.live
def test_at_a_steady_rate_every_row_is_found_and_each_was_late_by_something(kafka: str, tmp_path: Path) -> None:
    worker = asyncio.run(worker_latency(new_settings(kafka, tmp_path, "late.", 2), 100, 3, tmp_path))
    loop = asyncio.run(loop_latency(new_settings(kafka, tmp_path, "bare.", 2), row_bytes_of(1000), 100, 3, tmp_path))
    assert worker.wrong == loop.wrong == 0
    assert worker.kinds["verified"].rows > 0
    assert worker.kinds["unverified"].rows > 0
    assert loop.kinds["row"].rows > 200
    assert all(late.p99_ms >= late.p50_ms > 0 for late in (*worker.kinds.values(), *loop.kinds.values()))


def test_a_busy_subject_is_judged_whatever_it_does() -> None:
    for kind in busy.KINDS:
        line = busy.run(kind, 400)
        assert "unverified" in line if kind != "proved" else "'verified'" in line


@pytest.mark.live
def test_the_ingest_bench_sends_every_batch_and_tells_the_waits(kafka: str, tmp_path: Path) -> None:
    told = ingest.measure(kafka, tmp_path, seconds=1, rate=500, connections=2)
    assert told["events"] == 500
    assert 0 < told["p50_ms"] <= told["p99_ms"] <= told["max_ms"]
