"""The measurement of what reporting costs measures what it says."""

from __future__ import annotations

from tests.bench import sdk


def test_with_kafka_away_every_event_is_held_or_dropped_and_every_call_is_timed() -> None:
    runs, _ = sdk.away(200)
    assert [len(one.report_us) for one in runs.values()] == [190, 200]
    assert all(one.cpu_us > 0 and one.wall_s > 0 and len(one.build_us) == len(one.report_us) for one in runs.values())
