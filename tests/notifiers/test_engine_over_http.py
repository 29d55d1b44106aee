"""The engine with a real receiver over connections that fail in every way: one incident for each alert in the end."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from stepwatch.notifiers.delivery import Answer, Delivery
from stepwatch.notifiers.http import HttpSender
from stepwatch.notifiers.pagerduty import PagerDuty
from stepwatch.notifiers.secret import Secret
from tests.live.pager import pager
from tests.notifiers.loopback import Says, loopback
from tests.notifiers.world import Counting, World, shown


class Wired(Counting):
    """A channel whose wire a test may plug in elsewhere."""

    def __init__(self, key_file: Path, url: str) -> None:
        super().__init__()
        self._key_file = key_file
        self.plug(url)

    def plug(self, url: str) -> None:
        sender = HttpSender(allow_private=True, deadline_s=0.5)
        self._receiver = PagerDuty("pager", Secret("routing_key_file", self._key_file), sender, url)

    async def deliver(self, delivery: Delivery) -> Answer:
        return await self._receiver.deliver(delivery)


def unused_port() -> int:
    with socket.socket() as once:
        once.bind(("127.0.0.1", 0))
        return int(once.getsockname()[1])


@pytest.mark.parametrize(("how", "is_silent"), [("refused", True), ("tls", True), ("hangs", False), ("404", True)])
def test_an_alert_that_came_and_went_while_the_wire_was_cut_is_spoken_of_only_if_it_may_have_arrived(
    tmp_path: Path, how: str, is_silent: bool
) -> None:
    (tmp_path / "key").write_text("k" * 32)
    with pager() as counting, loopback(Says(404) if how == "404" else Says(hangs=True)) as bad:
        urls = {"refused": f"http://127.0.0.1:{unused_port()}/", "tls": counting.url.replace("http:", "https:")}
        wired = Wired(tmp_path / "key", urls.get(how, bad.url))
        world = World(wired)

        async def play() -> None:
            world.see(shown(1))
            await world.run(2.0)
            assert counting.steps == []
            world.see(shown(1, 2, state="resolved"))
            world.see(shown(2))
            wired.plug(counting.url)
            await world.run(3600.0)

        asyncio.run(play())
    assert counting.incidents == {"al_2": "open"}
    assert (("resolve", "al_1") in counting.steps) is not is_silent


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_an_answer_that_is_lost_or_says_later_ends_in_one_incident(tmp_path: Path, status: int) -> None:
    (tmp_path / "key").write_text("k" * 32)
    with pager() as counting:
        counting.status = status
        world = World(Wired(tmp_path / "key", counting.url))

        async def play() -> None:
            for number in range(3):
                world.see(shown(number, policy=f"p{number}"))
            await world.run(20.0)
            counting.status = 202
            await world.run(3600.0)

        asyncio.run(play())
    assert counting.incidents == {f"al_{number}": "open" for number in range(3)}
    assert set(counting.rings.values()) == {1}
