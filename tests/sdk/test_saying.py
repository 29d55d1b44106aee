"""A filter or a handler of the application's that raises: it costs a line of the log, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stepwatch.embedded import ports
from stepwatch.sdk import Actions, AsgiContext, KafkaReporter, Source, Stats
from stepwatch.sdk.background import _close_all
from stepwatch.sdk.otp_events import hand_over
from stepwatch.sdk.sending import Sender
from stepwatch.sdk.stepup import require_step_up
from stepwatch.sdk.telling import Teller

BANK = Source("/payments/api", tenant="acme")
NOWHERE = f"{ports.HOST}:{ports.any_free()}"


class BrokenHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("a handler of the application's")


class BrokenFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        raise RuntimeError("a filter of the application's")


@pytest.fixture(autouse=True, params=["handler", "filter"])
def _broken_log(request: pytest.FixtureRequest) -> Iterator[None]:
    log, handler, broken = logging.getLogger("stepwatch.sdk"), BrokenHandler(), BrokenFilter()
    if request.param == "handler":
        log.addHandler(handler)
    else:
        log.addFilter(broken)
    yield
    log.removeHandler(handler)
    log.removeFilter(broken)


def refuse(*_: Any, **__: Any) -> Any:
    raise ConnectionError("theirs")


class Away:
    report = proofs = staticmethod(refuse)


def act() -> int:
    with Actions(Away(), BANK).performing("a.b", subject="alice"):
        return 7
    return 0


def answer_a_request() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Answers."""

    wrapped: Any = AsgiContext(app, who=refuse)
    asyncio.run(wrapped({"type": "http"}, None, None))


WHERE: dict[str, tuple[Callable[[], Any], Any]] = {
    "an action that cannot be reported": (act, 7),
    "a step-up that cannot be reported": (lambda: hand_over(refuse, BANK.stepup_denied(subject="alice")), False),
    "an on_drop that raises": (lambda: Teller(0.0, refuse).tell(Stats(dropped={"refused": 1})), None),
    "a `who` that raises": (answer_a_request, None),
    "an assurance that is away": (
        lambda: require_step_up("a.b", max_age="5m", subject="alice", session="s", assurance=Away()).lacking,
        "unknown",
    ),
}


@pytest.mark.parametrize("what", WHERE)
def test_what_would_be_logged_has_its_outcome_all_the_same(what: str) -> None:
    call, outcome = WHERE[what]
    assert call() == outcome


def test_the_sender_thread_lives_on_and_tells_the_program() -> None:
    heard: list[str] = []
    with KafkaReporter(
        NOWHERE, events_max=1, log_every_s=0.01, close_timeout_s=0, on_drop=lambda reason, _: heard.append(reason)
    ) as reporter:
        for _ in range(2):
            reporter.report(BANK.stepup_denied(subject="alice"))
        deadline = time.monotonic() + 10
        while not heard and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        assert reporter.stats.dropped == {"backlog_full": 1}
        assert reporter._thread is not None
        assert reporter._thread._thread.is_alive()
    assert heard == ["backlog_full", "unsent"]


def test_a_sender_that_ended_for_a_reason_of_its_own_leaves_no_event_uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sender, "run", refuse)
    reporter = KafkaReporter(NOWHERE, close_timeout_s=0)
    reporter.report(BANK.stepup_denied(subject="alice"))
    deadline = time.monotonic() + 10
    while not reporter.stats.dropped and time.monotonic() < deadline:
        time.sleep(0.02)
    reporter.report(BANK.stepup_denied(subject="alice"))
    # The first one was there already when it ended, or it was not.
    assert reporter.stats.dropped in ({"unsent": 1, "closed": 1}, {"closed": 2})
    reporter.close()


def test_at_the_exit_one_reporter_that_cannot_be_closed_does_not_keep_the_others_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reporters = [KafkaReporter(NOWHERE, close_timeout_s=0) for _ in range(3)]
    for reporter in reporters:
        reporter.report(BANK.stepup_denied(subject="alice"))
        close: Callable[..., bool] = reporter.close

        def closed(close: Callable[..., bool] = close) -> None:
            close()
            raise RuntimeError("after that")

        monkeypatch.setattr(reporter, "close", closed)
    _close_all()
    assert [reporter.stats.dropped for reporter in reporters] == [{"unsent": 1}] * 3
