"""What `events check` finds: one finding, and the sum of those that say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from stepwatch.cli.lines import Origin

ERROR: Final = "error"
WARNING: Final = "warning"
PLACES_MAX: Final = 5
"""Places that are named of findings that say the same."""
GROUPS_MAX: Final = 1000
"""Findings that are kept apart; what else a hostile file holds is counted."""
_GOT_CHARS_MAX: Final = 60


class Finding(NamedTuple):
    """One thing that is wrong with an event, or of no use.

    Attributes:
        level: `error` or `warning`.
        code: stable name of the case.
        field: path of the field.
        expected: what belongs there.
        hint: what to do; the same words for every event of the case.
        got: what is there; None where nothing is.
    """

    level: str
    code: str
    field: str
    expected: str
    hint: str
    got: str | None = None

    def row(self, origin: Origin, event_id: str | None) -> dict[str, Any]:
        """As `--json` shows it."""
        file = {"file": origin.file} if origin.file else {}
        got = {} if self.got is None else {"got": self.got}
        return {
            **file,
            "line": origin.line,
            "id": event_id,
            "level": self.level,
            "field": self.field,
            "code": self.code,
            "expected": self.expected,
            **got,
            "hint": self.hint,
        }


def warning(code: str, field: str, expected: str, hint: str, got: object = None) -> Finding:
    """A finding about an event that is taken; `got` as JSON has it, None where there is nothing."""
    return Finding(WARNING, code, field, expected, hint, None if got is None else shown_value(got))


def shown_value(value: object) -> str:
    """A value as JSON, shortened."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _GOT_CHARS_MAX else text[: _GOT_CHARS_MAX - 1] + "…"


class Group:
    """Findings that say the same: the first one, its event's id, how many, and where the first ones are."""

    __slots__ = ("count", "event_id", "first", "places")

    def __init__(self, first: Finding, event_id: str | None) -> None:
        self.first = first
        self.event_id = event_id
        self.count = 0
        self.places: list[Origin] = []

    def add(self, origin: Origin) -> None:
        """One more."""
        self.count += 1
        if len(self.places) < PLACES_MAX and origin not in self.places:
            self.places.append(origin)


class Sums:
    """All findings of a file, in memory that does not grow with it.

    Attributes:
        counts: by level.
        left_out: findings beyond `GROUPS_MAX` groups.
    """

    def __init__(self) -> None:
        self.counts = {ERROR: 0, WARNING: 0}
        self.left_out = 0
        self._groups: dict[tuple[str, str, str, str, str], Group] = {}

    def add(self, finding: Finding, origin: Origin, event_id: str | None) -> None:
        """Count one."""
        self.counts[finding.level] += 1
        key = finding[:5]
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= GROUPS_MAX:
                self.left_out += 1
                return
            group = self._groups[key] = Group(finding, event_id)
        group.add(origin)

    def groups(self) -> Iterator[Group]:
        """Errors before warnings, each in the order of their first places."""
        for level in (ERROR, WARNING):
            yield from (group for group in self._groups.values() if group.first.level == level)
