"""Report an action around the code that does it: with its outcome, also when it raises.

    actions = Actions(reporter, bank)

    with actions.performing("payments.payout.approve", subject="alice", transaction=digest):
        pay()

    @actions.performs("payments.payout.approve", resource=lambda payout: Resource("payout", payout.id, "critical"))
    async def approve(payout: Payout) -> None: ...

The event is made and checked before the code runs, so a wrong argument stops nothing half done; `time` is that moment,
since it is when the application let the action happen. Once the code runs nothing of the reporting can raise: what is
wrong by then is logged and counted in `Actions.faults`, and the action is reported without it.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar, Unpack, cast

from stepwatch.sdk.checking import EventError
from stepwatch.sdk.context import current
from stepwatch.sdk.events import Source
from stepwatch.sdk.ids import new_id
from stepwatch.sdk.parts import ActionSaid, Event, Outcome, Resource, check_word
from stepwatch.sdk.reporter import Reporter
from stepwatch.sdk.saying import say_error

F = TypeVar("F", bound=Callable[..., Any])


class _Keeps(Protocol):
    """A decorator that keeps the type of what it decorates."""

    def __call__(self, function: F, /) -> F: ...


@dataclass(slots=True)
class Performing:
    """One action while it is done; a context manager, also inside coroutines.

    Attributes:
        event: as it will be reported, but for its outcome.
        outcome: decided by the code; None: by whether it raises. A word that is none becomes `unknown`.
    """

    _actions: Actions
    _action: str
    _said: dict[str, Any]
    outcome: Outcome | None = None
    event: Event = field(init=False)
    _begun: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        # An id and a time of its own: what is added later does not make it another event.
        self._said = {"id": new_id(), "time": datetime.now(UTC), **self._said}
        self.add()

    def add(self, **said: Unpack[ActionSaid]) -> None:
        """Say more, or other, than at the beginning: arguments of `Source.action_performed`.

        Once the code runs a wrong argument is logged and counted, and all of this call is left out: the action may
        be done by now, and must neither end as a failure for it nor go unreported.

        Raises:
            EventError: an argument is wrong, before the code runs.
        """
        try:
            whole = {**self._said, **said}
            whole["subject"] = whole.get("subject") or current().subject or ""
            self.event = self._actions.source.action_performed(self._action, **whole)
            self._said = whole
        except Exception:
            if not self._begun:
                raise
            self._actions.note_fault("left out of an action: %s", self._action)

    def __enter__(self) -> Self:
        self._begun = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.event["data"]["outcome"] = self._outcome(error)
            self._actions.reporter.report(self.event)
        except Exception:
            # The action is done, or its own error is under way: neither may be lost for ours.
            self._actions.note_fault("an action was not reported: %s", self._action)

    def _outcome(self, error: BaseException | None) -> Outcome:
        if self.outcome is None:
            return self._actions.outcome_of(error)
        try:
            check_word("data.outcome", self.outcome)
        except Exception:
            self._actions.note_fault("the outcome of an action is unknown: %s", self._action)
            return "unknown"
        return self.outcome


class Actions:
    """Reports actions of one source through one reporter.

    Attributes:
        faults: how many wrong arguments, wrong outcomes and actions not reported were only logged.
    """

    def __init__(
        self, reporter: Reporter, source: Source, *, denied: Iterable[type[BaseException]] = (PermissionError,)
    ) -> None:
        """Bind the two.

        Args:
            reporter: takes the events.
            source: who says it.
            denied: the exceptions by which the application says that the action is not allowed.

        Raises:
            TypeError: `denied` is something else than exception classes.
        """
        kinds = tuple(denied) if isinstance(denied, Iterable) else (None,)
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            raise TypeError(f"denied: expected exception classes, got {denied!r}")
        self.reporter: Final = reporter
        self.source: Final = source
        self.faults = 0
        # Reentrant: a signal handler may act in the middle of it.
        self._counting = threading.RLock()
        self._denied = kinds

    def outcome_of(self, error: BaseException | None) -> Outcome:
        """`denied` for the exceptions named so, `failure` for every other; `unknown` where the code was cut off.

        A cancelled request or an ending process may have done the action before, and so may code that ends by an
        `EventError` of ours; only `failure` says that it did not happen, and takes it out of judgement (contract
        section 3, `outcome`).
        """
        if error is None:
            return "success"
        if isinstance(error, self._denied):
            return "denied"
        return "failure" if isinstance(error, Exception) and not isinstance(error, EventError) else "unknown"

    def note_fault(self, words: str, action: str) -> None:
        """Log and count the exception that is being handled; never raises."""
        with self._counting:
            self.faults += 1
        say_error(words, action)

    def performing(self, action: str, *, subject: str | None = None, **said: Unpack[ActionSaid]) -> Performing:
        """A context manager around the code that does one action.

        Args:
            action: `noun.verb` in dotted lower case.
            subject: who acts; whom the request's context knows, where it is not given.
            said: further arguments of `Source.action_performed`.

        Raises:
            EventError: an argument is wrong, or nobody is known to act.
        """
        return Performing(self, action, {"subject": subject, **said})

    def performs(
        self,
        action: str,
        *,
        subject: Callable[..., str | None] | None = None,
        resource: Callable[..., Resource | None] | Resource | None = None,
        transaction: Callable[..., str | None] | None = None,
        on_behalf_of: Callable[..., str | None] | None = None,
        session: Callable[..., str | None] | None = None,
    ) -> _Keeps:
        """A decorator for a function, or coroutine function, that does the action whenever it is called.

        Args:
            action: `noun.verb` in dotted lower case.
            subject: from the function's arguments, who acts; whom the request's context knows, where it is not given.
            resource: the same of what it is done to, or always the same one.
            transaction, on_behalf_of, session: from the function's arguments.

        Raises:
            EventError: the action's name is no name.
            TypeError: the function is a generator: when would its action be done?
        """
        self.source.action_performed(action, subject="anybody")
        given = {
            "subject": subject,
            "resource": resource,
            "transaction": transaction,
            "on_behalf_of": on_behalf_of,
            "session": session,
        }

        def performing(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Performing:
            said: Any = {name: part(*args, **kwargs) if callable(part) else part for name, part in given.items()}
            return self.performing(action, **said)

        def decorate(function: F) -> F:
            return cast(F, _wrapped(function, performing))

        return decorate


def _wrapped(function: Any, performing: Callable[[tuple[Any, ...], dict[str, Any]], Performing]) -> Any:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__qualname__}: a generator's action has no end: use `performing` inside it")
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def later(*args: Any, **kwargs: Any) -> Any:
            with performing(args, kwargs):
                return await function(*args, **kwargs)

        return later

    @functools.wraps(function)
    def now(*args: Any, **kwargs: Any) -> Any:
        with performing(args, kwargs):
            return function(*args, **kwargs)

    return now
