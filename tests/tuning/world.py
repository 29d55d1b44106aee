"""Small worlds for the tuner's tests: events by their distance from nine o'clock, and what was gathered of them."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from stepwatch.schemas.times import SECOND_US, format_time, parse_time
from stepwatch.streams.replay import Gathered, gather
from stepwatch.streams.sets import PolicySets, build_set
from stepwatch.streams.tuning.rejudging import Evidence

NINE_US = parse_time("2026-11-24T09:00:00Z") or 0
POLICY = """\
version: 1
defaults: {max_age: 5m, grace: 10s, lookback: 24h, revise_within: 1h, clock_skew: 5s, same_session: true}
policies:
  - id: payout
    owner: payments
    match: {action: ["payout.*"]}
    require: {amr_any: [hwk]}
"""

Event = dict[str, Any]


def event(kind: str, id: str, at_s: float, who: str = "alice", *, source: str = "/app", **more: Any) -> Event:
    """One event; `arrival_s` says when it arrived, `data` holds the rest."""
    arrival_s = more.pop("arrival_s", at_s)
    return {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": f"stepwatch.{kind}",
        "time": moment(at_s),
        "arrival": moment(arrival_s),
        "subject": who,
        "data": {"session": f"s-{who}", **more},
    }


def moment(at_s: float) -> str:
    """So many seconds after nine o'clock."""
    return format_time(NINE_US + round(at_s * SECOND_US))


def act(id: str, at_s: float, who: str = "alice", **more: Any) -> Event:
    """A payout."""
    return event("action.performed", id, at_s, who, **{"action": "payout.approve", **more})


def prove(id: str, at_s: float, who: str = "alice", **more: Any) -> Event:
    """A security key tapped."""
    return event("stepup.verified", id, at_s, who, **{"source": "/idp", "amr": ["hwk"], **more})


def lines(events: list[Event]) -> list[bytes]:
    """The events as `replay` reads them."""
    return [json.dumps(one).encode() for one in events]


def sets_of(text: str = POLICY) -> PolicySets:
    """One set of one file."""
    return PolicySets([build_set([("policy.yaml", text)], None)])


def evidence(events: list[Event], text: str = POLICY, since_us: int = 0) -> Evidence:
    """What a tuner goes by; no event is rejected."""
    sets, gathered = sets_of(text), Gathered()
    assert list(gather(lines(events), sets, gathered)) == []
    return Evidence(gathered, sets, since_us)


def busy_days(seed: int, people: int = 12, days: int = 3) -> list[Event]:
    """People who prove and act, mostly soon, sometimes late, now and then with one proof for two payouts."""
    chance, found = Random(seed), []
    for person in range(people):
        who = f"p{person:02}"
        for number in range(chance.randint(2, 9)):
            at_s = chance.uniform(0, days * 86_400)
            name = f"{who}-{number}"
            age_s = chance.lognormvariate(4.5, 1.5)
            if chance.random() < 0.9:
                found.append(prove(f"v-{name}", at_s - age_s, who, arrival_s=at_s + chance.uniform(-age_s, 8)))
            found.append(act(f"a-{name}", at_s, who))
            if chance.random() < 0.3:
                found.append(act(f"b-{name}", at_s + chance.uniform(0, 600), who))
    return found
