"""A reporter for the tests of whoever reports: no Kafka, the same checks, and what was said at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from stepwatch.sdk.checking import check_event
from stepwatch.sdk.parts import Event
from stepwatch.sdk.reporter import Stats


class MemoryReporter:
    """Keeps every event.

    Attributes:
        events: as they would have been sent, in the order in which they were reported.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    def report(self, event: Mapping[str, Any]) -> None:
        """Keep one event; see `Reporter`.

        Raises:
            EventError: the worker would refuse it.
        """
        self.events.append(msgspec.json.decode(check_event(event).value))

    @property
    def stats(self) -> Stats:
        """As of a reporter whose Kafka never fails."""
        return Stats(reported=len(self.events), sent=len(self.events))

    def start(self) -> None:
        """Nothing is to be started; here as everywhere below, so that it takes the place of the other reporters."""

    def flush(self, timeout_s: float = 0.0) -> bool:
        """All is there."""
        return True

    def close(self, timeout_s: float | None = None) -> bool:
        """Nothing is to be closed."""
        return True

    async def aflush(self, timeout_s: float = 0.0) -> bool:
        """All is there."""
        return True

    async def aclose(self, timeout_s: float | None = None) -> bool:
        """Nothing is to be closed."""
        return True

    def reported(self, type: str, /, **expected: Any) -> list[Event]:
        """The events of a type whose members are as expected.

        Args:
            type: with or without the `stepwatch.` before it (`action.performed`).
            expected: members of `data`, or `subject`, `source`, `id`, `time` of the event. An object is as expected
                where it has the members given: `resource={"id": "po_1"}`.
        """
        kind = f"stepwatch.{type.removeprefix('stepwatch.')}"
        return [event for event in self.events if event["type"] == kind and not _differences(event, expected)]

    def assert_reported(self, type: str, /, **expected: Any) -> Event:
        """The one event of a type that is as expected; for the arguments see `reported`.

        Raises:
            AssertionError: there is none, or more than one; says what was reported instead.
        """
        found = self.reported(type, **expected)
        assert len(found) == 1, f"expected one {type} with {expected}, found {len(found)}; reported: {self._said()}"
        return found[0]

    def assert_not_reported(self, type: str, /, **expected: Any) -> None:
        """No event of a type is as described; for the arguments see `reported`.

        Raises:
            AssertionError: there is one.
        """
        found = self.reported(type, **expected)
        assert not found, f"expected no {type} with {expected}, found {found}"

    def clear(self) -> None:
        """Forget all events."""
        self.events.clear()

    def _said(self) -> str:
        said = [f"{event['type']} of {event.get('subject')}: {event.get('data', {})}" for event in self.events]
        return "\n  ".join(["", *said]) if said else "nothing"


def _differences(event: Event, expected: Mapping[str, Any]) -> list[str]:
    data = event.get("data", {})
    return [
        name
        for name, value in expected.items()
        if not _is_as(event.get(name) if name in ("subject", "source", "id", "time") else data.get(name), value)
    ]


def _is_as(found: Any, expected: Any) -> bool:
    if isinstance(found, dict) and isinstance(expected, Mapping):
        return all(_is_as(found.get(name), value) for name, value in expected.items())
    return bool(found == expected)
