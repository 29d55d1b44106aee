"""The measurement of what reporting costs measures what it says."""

from __future__ import annotations

from tests.bench import sdk, sdk_http


def test_with_kafka_away_every_event_is_held_or_dropped_and_every_call_is_timed() -> None:
    runs, _ = sdk.away(200)
    assert [len(one.report_us) for one in runs.values()] == [190, 200]
    assert all(one.cpu_us > 0 and one.wall_s > 0 and len(one.build_us) == len(one.report_us) for one in runs.values())


def test_over_http_every_event_arrives_or_lies_where_it_should_and_every_call_is_timed() -> None:
    runs = sdk_http.there(sdk.run, 200, 1000.0, 0.1) | sdk_http.away(sdk.run, 200)
    assert [len(one.report_us) for one in runs.values()] == [100, 200, 200, 200]
