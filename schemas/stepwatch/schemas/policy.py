"""A policy file, and the record that carries a policy set (contract section 4).

The models are strict: an unknown key, a text where a list belongs, a number or a bare `no` where a name
belongs are refused, nothing is converted. A key whose value is null is absent; whoever reads the YAML leaves
it out.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_time

UNIT_US: Final = {"ms": 1000, "s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US}
DURATION_MAX_US: Final = 36_500 * DAY_US
"""A hundred years: longer is a slip, and sums of durations must stay exact in every client's numbers."""

_DURATION = re.compile(r"([0-9]{1,18})(ms|s|m|h|d)")


def parse_duration(value: object) -> int:
    """A duration of a policy file: one whole number and one unit of `ms s m h d`, nothing between them.

    Returns:
        Microseconds, 0 to DURATION_MAX_US.

    Raises:
        PydanticCustomError: anything else; the message says what to write.
    """
    form = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if form is None:
        raise PydanticCustomError("duration", "expected one whole number and one unit of ms s m h d, like 90s")
    duration_us = int(form[1]) * UNIT_US[form[2]]
    if duration_us > DURATION_MAX_US:
        raise PydanticCustomError("duration", "expected at most 36500d")
    return duration_us


def show_duration(duration_us: int) -> str:
    """A duration as a policy file says it, in the largest unit that is exact; `us` where none is."""
    if duration_us == 0:
        return "0s"
    for unit, unit_us in reversed(UNIT_US.items()):
        if duration_us % unit_us == 0:
            return f"{duration_us // unit_us}{unit}"
    return f"{duration_us}us"


def _parse_moment(value: object) -> int:
    time_us = parse_time(value) if isinstance(value, str) and value else None
    if time_us is None:
        raise PydanticCustomError(
            "moment", "expected an RFC 3339 time with a zone, years 1970 to 2261, like 2026-11-01T00:00:00Z"
        )
    return time_us


def _check_moment(text: str) -> str:
    _parse_moment(text)
    return text


def _parse_version(value: object) -> int:
    # Literal[1] alone would take `yes` and `1.0`: both equal 1 in Python.
    if type(value) is not int or value != 1:
        raise PydanticCustomError("version", "expected 1, the only version of policy files that there is")
    return value


Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,18}(ms|s|m|h|d)$"}),
]
"""Microseconds; written `90s`, `5m`, `24h`."""
Moment = Annotated[int, BeforeValidator(_parse_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""Microseconds since 1970; written as an RFC 3339 time."""
Name = Annotated[str, Field(min_length=1)]
Pattern = Annotated[str, Field(min_length=1)]
"""`*` is any run of characters, dots too; nothing else is special; the whole string must match."""
TenantName = Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9._-]{1,64})$")]
"""An exact tenant; `*`: all."""
Kind = Literal["step_up", "login"]
Severity = Literal["low", "medium", "high", "critical"]
Sensitivity = Literal["low", "moderate", "high", "critical"]

REASONS: Final[dict[str, frozenset[str]]] = {
    "not_required": frozenset({"no_policy"}),
    "exempt": frozenset({"exemption"}),
    "verified": frozenset({"step_up", "login"}),
    "unverified": frozenset(
        {
            "untrusted_source",
            "wrong_session",
            "voided",
            "weak_factor",
            "stale",
            "wrong_binding",
            "context_mismatch",
            "over_used",
            "after_the_fact",
            "denied",
            "failed",
            "bypassed",
            "abandoned",
            "no_step_up",
        }
    ),
    "blind": frozenset({"too_late", "overload", "source_silent"}),
}
"""The reasons of each verdict (contract section 5)."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class Defaults(_Strict):
    """What holds for every policy of the same file that does not say otherwise."""

    max_age: Duration = 5 * MINUTE_US
    """How old a proof may be when the action happens."""
    clock_skew: Duration = 5 * SECOND_US
    """How far a verification's time may lie after the action's and still count as before it."""
    grace: Duration = 10 * SECOND_US
    """How long after an action's arrival a verification may still arrive before `unverified` is said."""
    lookback: Duration = 24 * HOUR_US
    """How far back verifications are candidates; at least `max_age`."""
    revise_within: Duration = HOUR_US
    """How long after the grace a verdict may still be revised."""
    accept_late: Duration = 24 * HOUR_US
    """How long after its time an action may arrive and still be judged."""
    same_session: bool = True
    """A proof counts in its own session, or below the same login, only."""
    severity: Severity = "high"
    """Severity of the alerts."""
    dedup: Duration = HOUR_US
    """Length of the buckets of time within which actions share one alert."""


class SourceSpec(_Strict):
    """A feed of events, named as in the events' `source`."""

    name: Name
    """As in the events' `source`."""
    silent_after: Duration | None = None
    """Must have given a sign of life within this time for `unverified` to be fair; absent: no such demand."""
    proves: list[Kind] | None = None
    """Kinds of verification that it can prove; once a source has this key, one without it proves nothing."""


class Identity(_Strict):
    """One person or service, and the other names under which events speak of it."""

    subject: Name
    """The canonical id."""
    aliases: list[Name] = []
    """Other names of the same; none may be a subject, or an alias of another."""
    tenant: list[TenantName] = []
    """Exact names of the tenants in which the aliases hold; absent, empty or with `*`: all."""


class MatchSpec(_Strict):
    """Which actions a policy is about; an absent or empty list sets no condition."""

    action: list[Pattern] = []
    """Names of actions, `noun.verb`; `*` is any run of characters, dots too."""
    resource_type: list[Pattern] = []
    """A missing type matches only `*`."""
    sensitivity: list[Sensitivity] = []
    """A missing sensitivity matches every list."""
    tenant: list[Pattern] = []
    """Tenants; `*` is any run of characters."""
    when: str = ""
    """CEL; an error or a result that is not a bool counts as a match."""


class Require(_Strict):
    """What a verification must be to cover the action (contract section 5, filters)."""

    amr_any: list[Name] = []
    """At least one of these methods; empty: any."""
    acr_any: list[Name] = []
    """Exactly one of these classes; empty: any."""
    max_age: Duration | None = None
    """Absent: the file's default."""
    same_session: bool | None = None
    """Absent: the file's default."""
    binding: Literal["none", "action", "transaction"] = "none"
    """What the proof must have been asked for: anything, the same action, the same transaction."""
    max_uses: Annotated[int, Field(ge=1)] | None = None
    """How many actions one proof covers; absent: no limit."""
    same_device: bool = False
    """Proof and action name the same device."""
    same_ip: bool = False
    """Proof and action come from the same address."""
    accept: Annotated[list[Kind], Field(min_length=1)] = ["step_up"]
    """Which kinds of verification count."""


class Exempt(_Strict):
    """Which matched actions need no proof."""

    when: str = ""
    """CEL; an error or a result that is not a bool counts as not exempt; empty: no exemption."""


class AlertSpec(_Strict):
    """How an unverified action is reported; absent keys: the file's defaults."""

    severity: Severity | None = None
    """Of the alerts of this policy."""
    grace: Duration | None = None
    """How long after an action's arrival a verification may still arrive before `unverified` is said."""
    dedup: Duration | None = None
    """Length of the buckets of time within which actions share one alert; `0s`: each has its own."""


class GivenEvent(BaseModel):
    """An event of a policy test in compact form; every key that is not listed here is a field of `data`."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, use_attribute_docstrings=True)
    at: Duration = 0
    """The event's time, from the test's start."""
    arrival: Duration | None = None
    """From the test's start; absent: `at`."""
    action: Name | None = None
    """Name of the action: the event is a `stepwatch.action.performed`."""
    type: Name | None = None
    """Type of any other event, with or without `stepwatch.` in front."""
    id: Name | None = None
    """Absent: `e1`, `e2`, ... by the event's place."""
    subject: Name | None = None
    """Absent: `alice`."""
    source: Name | None = None
    """Absent: of a proof one that may prove it, else `/test`."""

    @model_validator(mode="after")
    def _one_of_action_and_type(self) -> Self:
        if (self.action is None) == (self.type is None):
            raise PydanticCustomError("given", "expected exactly one of `action` and `type`")
        return self


class Expect(_Strict):
    """What a policy test expects of an action's last verdict."""

    verdict: Literal["not_required", "exempt", "verified", "unverified", "blind"]
    """The last one, after the close."""
    reason: str | None = None
    """One of the verdict's own; absent: not compared."""
    verification: Name | None = None
    """The verification that must have been chosen."""
    policy: str | None = None
    """Id of the policy that must have judged; absent: not compared."""
    id: Name | None = None
    """Id of the action that is meant; absent: the last one of `given`."""

    @model_validator(mode="after")
    def _reason_of_verdict(self) -> Self:
        if self.reason is not None and self.reason not in REASONS[self.verdict]:
            raise PydanticCustomError(
                "reason",
                "expected a reason of `{verdict}`: {reasons}",
                {"verdict": self.verdict, "reasons": ", ".join(sorted(REASONS[self.verdict]))},
            )
        return self


class PolicyTest(_Strict):
    """One test of a policy: given these events, this verdict."""

    name: Name
    """A sentence, shown where the test fails."""
    given: Annotated[list[GivenEvent], Field(min_length=1)]
    """Events, in any order."""
    expect: Expect
    """What becomes of one action of them."""


class Policy(_Strict):
    """One policy: which actions, and what must have been proved."""

    id: Name
    """Unique in its set; on every record and alert."""
    reason: str = ""
    """Why step-up is required: carried to every audit record."""
    owner: str = ""
    """Who is asked to act on its alerts."""
    runbook: str = ""
    """Address of the page that says what to do."""
    match: MatchSpec = MatchSpec()
    """Which actions it is about; absent: all."""
    require: Require = Require()
    """What must have been proved."""
    exempt: Exempt = Exempt()
    """Which of its actions need no proof."""
    alert: AlertSpec = AlertSpec()
    """How an action without proof is reported."""
    tests: list[PolicyTest] = []
    """Run by `stepwatch policy test`: at least one that must fire and one that must stay silent."""


class PolicyFile(_Strict):
    """One YAML file of a policy set."""

    version: Annotated[Literal[1], BeforeValidator(_parse_version)]
    """Of the form of policy files: 1."""
    effective_from: Moment | None = None
    """In force from this time on, inclusive; absent: see the contract, section 4."""
    defaults: Defaults = Defaults()
    """Reach this file only."""
    sources: list[SourceSpec] = []
    """Feeds that must be alive, or that alone may prove."""
    identities: list[Identity] = []
    """Who is who: names that mean the same person or service."""
    policies: list[Policy] = []
    """In order: the first that matches an action applies."""


class PolicyText(BaseModel):
    """One file of a policy set as it was applied."""

    model_config = ConfigDict(extra="ignore", strict=True)
    name: Name
    """Base name of the file: it orders the files of a set."""
    text: str


class PolicyRecord(BaseModel):
    """One record of `stepwatch.policies`: a whole policy set and how it was applied."""

    model_config = ConfigDict(extra="ignore", strict=True, use_attribute_docstrings=True)
    files: Annotated[list[PolicyText], Field(min_length=1)]
    effective_from: Annotated[str, AfterValidator(_check_moment)] | None = None
    """RFC 3339; used where the files themselves say none."""
    now: bool = False
    """Applied with `--now`: holds from the record's append time."""
    applied_by: str = ""
    applied_at: str = ""
    """RFC 3339, by the clock of whoever applied it; on record, it does not decide."""
    note: str = ""
    """Why, in the words of whoever applied it."""


def fill_in(policy: Policy, defaults: Defaults) -> dict[str, Any]:
    """A policy with everything that decides or shows on its records written out, durations in microseconds.

    Tests are left out: like comments, they change no verdict and no record.
    """
    require, alert = policy.require, policy.alert
    return {
        **policy.model_dump(mode="json", include={"id", "reason", "owner", "runbook", "match", "exempt"}),
        "require": {
            **require.model_dump(mode="json"),
            "max_age": defaults.max_age if require.max_age is None else require.max_age,
            "same_session": defaults.same_session if require.same_session is None else require.same_session,
        },
        "alert": {
            "severity": alert.severity or defaults.severity,
            "grace": defaults.grace if alert.grace is None else alert.grace,
            "dedup": defaults.dedup if alert.dedup is None else alert.dedup,
        },
        "clock_skew": defaults.clock_skew,
        "lookback": defaults.lookback,
        "revise_within": defaults.revise_within,
        "accept_late": defaults.accept_late,
    }


def policy_version(filled_in: dict[str, Any]) -> str:
    """The first 12 hex digits of the SHA-256 of a policy with its defaults filled in (contract section 4).

    Args:
        filled_in: what `fill_in` returns; a comment, or a default written into the policy, changes nothing.
    """
    text = json.dumps(filled_in, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
