"""Alerts as the API holds them: where each stands, and what became of it (contract section 7)."""

from __future__ import annotations

import base64
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from stepwatch.agents.alert_log import (
    AlertState,
    Standing,
    Step,
    WantedAlerts,
    change_of,
    decision_of,
    place_of,
    read_state,
)
from stepwatch.agents.reading import Record
from stepwatch.streams.decode import Fault
from stepwatch.streams.reading import response_of

ALERTS_MAX: Final = 100_000
"""Held in all, some 3 KB each. Beyond it those that were resolved longest ago go first; who is not resolved stays."""
DECIDED_MAX: Final = 50_000
"""Alerts of which decisions are held; beyond it those first decided on go first."""
STEPS_MAX: Final = 100
"""Of one alert, changes and decisions each: the newest. ClickHouse has all of them."""
Place = tuple[bool, int, str, str]
_decode_place = msgspec.json.Decoder(Place).decode


class BadCursor(ValueError):
    """What was given as a cursor is none of ours."""


@dataclass(slots=True)
class Past:
    """The newest lines of an alert's history, and how many older ones are left out."""

    steps: list[tuple[str, Step]] = field(default_factory=list)
    omitted: int = 0

    def add(self, key: str, step: Step) -> None:
        """Add a line, unless one of this key is there."""
        if key in self:
            return
        self.steps.append((key, step))
        if len(self.steps) > STEPS_MAX:
            del self.steps[0]
            self.omitted += 1

    def __contains__(self, key: str) -> bool:
        return any(known == key for known, _ in self.steps)


@dataclass(frozen=True, slots=True)
class Page:
    """Some alerts, the worst first.

    Attributes:
        rows: of this page.
        next: cursor of the page after it; `""`: there is none.
    """

    rows: list[AlertState]
    next: str


class Alerts:
    """What the two topics hold. A record is taken at a time; an alert is never changed in place.

    Args:
        alerts_max, decided_max: bounds.
    """

    def __init__(self, alerts_max: int = ALERTS_MAX, decided_max: int = DECIDED_MAX) -> None:
        self._max = alerts_max
        self._decided_max = decided_max
        self._standing: dict[str, Standing] = {}
        self._over: dict[str, None] = {}
        self._changes: dict[str, Past] = {}
        self._decisions: dict[str, Past] = {}

    def __len__(self) -> int:
        return len(self._standing)

    def __iter__(self) -> Iterator[AlertState]:
        # A list first: who goes through it may be another thread.
        return (one.alert for one in list(self._standing.values()))

    def get(self, alert_id: str) -> Standing | None:
        """Where an alert stands; None: it is not known, or it is long over."""
        return self._standing.get(alert_id)

    def take_alert(self, record: Record) -> AlertState | None:
        """Take a record of topic `alerts`; returns the alert if it is a new version."""
        said = read_state(record.value)
        if said is None:
            if record.value is None and record.key:
                self._forget(record.key.rpartition(b"/")[2].decode(errors="replace"))
            return None
        alert_id = said["alert_id"]
        held = self._standing.get(alert_id)
        if held is not None and held.alert["version"] >= said["version"]:
            return None
        self._standing[alert_id] = Standing(said, record.partition)
        self._changes.setdefault(alert_id, Past()).add(str(said["version"]), change_of(said))
        self._over.pop(alert_id, None)
        if said["state"] == "resolved":
            self._over[alert_id] = None
        if len(self._standing) > self._max and self._over:
            self._forget(next(iter(self._over)))
        return said

    def take_response(self, record: Record) -> None:
        """Take a record of topic `responses`; what is none is the worker's to refuse."""
        said = response_of(record.value)
        if isinstance(said, Fault):
            return
        past = self._decisions.setdefault(said.alert_id, Past())
        past.add(said.id, decision_of(said, record.timestamp * 1000))
        if len(self._decisions) > self._decided_max:
            del self._decisions[next(iter(self._decisions))]

    def has_decision(self, alert_id: str, response_id: str) -> bool:
        """Whether a decision was read."""
        return response_id in self._decisions.get(alert_id, Past())

    def history(self, alert_id: str) -> tuple[list[Step], int]:
        """The lines of an alert's history in order of time, and how many older ones are left out."""
        pasts = [past for said in (self._changes, self._decisions) if (past := said.get(alert_id)) is not None]
        steps = [step for past in pasts for _, step in past.steps]
        return sorted(steps, key=lambda step: step.at), sum(past.omitted for past in pasts)

    def page(
        self, wanted: WantedAlerts, may_see: Callable[[str], bool], limit: int, after: Place | None
    ) -> tuple[Page, int]:
        """The alerts that are wanted, the worst first. Goes through all: not for the loop of events.

        Args:
            wanted: which.
            may_see: whether alerts of a tenant are shown.
            limit: at most so many.
            after: only those that come after this place.

        Returns:
            The page; how many alerts are wanted in all, on every page.
        """
        found = [alert for alert in self if may_see(alert["tenant"]) and wanted.holds(alert)]
        left = found if after is None else [alert for alert in found if place_of(alert) < after]
        rows = heapq.nlargest(limit, left, key=place_of)
        return Page(rows, cursor_of(rows[-1]) if len(rows) < len(left) else ""), len(found)

    def changed_since(self, wanted: WantedAlerts, may_see: Callable[[str], bool]) -> list[AlertState]:
        """The alerts that are wanted, in the order in which they changed last."""
        found = [alert for alert in self if may_see(alert["tenant"]) and wanted.holds(alert)]
        return sorted(found, key=lambda alert: str(alert["updated_at"]))

    def newer_than(self, before: Alerts) -> list[AlertState]:
        """The alerts that another did not know in this version."""
        return [
            alert
            for alert in self
            if (held := before.get(alert["alert_id"])) is None or held.alert["version"] < alert["version"]
        ]

    def _forget(self, alert_id: str) -> None:
        for held in (self._standing, self._over, self._changes, self._decisions):
            held.pop(alert_id, None)


def cursor_of(alert: AlertState) -> str:
    """What stands for an alert's place in a request for the next page."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place_of(alert))).decode().rstrip("=")


def place_from(cursor: str) -> Place:
    """The place that a cursor stands for.

    Raises:
        BadCursor: it is none.
    """
    try:
        return _decode_place(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, msgspec.MsgspecError) as error:
        raise BadCursor(cursor) from error
