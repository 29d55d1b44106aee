"""What pages hear without asking: that something changed, how the watcher is, what channels were told."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwatch.console.following import Sent
from stepwatch.console.live import Changes
from stepwatch.console.watch import Seen, Standing, Watch
from stepwatch.notifiers.ledger import Told, encode_told, ledger_key
from tests.web.console.pages import NOBODY, NOW_US, Site

FIGURES = """\
# TYPE stepwatch_log_time_lag_seconds gauge
stepwatch_log_time_lag_seconds{topic="a",partition="0"} 2.5
stepwatch_log_time_lag_seconds{topic="a",partition="1"} 0.5
# TYPE stepwatch_waiting_actions gauge
stepwatch_waiting_actions{partition="0"} 3
stepwatch_waiting_actions{partition="1"} 4
# TYPE stepwatch_partitions_owned gauge
stepwatch_partitions_owned 2
# TYPE stepwatch_policy_sets gauge
stepwatch_policy_sets 1
# TYPE other gauge
other 9
"""


@pytest.fixture
def worker() -> Iterator[str]:
    """The address of a worker's metrics page."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(FIGURES.encode())

        def log_message(self, *words: object) -> None:
            """Nothing to standard error."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    thread.join()
    server.server_close()


async def heard(changes: Changes, count: int, lives: int = 10) -> list[bytes]:
    """The first events of a stream whose session is asked after so many times until it has ended."""
    left = [lives]

    def still() -> bool:
        left[0] -= 1
        return left[0] >= 0

    events = []
    async for one in changes.stream(still, beat_s=0.01):
        events.append(one)
        if len(events) == count:
            break
    return events


def test_a_page_hears_at_once_where_it_stands_and_then_only_that_the_stream_lives() -> None:
    changes = Changes(5)
    changes.note()
    first, second = asyncio.run(heard(changes, 2))
    assert first == b"event: changed\ndata: 1\n\n"
    assert second == b": alive\n\n"


def test_many_changes_at_once_are_one_to_a_page() -> None:
    async def play() -> list[bytes]:
        changes = Changes(5)
        listening = asyncio.ensure_future(heard(changes, 2))
        while not changes.streams:
            await asyncio.sleep(0)
        for _ in range(1000):
            changes.note()
        return await listening

    assert asyncio.run(play())[1] == b"event: changed\ndata: 1000\n\n"


def test_a_stream_ends_with_its_session_and_is_forgotten() -> None:
    changes = Changes(1)
    assert asyncio.run(heard(changes, 9, lives=1))[-1] == b"event: ended\ndata: 0\n\n"
    assert (changes.streams, changes.full) == (0, False)


def test_there_are_no_more_streams_than_there_may_be() -> None:
    async def play() -> tuple[bool, bool]:
        changes = Changes(1)
        stream = changes.stream(lambda: True)
        await anext(stream)
        full = changes.full
        await stream.aclose()
        return full, changes.full

    assert asyncio.run(play()) == (True, False)


def test_of_what_is_late_the_worst_counts_and_of_the_rest_the_sum(tmp_path: Path, worker: str) -> None:
    site = Site(tmp_path, console_workers=f"{worker}, http://{NOBODY}/metrics")
    watch, seen = Watch(site.console.settings, lambda: NOW_US, lambda: None), Seen(NOW_US)
    watch._ask_workers(seen)
    assert seen.figures == {
        "stepwatch_log_time_lag_seconds": 2.5,
        "stepwatch_waiting_actions": 7.0,
        "stepwatch_partitions_owned": 2.0,
        "stepwatch_policy_sets": 1.0,
    }
    assert seen.unheard == [f"http://{NOBODY}/metrics"]


def overview(site: Site, **changes: object) -> str:
    """The overview of a site whose watch has seen roles that read everything."""
    roles = {role: Standing(0, False) for role in ("correlate", "store", "notify")}
    figures = {"stepwatch_partitions_owned": 2.0, "stepwatch_policy_sets": 1.0}
    values = {"partitions": 2, "roles": roles, "figures": figures, **changes}
    site.console.watch.seen = Seen(NOW_US, **values)  # type: ignore[arg-type]
    return site.signed_in().get("/").text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"roles": dict.fromkeys(("correlate", "store", "notify"), Standing(7, True))}, "noted no progress"),
        ({"figures": {"stepwatch_partitions_owned": 1.0, "stepwatch_policy_sets": 1.0}}, "1 of 2 owned"),
        ({"figures": {"stepwatch_partitions_owned": 2.0}}, "nothing is judged"),
        ({"unheard": ["http://w/metrics"]}, "no answer from http://w/metrics"),
        ({"figures": {"stepwatch_partitions_owned": 2.0, "stepwatch_policy_sets": 1.0,
                      "stepwatch_overdue_seconds": 31.0}}, "a decision is due and not said"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_watcher_is_said_with_what_to_do(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    site = Site(tmp_path, console_workers="http://w/metrics")
    assert words not in overview(site)
    assert words in overview(site, **changes)


def test_what_a_channel_was_told_is_found_by_the_alert_or_by_the_group_that_spoke_for_it() -> None:
    sent = Sent()
    for told in (
        Told("pager", "al_1", "acme", step="trigger"),
        Told("chat", "al_1", "acme", group="storm:1"),
        Told("chat", "storm:1", "acme", step="update"),
        Told("pager", "storm:1", "acme", step="resolve"),
    ):
        sent.take(ledger_key(told.channel, told.tenant, told.key), encode_told(told))
    sent.take(b"!mute|x", b"{}")
    sent.take(b"pager|acme/al_9", b"no record")
    assert [(channel, told.step) for channel, told in sent.of("al_1")] == [("chat", "update"), ("pager", "trigger")]
    sent.take(ledger_key("pager", "acme", "al_1"), None)
    assert [channel for channel, _ in sent.of("al_1")] == ["chat"]
    assert sent.of("al_9") == []
