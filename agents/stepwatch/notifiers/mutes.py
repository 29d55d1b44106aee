"""Silence on purpose: which alerts, from when until when, why and by whom; from the routing file or a command."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from stepwatch.notifiers.notices import ShownAlert
from stepwatch.schemas.policy import Moment, Name, Pattern
from stepwatch.schemas.times import format_time
from stepwatch.streams.matching import Patterns

MUTE_KEY = b"!mute|"
FIELDS = ("tenant", "severity", "kind", "policy", "owner", "subject", "alert_id")


def _listed(value: object) -> object:
    """One pattern may stand for a list of one."""
    return [value] if isinstance(value, str) else value


Globs = Annotated[list[Pattern], BeforeValidator(_listed)]


class Match(BaseModel):
    """Conditions on an alert, all of which must hold; an absent one is none. `*` is any run of characters."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    tenant: Globs = []
    severity: Globs = []
    kind: Globs = []
    policy: Globs = []
    owner: Globs = []
    subject: Globs = []
    alert_id: Globs = []

    def matches(self, alert: ShownAlert) -> bool:
        """Whether an alert is meant."""
        return all(
            not (globs := getattr(self, field)) or Patterns(globs).matches(getattr(alert, field)) for field in FIELDS
        )

    @property
    def words(self) -> str:
        """`policy=payout-*, subject=alice`, or `everything`."""
        said = [f"{field}={'|'.join(globs)}" for field in FIELDS if (globs := getattr(self, field))]
        return ", ".join(said) or "everything"


class Mute(BaseModel):
    """Alerts of which nobody is told for a time; what was told before is still taken back.

    A maintenance window is a mute that begins later.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)
    match: Match
    until: Moment
    reason: Name
    by: Name
    begins: Annotated[Moment, Field(alias="from")] = 0
    id: str = ""
    """Of a mute by command; "" in a routing file."""
    made: Moment = 0
    """When it was decided; 0 in a routing file."""
    ended_by: str = ""
    """Who ended it before its time; then `until` is when, and"""
    planned: Moment = 0
    """until when it was to last."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.until <= self.begins:
            raise ValueError("until: expected a time after `from`")
        return self

    def holds(self, now_us: int) -> bool:
        """Whether it is in force: from `from` (inclusive) to `until` (exclusive)."""
        return self.begins <= now_us < self.until

    @property
    def words(self) -> str:
        """One line for a person."""
        begins = f"from {_clock(self.begins)} " if self.begins else ""
        made = f" at {_clock(self.made)}" if self.made else ""
        planned = f", it was to last until {_clock(self.planned)}" if self.planned else ""
        over = f" (ended by {self.ended_by}{planned})" if self.ended_by else ""
        return f"{self.match.words}: {begins}until {_clock(self.until)}{over} by {self.by}{made}: {self.reason}"


def _clock(time_us: int) -> str:
    return f"{format_time(time_us)[:19]}Z"


def match_like(alert: Mapping[str, Any]) -> Match:
    """Alerts of the same tenant, kind, policy and subject, or this one alone.

    Args:
        alert: the columns of the alert.
    """
    said = {name: alert[name] for name in ("tenant", "kind", "policy", "subject") if alert[name]}
    if not alert["subject"] or any("*" in value for value in said.values()):
        # Without a subject they would mean every source, and `*` in a name would mean other names.
        said = {"alert_id": alert["alert_id"]}
    return Match.model_validate(said)


def mute_of(match: Match, until_us: int, reason: str, by: str, now_us: int) -> Mute:
    """A mute from now on, by a person.

    Raises:
        ValidationError: it ends before it begins, or has no reason.
    """
    now = format_time(now_us)
    said = {"match": match.model_dump(exclude_defaults=True), "from": now, "until": format_time(until_us), "made": now}
    return Mute.model_validate({**said, "reason": reason, "by": by, "id": f"mu_{uuid.uuid4().hex[:12]}"})


class Muted(NamedTuple):
    """The mute that keeps an alert quiet, and when that may change, us."""

    mute: Mute
    until_us: int


def muted_by(alert: ShownAlert, mutes: Iterable[Mute], now_us: int) -> Muted | None:
    """The mute of an alert that lasts longest; None where it is to be told."""
    holding = [mute for mute in mutes if mute.holds(now_us) and mute.match.matches(alert)]
    if not holding:
        return None
    longest = max(holding, key=lambda mute: mute.until)
    return Muted(longest, longest.until)


def encode_mute(mute: Mute) -> tuple[bytes, bytes]:
    """Key and value of a mute's record."""
    said: dict[str, object] = {
        "match": mute.match.model_dump(exclude_defaults=True),
        "from": format_time(mute.begins),
        "until": format_time(mute.until),
        "reason": mute.reason,
        "by": mute.by,
        "id": mute.id,
    }
    if mute.made:
        said["made"] = format_time(mute.made)
    if mute.ended_by:
        said |= {"ended_by": mute.ended_by, "planned": format_time(mute.planned or mute.until)}
    return MUTE_KEY + mute.id.encode(), json.dumps(said, ensure_ascii=False).encode()


def ended(mute: Mute, by: str, now_us: int) -> Mute:
    """The same mute, ended now; one that had not begun is over as it begins. What it was to be stays on record."""
    planned = mute.planned or mute.until
    return mute.model_copy(update={"until": max(now_us, mute.begins + 1), "ended_by": by, "planned": planned})


def read_mute(value: bytes) -> Mute:
    """A mute from its record.

    Raises:
        ValueError: it is none; the message names the field.
    """
    try:
        return Mute.model_validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
