"""What the tests of verdicts start from: short events with times from a start, judged as a file (the batch job).

    rows = judged(policy("max_age: 5m"), verified("v", at=-60 * S), action("a"))
    assert verdict(rows) == ("verified", "step_up")

Every time is in microseconds from `T0_US`, so an edge and one microsecond past it can be told apart.
"""

from __future__ import annotations

import json
from typing import Any

from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, format_time
from stepwatch.streams.replay import replay
from stepwatch.streams.sets import PolicySets
from tests.core.driver import T0_US, an_event, sets_of

US = 1
MS, S, M, H, D = 1_000, SECOND_US, MINUTE_US, HOUR_US, DAY_US
PAYOUT = "payments.payout.approve"
Row = dict[str, Any]


def policy(require: str = "", *, defaults: str = "", sources: str = "", alert: str = "", more: str = "") -> str:
    """A file with one policy, `payout`, that matches `payments.*`.

    Args:
        require, defaults, alert: members of these mappings, in flow style.
        sources: members of the list.
        more: further lines of the file.
    """
    return (
        f"version: 1\ndefaults: {{{defaults}}}\nsources: [{sources}]\n{more}\n"
        f'policies: [{{id: payout, match: {{action: ["payments.*"]}}, require: {{{require}}}, alert: {{{alert}}}}}]\n'
    )


def event(kind: str, event_id: str, at: int = 0, *, arrival: int | None = None, **fields: Any) -> Row:
    """Any event; `arrival` is left to its time where None. `subject` and `source` are of the envelope."""
    made = an_event(kind, event_id, time_us=T0_US + at, **{"source": "/idp", **fields})
    if arrival is not None:
        made["arrival"] = format_time(T0_US + arrival)
    return made


def action(event_id: str = "a", at: int = 0, *, arrival: int | None = None, **fields: Any) -> Row:
    """An action of alice in session s1."""
    fields = {"source": "/app", "session": "s1", "action": PAYOUT, **fields}
    return event("action.performed", event_id, at, arrival=arrival, **fields)


def verified(event_id: str = "v", at: int = -M, *, arrival: int | None = None, **fields: Any) -> Row:
    """A step-up of alice in session s1, by a security key, a minute before."""
    return event("stepup.verified", event_id, at, arrival=arrival, **{"session": "s1", "amr": ["hwk"], **fields})


def step(end: str, event_id: str = "c", at: int = -M, *, arrival: int | None = None, **fields: Any) -> Row:
    """`stepup.<end>` of alice in session s1, a minute before."""
    return event(f"stepup.{end}", event_id, at, arrival=arrival, **{"session": "s1", **fields})


def heartbeat(at: int, *, arrival: int | None = None, complete_to: int | None = None, **fields: Any) -> Row:
    """A heartbeat of /idp, named by its time."""
    if complete_to is not None:
        fields["complete_to"] = format_time(T0_US + complete_to)
    fields = {"subject": None, **fields}
    return event("heartbeat", fields.pop("event_id", f"hb{at}"), at, arrival=arrival, **fields)


def lines(*events: Row) -> list[bytes]:
    """The lines of a file."""
    return [json.dumps(each).encode() for each in events]


def replayed(policies: str | PolicySets, *events: Row) -> list[Row]:
    """All rows of `replay --json`; nothing may be rejected."""
    rows = list(replay(lines(*events), sets_of(policies)))
    assert [row for row in rows if row["kind"] == "rejected"] == []
    return rows


def judged(policies: str | PolicySets, *events: Row) -> dict[str, Row]:
    """The verdict rows by action id."""
    return {row["action_id"]: row for row in replayed(policies, *events) if row["kind"] == "verdict"}


def alerted(policies: str | PolicySets, *events: Row) -> dict[str, Row]:
    """The alert rows by kind, where there is one of each."""
    rows = [row for row in replayed(policies, *events) if row["kind"] == "alert"]
    kinds = {row["alert"]: row for row in rows}
    assert len(kinds) == len(rows)
    return kinds


def verdict(rows: dict[str, Row], action_id: str = "a") -> tuple[str, str]:
    """(verdict, reason) of one action."""
    return rows[action_id]["verdict"], rows[action_id]["reason"]


def reason(rows: dict[str, Row], action_id: str = "a") -> str:
    """The reason of one action; of a verified one it is the kind of the proof."""
    return str(rows[action_id]["reason"])


def says(policies: str | PolicySets, *events: Row) -> tuple[str, str]:
    """(verdict, reason) of action `a`."""
    return verdict(judged(policies, *events))


VERIFIED = ("verified", "step_up")


def unverified(why: str) -> tuple[str, str]:
    """(verdict, reason)."""
    return ("unverified", why)


BLIND = ("blind", "source_silent")
