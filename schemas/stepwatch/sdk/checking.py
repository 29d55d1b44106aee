"""Is this an event? Asked before it leaves the application, by the models that the worker asks (contract section 3).

What passes here is no dead letter later. What does not is an `EventError` at once, in the application's own stack, with
the path of the field: a wrong argument is a fault of the program, and found where it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class EventError(ValueError):
    """An event, or an argument of a builder, that the worker would refuse.

    Attributes:
        field: its path in the event, as the contract writes it (`data.client.ip`).
        problem: what was expected and what came.
        code: `event`, for programs.
        retriable: False: the same event is refused again.
    """

    code: Final = "event"
    retriable: Final = False

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class Checked(NamedTuple):
    """An event ready to be sent.

    Attributes:
        type: of contract section 3.
        key: the record's key, `tenant/subject`; empty for a heartbeat.
        value: the event as JSON.
    """

    type: str
    key: bytes
    value: bytes


def check_event(event: Mapping[str, Any]) -> Checked:
    """Check an event as the worker will, and encode it.

    Args:
        event: one CloudEvents 1.0 object of contract section 3; it is not kept.

    Returns:
        Its JSON and its key.

    Raises:
        EventError: the worker would dead-letter it, or does not know its type.
    """
    from stepwatch.sdk.checks import check

    return check(event)
