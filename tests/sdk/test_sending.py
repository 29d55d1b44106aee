"""What the sender does with a broker and a client that fail in every way: each event arrives, or is counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from stepwatch.schemas import events as ev
from stepwatch.schemas.topics import Topics
from stepwatch.sdk import sending
from stepwatch.sdk.backlog import Backlog
from stepwatch.sdk.checking import Checked
from stepwatch.sdk.denials import ASK_AGAIN_S, FINAL_AFTER_S, Denials
from tests.sdk.client import Broker

TOPICS = Topics()
BEAT = Checked(ev.HEARTBEAT, b"", b"beat")


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_RETRY_S", (0.001, 0.002))
    monkeypatch.setattr(sending, "_LINGER_S", 0.0)


class Feed:
    """A sender at work on a backlog, and a clock for what is denied."""

    def __init__(self, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sending, "AIOKafkaProducer", broker.producer)
        self.backlog = Backlog(1000, 10**9, wake=lambda: self.sender.more.set())
        self.sender = sending.Sender(["k:9092"], TOPICS, self.backlog, {})
        self.now_s = 0.0
        self.sender._denials = Denials(lambda: self.now_s)
        self._task = asyncio.create_task(self.sender.run())

    def put(self, *values: bytes, kind: str = ev.ACTION_PERFORMED) -> None:
        for value in values:
            self.backlog.put(Checked(kind, b"acme/alice", value))

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not reached():
                assert not self._task.done(), "the sender ended"
                await asyncio.sleep(0.001)

    async def settled(self) -> None:
        await self.until(lambda: self.backlog.stats().waiting == 0)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.mark.parametrize("error", [RuntimeError("theirs"), KeyError("gone"), AttributeError("none"), OSError(9, "bad")])
def test_whatever_a_client_raises_while_it_is_stopped_the_next_one_sends_and_no_event_gets_into_the_log(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def story() -> None:
        broker = Broker(failing=2, stop_error=error)
        feed = Feed(broker, monkeypatch)
        feed.put(b"of-one", b"of-two")
        await feed.settled()
        await feed.end()
        assert (broker.values(), broker.made) == ([b"of-one", b"of-two"], 3)
        assert feed.backlog.stats().dropped == {}

    asyncio.run(story())
    assert "of-one" not in caplog.text


def test_a_batch_that_is_too_large_and_what_failed_behind_it_are_tried_again_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        broker = Broker(batch_max=2, too_large=b"2")
        feed = Feed(broker, monkeypatch)
        feed.put(b"1", b"2", b"3", b"4", b"5")
        await feed.settled()
        await feed.end()
        assert broker.values() == [b"1", b"3", b"4", b"5"]
        stats = feed.backlog.stats()
        assert (stats.sent, stats.dropped) == (4, {"refused": 1})

    asyncio.run(story())


def test_a_heartbeat_that_two_partitions_refused_is_sent_again_once_to_each(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        broker = Broker(partitions=3, failing=2)
        feed = Feed(broker, monkeypatch)
        feed.backlog.put_heartbeat(BEAT)
        feed.sender.more.set()
        await feed.until(lambda: feed.backlog.stats().heartbeats == 1)
        await feed.end()
        # The third partition took the first one, and as a copy the second.
        assert sorted(partition for _, partition, _ in broker.arrived) == [0, 1, 2, 2]

    asyncio.run(story())


@pytest.mark.parametrize("hidden", [True, False], ids=["not-described", "described"])
def test_a_topic_that_is_denied_for_a_minute_loses_its_events_counted_and_the_other_goes_on(
    hidden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        broker = Broker(denied={TOPICS.actions}, hidden=hidden)
        feed = Feed(broker, monkeypatch)
        feed.put(b"a-1")
        feed.put(b"s-1", kind=ev.STEPUP_DENIED)
        await feed.until(lambda: feed.backlog.away != "" and broker.values() == [b"s-1"])
        assert TOPICS.actions in feed.backlog.away
        assert TOPICS.authentications not in feed.backlog.away
        feed.now_s = FINAL_AFTER_S - 1
        await asyncio.sleep(0.02)
        assert feed.backlog.stats().dropped == {}, "rights that are being changed cost nothing"
        feed.now_s = FINAL_AFTER_S
        await feed.settled()
        feed.put(b"a-2")
        feed.put(b"s-2", kind=ev.STEPUP_DENIED)
        await feed.settled()
        assert broker.values() == [b"s-1", b"s-2"]
        assert feed.backlog.stats().dropped == {"refused": 2}
        broker.denied.clear()
        feed.now_s += ASK_AGAIN_S
        feed.put(b"a-3")
        await feed.settled()
        await feed.end()
        assert broker.values() == [b"s-1", b"s-2", b"a-3"]
        assert (feed.backlog.stats().dropped, feed.backlog.away) == ({"refused": 2}, "")

    asyncio.run(story())


def test_a_heartbeat_that_is_denied_counts_as_none_and_holds_no_action_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        broker = Broker(denied={TOPICS.authentications})
        feed = Feed(broker, monkeypatch)
        feed.backlog.put_heartbeat(BEAT)
        feed.put(b"a-1")
        await feed.until(lambda: feed.backlog.away != "")
        feed.now_s = FINAL_AFTER_S
        await feed.settled()
        await feed.end()
        assert broker.values() == [b"a-1"]
        assert (feed.backlog.stats().heartbeats, feed.backlog.stats().dropped) == (0, {})

    asyncio.run(story())


@pytest.mark.parametrize(
    ("asked_s", "now_s", "final"),
    [
        ([0, 59.9], 59.9, False),
        ([0, 60], 60, True),
        ([0, 60], 89.9, True),
        ([0, 60], 90, False),
        ([60], 60, False),
    ],
)
def test_a_denial_is_final_after_a_minute_and_is_asked_about_again(
    asked_s: list[float], now_s: float, final: bool
) -> None:
    clock = [0.0]
    denials = Denials(lambda: clock[0])
    for clock[0] in asked_s:
        denials.denied("t")
    clock[0] = now_s
    assert denials.are_final("t") is final
    denials.granted("t")
    assert not denials.are_final("t")
    assert denials.topics == []
