"""The form of a scenario: what a YAML file of this folder may say, and how it becomes events, policy sets and steps.

    policies: [...]          one policy file, or a list of them: each a set, with `effective_from` as an offset
    partitions: 2            default 1; the partition is alice's
    events:                  the compact form of contract section 4
      - {id: a, at: 0s, action: payments.payout.approve}
      - {id: v, at: -1m, arrival: 5s, type: stepup.verified}
    steps:
      - read: [a, v]         appended to their topics and read; neighbours of one topic are one batch
      - log time: 10s        a pulse into both inputs; {authentications: 10s}: into one
      - restart              a new correlator from the encoded state
      - person: {decides: resolve, alert: unverified_action, version: 1}
      - expect: {...}        what is so by now; see `Expected`
    batch: skip, because ... default: the last revisions must equal what `replay` says of the same records

Offsets are from 2026-11-24T09:00:00Z, e.g. `90s`, `-1m`, `1h10s`, `1h10s1ms`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, format_time
from stepwatch.streams.sets import PolicySets, build_set
from tests.core.driver import T0_US, an_event

UNITS = {"d": DAY_US, "h": HOUR_US, "m": MINUTE_US, "s": SECOND_US, "ms": 1000, "us": 1}
ENVELOPE = ("id", "at", "arrival", "action", "type", "subject", "source")
Row = dict[str, Any]


class Expected(BaseModel):
    """What is so at a point. Only what is named is compared, but each list is whole.

    Attributes:
        published: action id -> every revision so far, each `verdict reason [verification]`.
        alerts: the last version of every alert so far, in any order; of each the fields named.
        versions: kind -> how many versions of alerts of that kind were written.
        counts: metric -> its sum.
        dead_letters: event ids' `error field`, in order.
        due: when a pulse is due, or `nothing`.
        closes: action id -> `closes_at` of its last row.
        nearest: action id -> the sentence of the nearest miss, or `nothing`.
    """

    model_config = ConfigDict(extra="forbid")

    published: dict[str, list[str]] = Field(default_factory=dict)
    alerts: list[Row] | None = None
    versions: dict[str, int] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    dead_letters: list[str] | None = Field(default=None, alias="dead letters")
    due: str | None = None
    closes: dict[str, str] = Field(default_factory=dict)
    nearest: dict[str, str] = Field(default_factory=dict)


class Person(BaseModel):
    """What a person decides about the last alert of a kind, having seen a version of it."""

    model_config = ConfigDict(extra="forbid")

    decides: str
    alert: str
    version: int


class Step(BaseModel):
    """One line of the story; exactly one of these."""

    model_config = ConfigDict(extra="forbid")

    read: list[str] | None = None
    log_time: str | dict[str, str] | None = Field(default=None, alias="log time")
    restart: bool = False
    person: Person | None = None
    expect: Expected | None = None


class Scenario(BaseModel):
    """A file of this folder."""

    model_config = ConfigDict(extra="forbid")

    policies: Row | list[Row]
    partitions: int = 1
    events: list[Row]
    steps: list[Step | str]
    batch: str = "equals"

    def sets(self) -> PolicySets:
        """The policy sets, all known from the start."""
        texts = self.policies if isinstance(self.policies, list) else [self.policies]
        return PolicySets([_set(dict(text)) for text in texts])

    def event(self, event_id: str) -> tuple[str, int, Row]:
        """(input, arrival, event) of one of the events."""
        said: Row = next(each for each in self.events if each["id"] == event_id)
        at_us = T0_US + offset(said["at"])
        arrival_us = T0_US + offset(said.get("arrival") or said["at"])
        is_action = "action" in said
        kind = "action.performed" if is_action else str(said["type"])
        data = {name: value for name, value in said.items() if name not in ENVELOPE}
        if is_action:
            data["action"] = said["action"]
        if kind == "heartbeat":
            if "complete_to" in data:
                data["complete_to"] = format_time(T0_US + offset(data["complete_to"]))
        else:
            data.setdefault("session", "s1")
        if kind == "stepup.verified":
            data.setdefault("amr", [self._first_amr()])
        event = an_event(
            kind,
            event_id.partition("~")[0],
            time_us=at_us,
            subject=None if kind == "heartbeat" else said.get("subject", "alice"),
            source=said.get("source", "/app" if is_action else "/idp"),
            **data,
        )
        return ("actions" if is_action else "authentications"), arrival_us, event

    def _first_amr(self) -> str:
        """The first method that the first policy accepts."""
        first = self.policies[0] if isinstance(self.policies, list) else self.policies
        return next(iter(first["policies"][0].get("require", {}).get("amr_any", [])), "hwk")


def offset(text: str) -> int:
    """`-1m30s` in microseconds."""
    if not re.fullmatch(r"-?(\d+(ms|us|[smhd]))+", text):
        raise ValueError(f"expected an offset such as 90s, -1m or 1h10s, got {text!r}")
    parts = re.findall(r"(\d+)(ms|us|[smhd])", text)
    return (-1 if text.startswith("-") else 1) * sum(int(number) * UNITS[unit] for number, unit in parts)


def load(path: Path) -> Scenario:
    """Read a scenario; pydantic names what is not of the form."""
    return Scenario.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def _set(said: dict[str, Any]) -> Any:
    begins = said.pop("effective_from", None)
    text = yaml.safe_dump({"version": 1, **said}, sort_keys=False)
    return build_set([("policies.yaml", text)], None if begins is None else T0_US + offset(begins))


def mismatch(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The named fields that differ: name -> (wanted, got)."""
    return {name: (value, got.get(name)) for name, value in wanted.items() if got.get(name) != value}
