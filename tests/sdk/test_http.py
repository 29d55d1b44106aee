"""Events posted to a real server that answers in every way: each is accepted, or counted, and none is lost silently."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from stepwatch.embedded import ports
from stepwatch.sdk import HttpReporter, http_sending
from stepwatch.sdk.http_sending import GZIP_MIN_BYTES
from tests.sdk.reported import BANK, report, until
from tests.sdk.stand import ACCEPTED, Answers, Stand, at_most, problem, refusing, status

TOKEN = "tok-0123456789"


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_sending, "_RETRY_S", (0.01, 0.05))
    monkeypatch.setattr(http_sending, "_LOOK_S", 0.01)


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand() as stand:
        yield stand


def new_reporter(stand: Stand, **said: Any) -> HttpReporter:
    return HttpReporter(stand.url, **{"token": TOKEN, "close_timeout_s": 10, **said})


def test_events_are_posted_as_a_batch_with_the_token_in_their_order(stand: Stand) -> None:
    with new_reporter(stand) as reporter:
        ids = report(reporter, 5)
        assert reporter.flush(10)
        assert (reporter.stats.sent, reporter.stats.waiting, reporter.stats.away) == (5, 0, "")
    assert stand.ids == ids
    request = stand.requests[0]
    assert request.path == "/v1/events"
    assert request.headers["content-type"] == "application/cloudevents-batch+json"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert stand.taken[0]["data"] == {"tenant": "acme", "action": "a.b", "outcome": "success"}


def test_an_address_may_have_a_path_before_ours(stand: Stand) -> None:
    with HttpReporter(f"{stand.url}/stepwatch/", token=TOKEN) as reporter:
        report(reporter, 1)
        assert reporter.flush(10)
    assert stand.requests[0].path == "/stepwatch/v1/events"


def test_a_request_holds_a_thousand_events_at_most_and_less_than_a_mebibyte(stand: Stand) -> None:
    stand.hold = threading.Event()
    with new_reporter(stand) as reporter:
        ids = report(reporter, 1)
        until(lambda: stand.requests, "the first request")
        ids += report(reporter, 1001, first=1)
        ids += report(reporter, 9, first=1002, text="x" * 250_000)
        stand.hold.set()
        assert reporter.flush(20)
    assert stand.ids == ids
    assert [len(request.events) for request in stand.requests][:2] == [1, 1000]
    for request in stand.requests:
        assert sum(len(str(event)) for event in request.events) < 1024 * 1024


@pytest.mark.parametrize(("over", "packed"), [(0, False), (1, True)])
def test_a_body_is_packed_once_it_is_larger_than_a_packet(stand: Stand, over: int, packed: bool) -> None:
    event = BANK.action_performed("a.b", subject="alice", extra={"text": ""})
    with new_reporter(stand) as reporter:
        reporter.report(event)
        assert reporter.flush(10)
        room = GZIP_MIN_BYTES - stand.requests[0].sent_bytes + over
        reporter.report({**event, "data": {**event["data"], "text": "x" * room}})
        assert reporter.flush(10)
    last = stand.requests[-1]
    assert (last.headers.get("content-encoding") == "gzip") is packed
    assert (last.sent_bytes < GZIP_MIN_BYTES) is packed
    assert len(last.events[0]["data"]["text"]) == room


PASSING: list[Answers] = [status(429), status(500), status(502), status(503), status(408), lambda events: None]


@pytest.mark.parametrize("answer", PASSING, ids=["429", "500", "502", "503", "408", "lost-reply"])
def test_what_passes_is_tried_again_with_the_same_events(stand: Stand, answer: Answers) -> None:
    stand.answers.extend([answer, answer, lambda events: ACCEPTED])
    with new_reporter(stand) as reporter:
        ids = report(reporter, 1)
        assert reporter.flush(10)
        ids += report(reporter, 2, first=1)
        assert reporter.flush(10)
        assert (reporter.stats.sent, reporter.stats.dropped, reporter.stats.away) == (3, {}, "")
    assert stand.requests[0].events == stand.requests[1].events == stand.requests[2].events
    assert stand.ids == ids


def test_a_server_that_wants_to_be_left_alone_is(stand: Stand) -> None:
    stand.answers.extend([status(503, Retry_After="1"), lambda events: ACCEPTED])
    with new_reporter(stand) as reporter:
        began = time.monotonic()
        report(reporter, 1)
        assert reporter.flush(10)
        assert time.monotonic() - began >= 1
    assert len(stand.requests) == 2


def test_bad_events_are_refused_by_name_and_the_rest_is_sent_again_without_them(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, int]] = []
    stand.hold = threading.Event()
    stand.answers.append(refusing(400, {"2": "data.x: missing", "4": "data.y: wrong"}))
    reporter = new_reporter(stand, on_drop=lambda reason, count: heard.append((reason, count)))
    report(reporter, 6)
    stand.hold.set()
    assert not reporter.flush(10), "some were dropped"
    stats = reporter.stats
    assert (stats.sent, stats.dropped, stats.waiting) == (4, {"refused": 2}, 0)
    assert stats.refusal == "event '4': data.y: wrong"
    reporter.close()
    assert stand.ids == ["0", "1", "3", "5"]
    assert heard == [("refused", 2)]
    assert "events are lost: 2 refused (event '4': data.y: wrong)" in caplog.text


def test_a_refusal_that_names_nobody_costs_only_the_event_that_is_refused_alone(stand: Stand) -> None:
    def anonymous(events: list[dict[str, Any]]) -> Any:
        return problem(400, []) if any(event["id"] == "3" for event in events) else ACCEPTED

    stand.answers.append(anonymous)
    with new_reporter(stand) as reporter:
        report(reporter, 8)
        assert not reporter.flush(10)
        assert (reporter.stats.sent, reporter.stats.dropped) == (7, {"refused": 1})
    assert stand.ids == [str(number) for number in range(8) if number != 3]


def test_what_is_too_much_together_is_halved_until_it_is_taken_and_stays_in_order(stand: Stand) -> None:
    stand.answers.append(at_most(3))
    with new_reporter(stand) as reporter:
        ids = report(reporter, 20)
        assert reporter.flush(10)
        assert reporter.stats.dropped == {}
    assert stand.ids == ids


def test_one_event_that_is_too_large_alone_is_refused(stand: Stand) -> None:
    stand.answers.append(lambda events: (413, {}, b"") if any(e["id"] == "1" for e in events) else ACCEPTED)
    with new_reporter(stand) as reporter:
        report(reporter, 3)
        assert not reporter.flush(10)
        assert (reporter.stats.sent, reporter.stats.dropped) == (2, {"refused": 1})
        assert reporter.stats.refusal == "event '1': answered 413"
    assert stand.ids == ["0", "2"]


@pytest.mark.parametrize("number", [401, 403])
def test_a_token_that_is_not_accepted_is_said_and_a_new_one_in_its_file_is_used_at_once(
    stand: Stand, tmp_path: Path, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "token"
    file.write_text("old-token-1")
    stand.answers.append(lambda events: ACCEPTED if "new" in file.read_text() else (number, {}, b""))
    reporter = new_reporter(stand, token=None, token_file=file)
    ids = report(reporter, 2)
    until(lambda: reporter.stats.away, "that it is away")
    assert f"answered {number}" in reporter.stats.away
    assert "token" in reporter.stats.away
    tries = len(stand.requests)
    file.write_text("new-token-2")
    assert reporter.flush(10), "long before the slow try that was due"
    assert len(stand.requests) <= tries + 2
    reporter.close()
    assert stand.ids == ids
    assert stand.requests[-1].headers["authorization"] == "Bearer new-token-2"
    said = caplog.text + repr(reporter) + repr(reporter.stats) + repr(reporter._client)
    assert "old-token-1" not in said
    assert "new-token-2" not in said


def test_a_token_file_that_is_missing_costs_no_event(stand: Stand, tmp_path: Path) -> None:
    file = tmp_path / "token"
    with new_reporter(stand, token=None, token_file=file) as reporter:
        ids = report(reporter, 2)
        until(lambda: "No such file" in reporter.stats.away, "that it is away")
        file.write_text(TOKEN)
        assert reporter.flush(10)
    assert stand.ids == ids


def test_events_that_the_token_may_not_send_hold_the_others_up_for_a_minute_and_no_longer(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_sending, "_SLOW_S", 0.05)
    stand.answers.append(refusing(403, {"1": "source: not yours"}))
    with new_reporter(stand) as reporter:
        report(reporter, 3)
        until(lambda: "403" in reporter.stats.away, "that it is away")
        assert reporter.stats.dropped == {}
        monkeypatch.setattr(http_sending, "_DENIED_FINAL_S", 0.0)
        assert not reporter.flush(10)
        assert (reporter.stats.sent, reporter.stats.dropped) == (2, {"refused": 1})
        assert reporter.stats.away == ""
    assert stand.ids == ["0", "2"]


def test_who_was_let_in_and_is_denied_again_has_another_minute(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    later_s, real = [0.0], time.monotonic
    monkeypatch.setattr(http_sending, "_SLOW_S", 0.01)
    monkeypatch.setattr(time, "monotonic", lambda: later_s[0] + real())
    denies = refusing(403, {"0": "source: not yours", "1": "source: not yours"})
    stand.answers.append(denies)
    with new_reporter(stand) as reporter:
        ids = report(reporter, 1)
        until(lambda: "403" in reporter.stats.away, "a first denial")
        stand.answers[0] = lambda events: ACCEPTED
        assert reporter.flush(10)
        later_s[0] = 1.5 * http_sending._DENIED_FINAL_S
        tries = len(stand.requests)
        stand.answers[0] = denies
        ids += report(reporter, 1, first=1)
        until(lambda: len(stand.requests) >= tries + 3, "several tries")
        assert (reporter.stats.waiting, reporter.stats.dropped) == (1, {})
        stand.answers[0] = lambda events: ACCEPTED
        assert reporter.flush(10)
    assert stand.ids == ids


def test_once_the_minute_is_over_what_is_denied_costs_no_other_batch_another(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_sending, "_SLOW_S", 0.01)
    monkeypatch.setattr(http_sending, "_DENIED_FINAL_S", 0.2)
    stand.answers.append(refusing(403, {str(number): "source: not yours" for number in range(0, 40, 2)}))
    with new_reporter(stand) as reporter:
        report(reporter, 4)
        assert not reporter.flush(10)
        tries = len(stand.requests)
        for first in range(4, 40, 4):
            report(reporter, 4, first=first)
            reporter.flush(10)
        assert reporter.stats.dropped == {"refused": 20}
        assert len(stand.requests) <= tries + 2 * 9 * 2, "each batch is tried once, and once without the denied"
    assert stand.ids == [str(number) for number in range(1, 40, 2)]


def test_types_that_the_server_does_not_know_are_counted_and_logged(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    body = b'{"accepted":1,"skipped":1,"skipped_types":[{"type":"stepwatch.new","count":1,"hint":"newer?"}]}'
    stand.answers.append(lambda events: (202, {"Content-Type": "application/json"}, body))
    with new_reporter(stand) as reporter:
        report(reporter, 2)
        assert reporter.flush(10)
        stats = reporter.stats
        assert stats.sent == 2
        assert (stats.skipped, stats.unknown) == (len(stand.requests), "stepwatch.new (newer?)")
    assert "of types that Stepwatch does not know: stepwatch.new (newer?)" in caplog.text


def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(stand: Stand) -> None:
    with Stand() as elsewhere:
        stand.answers.append(status(307, Location=f"{elsewhere.url}/v1/events"))
        reporter = new_reporter(stand)
        report(reporter, 1)
        until(lambda: reporter.stats.away, "that it is away")
        assert "answered 307: a redirect is not followed" in reporter.stats.away
        assert elsewhere.requests == []
        assert not reporter.close(0)


def test_over_tls_the_server_must_be_who_it_says_before_it_sees_the_token() -> None:
    authority, ours, theirs = trustme.CA(), ssl.create_default_context(), ssl.create_default_context()
    authority.configure_trust(ours)
    trustme.CA().configure_trust(theirs)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(ports.HOST).configure_cert(server)
    with Stand(tls=server) as stand:
        with new_reporter(stand, ssl_context=ours) as reporter:
            ids = report(reporter, 2)
            assert reporter.flush(10)
        reporter = new_reporter(stand, ssl_context=theirs)
        report(reporter, 1, first=2)
        until(lambda: "certificate" in reporter.stats.away, "that it is not trusted")
        assert not reporter.close(0)
        assert stand.ids == ids


def test_heartbeats_come_behind_what_was_held_back(stand: Stand) -> None:
    back = threading.Event()
    stand.answers.append(lambda events: ACCEPTED if back.is_set() else (503, {}, b""))
    with new_reporter(stand, heartbeat=BANK, heartbeat_every_s=0.05) as reporter:
        ids = report(reporter, 3)
        until(lambda: len(stand.requests) > 3, "that it is away")
        assert reporter.stats.heartbeats == 0
        back.set()
        until(lambda: reporter.stats.heartbeats >= 2, "heartbeats")
        assert reporter.stats.reported == 3
    types = [event["type"] for event in stand.taken]
    # The first may have been due before the first event was; the second was not.
    second = types.index("stepwatch.heartbeat", types.index("stepwatch.heartbeat") + 1)
    assert set(ids) <= {event["id"] for event in stand.taken[:second]}


def test_the_same_inside_an_event_loop(stand: Stand) -> None:
    async def story() -> None:
        async with new_reporter(stand) as reporter:
            report(reporter, 3)
            assert await reporter.aflush(10)
        assert reporter.stats.sent == 3

    asyncio.run(story())
    assert stand.ids == ["0", "1", "2"]


def test_a_server_that_hangs_holds_up_neither_a_report_nor_the_close(stand: Stand) -> None:
    stand.hold = threading.Event()
    reporter = new_reporter(stand)
    report(reporter, 2)
    until(lambda: stand.requests, "a request")
    began = time.monotonic()
    report(reporter, 1000, first=2)
    assert not reporter.close(0)
    assert time.monotonic() - began < 5, "far from the timeout of the request"
    assert reporter.stats.dropped == {"unsent": 1002}


def test_a_close_tries_once_more_at_once_however_long_the_pause_was_to_be(stand: Stand) -> None:
    stand.answers.extend([status(401), lambda events: ACCEPTED])
    reporter = new_reporter(stand)
    ids = report(reporter, 1)
    until(lambda: reporter.stats.away, "that it is away")
    assert reporter.close(10), "the next try was due in 15 s at the earliest"
    assert stand.ids == ids


def test_with_nobody_there_the_reason_is_said_in_the_systems_words() -> None:
    at = f"http://{ports.HOST}:{ports.any_free()}"
    reporter = HttpReporter(at, token=TOKEN)
    report(reporter, 1)
    until(lambda: reporter.stats.away, "that it is away")
    assert reporter.stats.away == f"{at}: Connection refused"
    assert not reporter.close(0)
    assert reporter.stats.dropped == {"unsent": 1}


@pytest.mark.parametrize("name", ["stepwatch-sdk", "stepwatch-sdk-http"])
def test_while_the_system_gives_no_thread_events_are_held_and_no_other_is_left_behind(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    start = threading.Thread.start

    def some(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    before = set(threading.enumerate())
    with new_reporter(stand) as reporter:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", some)
            ids = report(reporter, 2)
            assert "can't start new thread" in reporter.stats.away
            until(
                lambda: (
                    not [t for t in threading.enumerate() if t.name.startswith("stepwatch-sdk") and t not in before]
                ),
                "threads",
            )
        assert reporter.stats.waiting == 2
        ids += report(reporter, 1, first=2)
        assert reporter.flush(10)
    assert stand.ids == ids
