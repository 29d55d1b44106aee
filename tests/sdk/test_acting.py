"""An action reported around the code that does it: its outcome, its time, and never in the code's way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from stepwatch.schemas.times import parse_time
from stepwatch.sdk import Actions, Context, EventError, KafkaReporter, MemoryReporter, Resource, Source, use


class Forbidden(Exception):
    """An application's own word for "you may not"."""


REPORTER = MemoryReporter()
ACTIONS = Actions(REPORTER, Source("/payments/api"), denied=(PermissionError, Forbidden))
ENDS: list[tuple[BaseException | None, str]] = [
    (None, "success"),
    (ValueError("no"), "failure"),
    (TimeoutError(), "failure"),
    (PermissionError(), "denied"),
    (Forbidden(), "denied"),
    (asyncio.CancelledError(), "unknown"),
    (KeyboardInterrupt(), "unknown"),
]


@pytest.fixture(autouse=True)
def _nothing_reported() -> None:
    REPORTER.clear()


def a_block(error: BaseException | None) -> None:
    with ACTIONS.performing("payments.payout.approve", subject="alice"):
        if error is not None:
            raise error


@ACTIONS.performs("payments.payout.approve", subject=lambda error: "alice")
def a_function(error: BaseException | None) -> None:
    if error is not None:
        raise error


@ACTIONS.performs("payments.payout.approve", subject=lambda error: "alice")
async def a_coroutine(error: BaseException | None) -> None:
    await asyncio.sleep(0)
    if error is not None:
        raise error


def drive(error: BaseException | None) -> None:
    """Run the coroutine by hand: asyncio treats some of these errors in its own way."""
    coroutine = a_coroutine(error)
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        return


@pytest.mark.parametrize("do", [a_block, a_function, drive], ids=["block", "function", "coroutine"])
@pytest.mark.parametrize(("error", "outcome"), ENDS, ids=[type(error).__name__ for error, _ in ENDS])
def test_the_outcome_is_what_became_of_the_code_and_its_error_goes_on(
    do: Callable[[BaseException | None], None], error: BaseException | None, outcome: str
) -> None:
    if error is None:
        do(None)
    else:
        with pytest.raises(type(error)) as caught:
            do(error)
        assert caught.value is error
    REPORTER.assert_reported("action.performed", subject="alice", action="payments.payout.approve", outcome=outcome)


def test_its_time_is_when_it_was_let_happen_and_not_its_end() -> None:
    with ACTIONS.performing("a.b", subject="alice"):
        let_us = time.time_ns() // 1000
        time.sleep(0.02)
    said_us = parse_time(REPORTER.assert_reported("action.performed")["time"])
    assert said_us is not None
    assert said_us <= let_us


def test_what_is_known_only_later_is_added_to_the_same_event() -> None:
    with ACTIONS.performing("a.b", subject="alice", session="s-1") as performing:
        at_first = performing.event
        performing.add(resource=Resource("payout", "po_7", "high"), transaction="sha256:1")
        performing.outcome = "failure"
    event = REPORTER.assert_reported("action.performed", outcome="failure", resource={"id": "po_7"}, session="s-1")
    assert (event["id"], event["time"]) == (at_first["id"], at_first["time"])


def test_a_wrong_argument_is_an_error_before_the_code_runs() -> None:
    done = []
    with pytest.raises(EventError, match="subject"), ACTIONS.performing("a.b"):
        done.append(1)
    assert done == []
    with pytest.raises(EventError, match=r"data\.action"):
        ACTIONS.performs("")


def test_once_the_code_ran_nothing_of_the_reporting_is_in_its_way(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def report(self, event: Mapping[str, Any]) -> None:
            raise RuntimeError("theirs")

    @Actions(Broken(), Source("/app")).performs("a.b", subject=lambda: "alice")
    def pay() -> int:
        return 7

    assert pay() == 7
    assert "an action was not reported: a.b" in caplog.text


WRONG: list[tuple[str, Callable[[Any], None]]] = [
    ("an id that is a number", lambda performing: performing.add(resource=Resource("payout", 7))),  # type: ignore[arg-type]
    ("a raw token", lambda performing: performing.add(token="eyJ...")),
    ("a misspelt argument", lambda performing: performing.add(sesion="s-1")),
    ("an outcome that is no word", lambda performing: setattr(performing, "outcome", "sucess")),
]


@pytest.mark.parametrize(("what", "do"), WRONG, ids=[row[0] for row in WRONG])
def test_what_is_wrong_while_the_code_runs_neither_raises_into_it_nor_loses_the_action(
    what: str, do: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    actions = Actions(REPORTER, Source("/payments/api"))
    with actions.performing("a.b", subject="alice", session="s-1") as performing:
        performing.add(transaction="sha256:1")
        do(performing)
    outcome = "unknown" if "outcome" in what else "success"
    REPORTER.assert_reported("action.performed", outcome=outcome, session="s-1", transaction="sha256:1")
    assert actions.faults == 1
    assert ": a.b" in caplog.text


def test_an_action_in_whose_code_a_part_of_the_event_cannot_be_made_is_not_said_to_have_failed() -> None:
    with pytest.raises(EventError), ACTIONS.performing("a.b", subject="alice") as performing:
        performing.add(resource=Resource("payout", "po_1", "hgih"))  # type: ignore[arg-type]
    REPORTER.assert_reported("action.performed", outcome="unknown")


def test_the_exceptions_of_a_denial_may_be_any_collection_of_them() -> None:
    actions = Actions(REPORTER, Source("/app"), denied=[PermissionError, Forbidden])
    with pytest.raises(Forbidden), actions.performing("a.b", subject="alice"):
        raise Forbidden
    REPORTER.assert_reported("action.performed", outcome="denied")


@pytest.mark.parametrize("wrong", [PermissionError, ["PermissionError"], None, (int,)])
def test_what_is_no_exception_is_no_denial(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^denied: "):
        Actions(REPORTER, Source("/app"), denied=wrong)


def test_a_decorator_reads_the_functions_arguments_and_the_requests_context() -> None:
    @ACTIONS.performs(
        "payments.payout.approve",
        resource=lambda payout, amount: Resource("payout", payout, "critical" if amount > 100 else "low"),
    )
    def approve(payout: str, amount: int) -> int:
        """Approves."""
        return amount

    with use(Context(subject="alice", session="s-81")):
        assert approve("po_1", amount=500) == 500
    assert approve.__doc__ == "Approves."
    REPORTER.assert_reported(
        "action.performed", subject="alice", session="s-81", resource={"id": "po_1", "sensitivity": "critical"}
    )


def test_a_generator_is_no_action() -> None:
    with pytest.raises(TypeError, match="generator"):

        @ACTIONS.performs("a.b", subject=lambda: "alice")
        def pages() -> Iterator[int]:
            yield 1


def test_the_memory_reporter_says_what_was_reported_instead() -> None:
    REPORTER.assert_not_reported("action.performed")
    a_block(None)
    with pytest.raises(AssertionError, match=r"found 0; reported: \s*stepwatch.action.performed of alice"):
        REPORTER.assert_reported("action.performed", subject="bob")
    a_block(None)
    with pytest.raises(AssertionError, match="found 2"):
        REPORTER.assert_reported("stepwatch.action.performed")
    with pytest.raises(AssertionError, match="expected no"):
        REPORTER.assert_not_reported("action.performed", outcome="success")
    with pytest.raises(EventError):
        REPORTER.report({"type": "stepwatch.action.performed"})
    assert REPORTER.stats.sent == 2


def test_the_memory_reporter_takes_the_place_of_the_other() -> None:
    public = {name for name in vars(KafkaReporter) if not name.startswith("_")} - {"begin_anew"}
    assert public <= {name for name in vars(MemoryReporter) if not name.startswith("_")}
    assert REPORTER.flush()
    assert asyncio.run(REPORTER.aclose())
