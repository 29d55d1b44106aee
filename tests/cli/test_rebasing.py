"""An old log moved to now: every time of an event by the same whole seconds, and nothing else."""

from __future__ import annotations

import json

import pytest

from stepwatch.cli.rebasing import rebased, shift_to

EVENT = {
    "id": "e-1",
    "type": "stepwatch.stepup.verified",
    "time": "2024-02-29T23:59:59.500Z",
    "arrival": "2024-03-01T01:00:00+01:00",
    "subject": "alice",
    "data": {"auth_time": 1709251190, "token": {"auth_time": 1709251190.5}, "session": "s", "otp_step": 7, "n": 1.50},
}


def test_all_times_of_an_event_move_and_nothing_else() -> None:
    moved = json.loads(rebased(json.dumps(EVENT).encode(), 86_400))
    assert moved == {
        **EVENT,
        "id": "e-1~86400",
        "time": "2024-03-01T23:59:59.500000Z",
        "arrival": "2024-03-02T00:00:00.000000Z",
        "data": {**EVENT["data"], "auth_time": 1709337590, "token": {"auth_time": 1709337590.5}},  # type: ignore[dict-item]
    }


def test_a_heartbeat_is_complete_to_a_later_time_too() -> None:
    beat = {"id": "b", "time": "2024-01-01T00:00:00Z", "data": {"complete_to": "2023-12-31T23:00:00Z"}}
    moved = json.loads(rebased(json.dumps(beat).encode(), 3600))
    assert moved["data"]["complete_to"] == "2024-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    "value",
    [b"{not json", b"[]", b'{"time":"yesterday","data":{"auth_time":true}}', b'{"time":12,"data":[]}', b"\xff"],
)
def test_what_has_no_times_stays_as_it_is(value: bytes) -> None:
    assert rebased(value, 60) == value


@pytest.mark.parametrize(("now_us", "shift_s"), [(10_999_999, 9), (11_000_000, 10), (1_000_000, 0), (0, -1)])
def test_the_newest_event_becomes_now_to_the_second_and_never_later(now_us: int, shift_s: int) -> None:
    assert shift_to(now_us, 1_000_000) == shift_s
