"""How an event is put together: what the call says, what the request's context knows, an id and a time."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from stepwatch.schemas.times import format_time
from stepwatch.sdk.checking import EventError, check_event
from stepwatch.sdk.context import Client, Context, current, members_of
from stepwatch.sdk.fitting import fit_members
from stepwatch.sdk.ids import new_id
from stepwatch.sdk.parts import Event, StepUp

_ARGUMENTS: Final = frozenset(StepUp.__annotations__)
_MEMBERS: Final = ("challenge", "bound_action", "transaction")
"""The arguments that go into `data` as they are."""


def build_event(
    source: str, kind: str, subject: str, data: dict[str, Any], said: Mapping[str, Any], known: Context | None
) -> Event:
    """One checked event.

    Args:
        source: who says it.
        kind: its type, without the `stepwatch.` before it.
        subject: the canonical id of whom it concerns.
        data: what belongs to this type; members that are None are left out.
        said: of `parts.StepUp`, whatever the call gave.
        known: fills in what was not said; None: nothing does.

    Raises:
        EventError: the worker would refuse it.
        TypeError: `said` has an argument that no builder takes.
    """
    if unknown := said.keys() - _ARGUMENTS:
        raise TypeError(f"stepwatch.{kind}: unexpected argument {', '.join(sorted(unknown))}")
    at = data.get("auth_time")
    if isinstance(at, float) and not math.isfinite(at):
        # JSON has no word for it, and the encoder writes null: absent.
        raise EventError("data.auth_time", f"expected a finite number, got {at}")
    client = said.get("client")
    full = {"session": said.get("session"), "root_session": said.get("root_session"), **data}
    full.update((name, said[name]) for name in _MEMBERS if name in said)
    if known is not None:
        if full["session"] is None:
            # Another session's root would tell a lie about this one, so both come from the same place.
            full["session"] = known.session
            full["root_session"] = full["root_session"] or known.root_session
        client = client or known.client
    full["client"] = _client(client)
    _add_extra(full, said.get("extra"))
    event = {
        "specversion": "1.0",
        "id": said.get("id") or new_id(),
        "source": source,
        "type": f"stepwatch.{kind}",
        "time": moment_of("time", said.get("time")),
        "subject": subject,
        "data": {name: value for name, value in full.items() if value is not None},
    }
    check_event(event)
    return event


def context_of(subject: str) -> Context:
    """The request's context where it may speak of this subject; an empty one for anybody else."""
    found = current()
    return found if found.subject in (None, subject) else Context()


def list_of(words: Sequence[str]) -> Any:
    """A list for JSON; a text stays one, though it is a sequence of its letters: the check is to refuse it."""
    return words if isinstance(words, str) else list(words)


def moment_of(field: str, at: datetime | None) -> str:
    """RFC 3339 in UTC; now where `at` is None.

    Raises:
        EventError: `at` is no datetime with a zone.
    """
    if at is None:
        return format_time(time.time_ns() // 1000)
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise EventError(field, f"expected a datetime with a zone, got {at!r}")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _client(client: object) -> dict[str, Any] | None:
    if client is not None and not isinstance(client, Client):
        raise EventError("data.client", f"expected a Client, got {type(client).__name__}")
    return fit_members(members_of(client)) if client else None


def _add_extra(data: dict[str, Any], extra: Mapping[str, object] | None) -> None:
    if not extra:
        return
    # Here, since it loads pydantic: see `checks.py`.
    from stepwatch.schemas.events import Data

    for name, value in extra.items():
        if name in Data.model_fields:
            raise EventError(f"data.{name}", "is a field of the contract: give it as an argument of its own")
        data[name] = value
