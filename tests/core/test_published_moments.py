"""Row by row against an oracle: after each record the brute-force judge says what is so, section 5 what is published.

The oracle judges all records read so far anew, and applies the five sentences of "Waiting and publishing" to the
outcome. It shares no code with the core, so what is published, and after which record, is held to the contract.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from stepwatch.schemas.times import format_time
from tests.core.driver import T0_US, TOPICS, Driver, an_event
from tests.core.given import S
from tests.judge.judge import Judge
from tests.judge.reading import TYPES

POLICIES = (
    """version: 1
sources: [{name: /idp, silent_after: 2m}]
policies:
  - {id: payout, match: {action: ["payments.*"]}, require: {amr_any: [hwk], max_uses: 2}}
  - id: admin
    match: {action: ["admin.*"]}
    require: {accept: [login, step_up], same_session: false}
    alert: {grace: 0s}
""",
    """version: 1
defaults: {lookback: 1h, accept_late: 30m, revise_within: 10m, grace: 5s}
policies: [{id: payout, match: {action: ["payments.*"]}, require: {max_uses: 1}}]
""",
)
EVIDENCE = [
    *["stepup.verified"] * 4,
    "stepup.denied",
    "session.revoked",
    "session.started",
    "credential.changed",
]
Said = tuple[str, str, str | None, str | None]
"""(verdict, reason, verification, nearest miss): rows that follow each other differ in it."""


class Read(NamedTuple):
    """A record and the append time under which it is read."""

    topic: str
    event: dict[str, Any]
    at_us: int


def story(rng: random.Random) -> list[Read]:
    """Some minutes of one person, dense around the ends of graces and of silences, and an hour of quiet after."""
    records: list[Read] = []
    at_us = T0_US
    for number in range(rng.randrange(8, 40)):
        at_us += rng.choice([0, 1, 1, 2, 4, 5, 8, 10, 20, 60, 121, 600]) * S
        ago_us = rng.choice([0, 0, 1, 2, 5, 20, 60, 299, 300, 301]) * S
        records += _some(rng, f"{number}", at_us, ago_us)
    for quiet in (10, 60, 3700):
        at_us += quiet * S
        records += [_pulse(topic, f"q{quiet}", at_us) for topic in TOPICS.inputs[:2]]
    return records


def _some(rng: random.Random, number: str, at_us: int, ago_us: int) -> list[Read]:
    kind, session = rng.random(), rng.choice(["s1", "s1", "s2"])
    if kind < 0.35:
        name, outcome = rng.choice(["payments.x", "payments.x", "admin.y"]), rng.choice(["success", "failure"])
        said = {"session": session, "action": name, "outcome": outcome}
        event = an_event("action.performed", f"a{number}", time_us=at_us - ago_us, **said)
        return [Read(TOPICS.actions, event, at_us)]
    if kind < 0.65:
        data: dict[str, Any] = {
            "session": session,
            "amr": ["hwk"],
            "credential": "k",
            "change": rng.choice(["created", "revoked"]),
        }
        event = an_event(rng.choice(EVIDENCE), f"e{number}", time_us=at_us - ago_us, source="/idp", **data)
        return [Read(TOPICS.authentications, event, at_us)]
    if kind < 0.75:
        time_us = at_us - rng.choice([0, 0, 119, 121]) * S
        event = an_event("heartbeat", f"h{number}", time_us=time_us, subject=None, source="/idp")
        return [Read(TOPICS.authentications, event, at_us)]
    topics = rng.choice([TOPICS.inputs[:1], TOPICS.inputs[1:2], TOPICS.inputs[:2]])
    return [_pulse(topic, number, at_us) for topic in topics]


def _pulse(topic: str, number: str, at_us: int) -> Read:
    return Read(topic, an_event("heartbeat", f"p{number}", time_us=at_us, subject=None, source="stepwatch"), at_us)


class Oracle:
    """What must have been published, by the sentences of section 5."""

    def __init__(self, policies: str) -> None:
        self.policies = policies
        self.lines: list[bytes] = []
        self.log_times = dict.fromkeys(TOPICS.inputs[:2], -1)
        self.published: dict[str, list[Said]] = {}
        self.final: set[str] = set()

    def read(self, record: Read) -> None:
        """Judge everything anew, and publish what is due."""
        self.lines.append(json.dumps({**record.event, "arrival": format_time(record.at_us)}).encode())
        self.log_times[record.topic] = record.at_us
        judge = Judge(self.lines, [("policies.yaml", self.policies)])
        for action in judge.actions:
            if action.id not in self.final:
                self._settle(judge, action)

    def _settle(self, judge: Judge, action: Any) -> None:
        said = shown(judge.row(action))
        before = self.published.setdefault(action.id, [])
        policy, exempt = judge.policy(action)
        at_once = policy is None or exempt
        closed = at_once or min(self.log_times.values()) > judge.close(action)
        if closed:
            self.final.add(action.id)
        if before[-1:] == [said]:
            return
        if closed or said[0] == "verified" or self._due(judge, action, policy, said):
            before.append(said)

    def _due(self, judge: Judge, action: Any, policy: Any, said: Said) -> bool:
        now_us, grace_end_us = self.log_times[TOPICS.authentications], action.arrival + policy.grace
        if now_us < grace_end_us:
            return False
        if said[0] == "unverified":
            # At the end of its grace it was blind, published or not, if every sign came later.
            sign_us = max((self._sign(judge, action, policy, *fed) for fed in judge.fed(action.time)), default=0)
            return bool(sign_us <= grace_end_us or now_us >= sign_us + policy.grace)
        return True

    def _sign(self, judge: Judge, action: Any, policy: Any, name: str, source: Any) -> int:
        """The first sign of life of one source; its last comes too late to be the one that ended the silence."""
        first_us, last_us = action.arrival + policy.grace - source.silent_after, judge.close(action)
        own = [event for event in judge.known(action, last_us, *TYPES) if event not in judge.actions]
        signs = [event for event in own + judge.heartbeats if event.source == name]
        arrivals = [event.arrival for event in signs if event.is_sign(source.silent_after)]
        return int(min(arrival for arrival in arrivals if first_us <= arrival <= last_us))


def shown(row: dict[str, Any]) -> Said:
    """A row of `replay` as far as it makes a revision."""
    nearest = row["nearest_miss"]
    return (
        row["verdict"],
        row["reason"],
        row["verification"] or None,
        json.dumps(nearest, sort_keys=True) if nearest else None,
    )


def written(driver: Driver) -> dict[str, list[Said]]:
    """Action id -> the rows that the core has written."""
    found: dict[str, list[Said]] = {}
    for row in driver.rows:
        nearest = json.loads(row["nearest_miss"]) if row["nearest_miss"] else None
        if nearest is not None:
            del nearest["sentence"]
        found.setdefault(row["action_id"], []).append(shown({**row, "nearest_miss": nearest}))
    return found


def play(seed: int, restarts: bool = False) -> Driver:
    """One story, compared after each record."""
    policies = POLICIES[seed % len(POLICIES)]
    driver, oracle = Driver(policies), Oracle(policies)
    for record in story(random.Random(seed)):
        driver.send(record.topic, record.event, record.at_us)
        oracle.read(record)
        wanted = {action: rows for action, rows in oracle.published.items() if rows}
        assert written(driver) == wanted, f"seed {seed}, after {record.event['id']}"
        if restarts:
            driver.restart()
    return driver


@pytest.mark.parametrize("seed", range(40))
def test_after_each_record_exactly_that_is_published_which_the_contract_says(seed: int) -> None:
    play(seed)


@pytest.mark.parametrize("seed", range(100, 120))
def test_with_a_restart_after_each_record_the_same_is_published_at_the_same_moment(seed: int) -> None:
    play(seed, restarts=True)


def test_the_stories_reach_every_kind_of_change() -> None:
    changes: Counter[tuple[str, str]] = Counter()
    for seed in range(40):
        for rows in written(play(seed)).values():
            changes.update((before[0], after[0]) for before, after in pairwise(rows))
    assert {
        ("blind", "unverified"),
        ("blind", "verified"),
        ("unverified", "verified"),
        ("unverified", "unverified"),
        ("verified", "unverified"),
        ("verified", "verified"),
    } <= set(changes)
