"""The console as a process beside real roles and servers, looked at with a real browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
import urllib.request
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest
from pydantic import SecretStr

from stepwatch.agents.settings import Settings
from stepwatch.cli.notify_shows import find_mutes
from stepwatch.embedded import ports
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import HOUR_US, format_time
from tests.live.harness import produce, read, until
from tests.live.road import Role, new_road, now_us, query
from tests.servers import ClickHouseSettings
from tests.web.console.browser import Window, window
from tests.web.console.pages import sign_in

pytestmark = pytest.mark.live
TOKEN = "token-of-a-test"
# Other tests of the same server have an alice too.
TENANT = "of-the-console"
T = TypeVar("T")
GARBAGE = b"\x00\xff<script>alert(1)</script>"
HOSTILE = "<img src=x onerror=alert(1)>"
BACK_US = 400_000_000


def event(kind: str, id: str, subject: str, source: str, time_us: int, **data: Any) -> bytes:
    """An event of these tests' tenant."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": id,
            "source": source,
            "type": f"stepwatch.{kind}",
            "time": format_time(time_us),
            "subject": subject,
            "data": {"tenant": TENANT, **data},
        }
    ).encode()


async def report(settings: Settings, subject: str, id: str, time_us: int) -> None:
    """A payout whose only proof is 400 s older, and a sign of life of the source of proofs."""
    topics, key = settings.topics, subject_key(TENANT, subject)
    partition = partition_of(key, settings.partitions)
    proof = event(
        "stepup.verified", f"v-{id}", subject, "/idp", time_us - BACK_US, session="s1", amr=["hwk"], transaction="t"
    )
    resource = {"type": "payout", "id": HOSTILE, "sensitivity": "critical"}
    act = event(
        "action.performed", id, subject, "/app", time_us, session="s1", action="payments.payout.approve",
        transaction="t", resource=resource,
    )  # fmt: skip
    await produce(settings, topics.authentications, partition, [(key, proof)])
    await produce(settings, topics.actions, partition, [(key, act)])
    beat = {"id": id, "source": "/idp", "type": "stepwatch.heartbeat", "time": format_time(now_us())}
    for number in range(settings.partitions):
        await produce(settings, topics.authentications, number, [(b"", json.dumps(beat).encode())])


def apart(work: Coroutine[Any, Any, T]) -> T:
    """Do something asynchronous while Playwright, which has a loop of its own, holds this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class Running:
    """The roles and the console of these tests."""

    def __init__(self, settings: Settings, tmp: Path) -> None:
        self.settings = settings
        self.url = f"http://127.0.0.1:{settings.console_port}"
        self.roles = [Role(settings, tmp / f"{name}.log", name) for name in ("correlate", "store", "console")]

    async def ready(self) -> bool:
        """Whether the console has read the alerts."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def act(self, subject: str, id: str) -> None:
        """Somebody does what no proof covers."""
        apart(report(self.settings, subject, id, now_us()))

    def stored(self, id: str) -> None:
        """Wait until ClickHouse has the verdict."""

        made = "SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = 'audit_current'"

        async def there() -> bool:
            # The role `store` makes the tables when it first starts.
            return bool(query(self.settings, made)) and bool(
                query(self.settings, f"SELECT 1 FROM audit_current WHERE action_id = '{id}'")
            )

        asyncio.run(until(there, words="the row"))


@pytest.fixture(scope="module")
def running(kafka: str, clickhouse: ClickHouseSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    tmp = tmp_path_factory.mktemp("console")
    settings = asyncio.run(
        new_road(
            kafka,
            tmp,
            clickhouse_url=clickhouse.url,
            clickhouse_user=clickhouse.user,
            clickhouse_password=SecretStr(clickhouse.password),
            clickhouse_database=clickhouse.database,
            correlate_web_port=ports.any_free(),
            console_port=ports.any_free(),
            console_token=SecretStr(TOKEN),
        )
    )
    one = Running(settings, tmp)
    asyncio.run(until(one.ready, 60, "ready"))
    one.act("alice", "a-1")
    one.stored("a-1")
    yield one
    assert [role.stop() for role in reversed(one.roles)] == [0, 0, 0], one.roles[-1].said
    assert TOKEN not in one.roles[-1].said


def enter(one: Running, shown: Window) -> None:
    """Sign in by the link that was printed."""
    shown.page.goto(f"{one.url}/sign-in?token={TOKEN}")
    shown.page.get_by_role("button", name="Sign in").click()
    shown.page.wait_for_url(f"{one.url}/")


def test_an_alert_arrives_by_itself_and_is_acknowledged_with_a_note(running: Running) -> None:
    with window() as shown:
        enter(running, shown)
        page = shown.page
        page.goto(f"{running.url}/alerts")
        page.evaluate("window.neverLoadedAgain = true")
        running.act("bob", "a-2")
        page.get_by_text("bob: payments.payout.approve").wait_for(timeout=30_000)
        assert page.evaluate("window.neverLoadedAgain") is True
        page.get_by_role("link", name="bob: payments.payout.approve").click()
        page.get_by_label("Note").fill("calling bob")
        page.get_by_role("button", name="Acknowledge").click()
        page.get_by_text("acknowledged: it is yours").wait_for(timeout=30_000)
        assert page.get_by_text("calling bob").count() == 1
        assert page.get_by_role("button", name="Acknowledge").count() == 0
        page.get_by_label("Note").fill("known: his key is at home")
        page.get_by_label("Nobody is told of those like it for").select_option("8h")
        page.get_by_role("button", name="Mute").click()
        page.get_by_text("muted: nobody is told of alerts like this one").wait_for()
        page.get_by_label("Note").fill("it was bob, key forgotten")
        page.get_by_role("button", name="Resolve").click()
        page.get_by_text("by person", exact=False).first.wait_for(timeout=30_000)
        assert shown.complaints == []
    decisions = [
        json.loads(record.value) for record in asyncio.run(read(running.settings, running.settings.topics.responses))
    ]
    assert [(one["decision"], one["note"]) for one in decisions] == [
        ("acknowledge", "calling bob"), ("resolve", "it was bob, key forgotten"),
    ]  # fmt: skip
    assert {one["by"].partition(":")[0] for one in decisions} == {"console"}
    (muted,) = asyncio.run(find_mutes(running.settings))
    assert (muted.match.subject, muted.match.tenant, muted.reason) == (["bob"], [TENANT], "known: his key is at home")
    assert muted.until - muted.begins == 8 * HOUR_US


def test_the_action_shows_its_picture_its_candidates_and_the_policy_in_force(running: Running) -> None:
    with window() as shown:
        enter(running, shown)
        page = shown.page
        page.goto(f"{running.url}/alerts?subject=alice")
        page.get_by_role("link", name="alice: payments.payout.approve").click()
        page.get_by_role("link", name="payments.payout.approve").first.click()
        assert page.locator("svg.timeline.wide .gapname").text_content() == "1 min 40 s too old"
        assert page.locator("section", has_text="Every proof that was looked at").locator(
            ".chip.bad"
        ).all_inner_texts() == ["✗ stale"]
        assert "id: payout" in page.locator("pre", has_text="id: payout").inner_text()
        assert page.get_by_text(HOSTILE).first.is_visible()
        page.get_by_role("link", name="alice", exact=True).click()
        assert page.get_by_role("heading", name="alice", exact=True).is_visible()
        assert page.locator("table", has_text="Credential").get_by_text("hwk").is_visible()
        assert shown.complaints == []


def test_a_policy_shows_what_it_said_its_text_and_leads_to_the_actions(running: Running) -> None:
    with window() as shown:
        enter(running, shown)
        page = shown.page
        page.goto(f"{running.url}/policies")
        row = page.locator("tbody tr", has_text="payout")
        assert "never in 30d" not in row.inner_text()
        row.get_by_role("link").click()
        assert "id: payout" in page.locator("pre").inner_text()
        page.locator("tr", has_text="unverified").first.get_by_role("link", name="find them").click()
        assert page.get_by_role("link", name="alice", exact=True).first.is_visible()
        assert shown.complaints == []


def test_the_sources_say_when_each_was_heard_of_and_how_late_it_is(running: Running) -> None:
    with window() as shown:
        enter(running, shown)
        shown.page.goto(f"{running.url}/sources")
        idp = shown.page.locator("tbody tr", has_text="/idp").inner_text()
        # Its proofs are 400 s older than the actions after which they were sent.
        assert "6 min 40 s" in idp
        assert "in order" in idp
        shown.page.locator("tbody tr", has_text="/app").get_by_role("link").click()
        shown.page.get_by_role("link", name="alice", exact=True).first.wait_for()
        assert shown.complaints == []


def test_the_overview_says_that_every_role_reads(running: Running) -> None:
    with window() as shown:
        enter(running, shown)
        shown.page.locator(".signs li.good", has_text="correlate").wait_for(timeout=30_000)
        text = shown.page.locator(".signs").inner_text()
        assert re.search(r"log time lag \d+\.\d s", text)
        assert re.search(r"store (has read everything|\d+ offsets behind)", text)
        assert shown.complaints == []


def test_a_dead_letter_is_shown_harmless_repaired_and_judged_after_all(running: Running) -> None:
    settings, key = running.settings, subject_key(TENANT, "dora")
    partition = partition_of(key, settings.partitions)
    bad = event("action.performed", "a-9", "dora", "/app", now_us(), session="s1", action=4711)
    apart(produce(settings, settings.topics.actions, partition, [(key, bad), (key, GARBAGE)]))
    with window() as shown:
        enter(running, shown)
        page = shown.page

        def listed() -> int:
            page.goto(f"{running.url}/dead-letters")
            return page.locator("tbody tr").count()

        give_up = time.monotonic() + 30
        while listed() < 2:
            assert time.monotonic() < give_up, "the dead letters"
        page.locator("tbody tr", has_text="data.action").get_by_role("link").click()
        text = page.get_by_label("Its value")
        text.fill(text.input_value().replace("4711", '"payments.payout.approve"'))
        page.get_by_role("button", name="Send the text above").click()
        page.get_by_text(f"Sent to {settings.topics.actions}-{partition}@").wait_for()
        listed()
        page.locator("tbody tr", has_not_text="data.action").get_by_role("link").click()
        assert page.locator("pre").inner_text().startswith("000000  00 ff 3c 73 63 72 69 70 74 3e")
        assert page.get_by_role("button", name="Send it as it was").is_visible()
        assert shown.complaints == []
    running.stored("a-9")


def test_fifty_live_pages_hear_of_a_change_and_one_that_never_reads_costs_nothing(running: Running) -> None:
    with httpx.Client(base_url=running.url) as browser, contextlib.ExitStack() as stack:
        assert sign_in(browser, TOKEN).status_code == 303
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        request = f"GET /live HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nCookie: {cookie}\r\n\r\n".encode()
        process = psutil.Process(running.roles[-1].process.pid)
        before_bytes = process.memory_info().rss
        sockets = []
        for _ in range(50):
            one = stack.enter_context(socket.create_connection((ports.HOST, running.settings.console_port), timeout=30))
            one.sendall(request)
            sockets.append(one)
        deaf, *heard = sockets
        for one in heard:
            assert _reads(one, b"event: changed").startswith(b"HTTP/1.1 200 OK")
        running.act("erin", "a-10")
        for one in heard:
            _reads(one, b"event: changed")
        assert browser.get("/alerts").status_code == 200
        assert process.memory_info().rss - before_bytes < 50_000_000
        assert deaf.fileno() > 0
    running.stored("a-10")


def _reads(one: socket.socket, words: bytes) -> bytes:
    got = b""
    while words not in got:
        more = one.recv(4096)
        assert more, "the stream ended"
        got += more
    return got


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_cut_off_nor_keeps_anybody_out_and_no_script_complains(
    running: Running, width: int, scheme: str
) -> None:
    with window(width, scheme) as shown:
        enter(running, shown)
        assert shown.barriers() == []
        (alert,) = query(
            running.settings, f"SELECT alert_id FROM alerts_current WHERE tenant = '{TENANT}' AND subject = 'alice'"
        )
        action = f"tenant={TENANT}&source=/app&id=a-1"
        for path in (
            "/",
            "/alerts",
            f"/alerts/{alert['alert_id']}",
            f"/action?{action}",
            f"/subject?tenant={TENANT}&subject=alice",
            "/search?subject=*&outcome=success",
            "/dead-letters",
            "/policies",
            "/sources",
            "/policy?id=payout",
        ):
            assert shown.page.goto(running.url + path).status == 200
            assert not shown.is_cut_off, path
            assert shown.barriers() == [], path
        assert shown.complaints == []


def test_everything_can_be_read_and_filtered_without_script(running: Running) -> None:
    with window(script=False) as shown:
        enter(running, shown)
        page = shown.page
        page.goto(f"{running.url}/alerts")
        page.get_by_label("Subject").fill("alice")
        page.get_by_role("button", name="Filter").click()
        assert "subject=alice" in page.url
        page.get_by_role("link", name="alice: payments.payout.approve").click()
        assert page.locator("svg.timeline.wide").is_visible()


def test_the_list_is_walked_by_keys_alone(running: Running) -> None:
    with window() as shown:
        enter(running, shown)
        page = shown.page
        # A live list asks once for itself when it is connected: keys are pressed when that is over.
        with page.expect_response(lambda answer: "hx-request" in answer.request.headers):
            page.goto(f"{running.url}/alerts?state=all")
        page.wait_for_timeout(500)
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.name") == "subject"
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.value") == "j"
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("j")
        page.wait_for_function("document.activeElement.className === 'title'")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("/alerts/al_"))
        assert shown.complaints == []
