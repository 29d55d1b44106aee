"""Alerts are a fold of the current verdicts and of what persons decided, after every batch and restart (section 7).

Random stories, each watched by a model that knows only the audit rows, the responses and the contract's words.
"""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any, NamedTuple

import pytest

from stepwatch.schemas.times import parse_time
from tests.core.driver import TOPICS, Driver, Row, an_event
from tests.core.given import MS, H, M, S

POLICIES = """
defaults: {grace: 10s, revise_within: 40m, accept_late: 2h, max_age: 5m}
sources: [{name: /idp, silent_after: 4m}]
identities: [{subject: alice, aliases: [al]}]
policies:
  - {id: one, match: {action: [one]}, require: {max_uses: 1}, alert: {dedup: 10m, severity: low}}
  - {id: each, match: {action: [each]}, require: {amr_any: [hwk]}, alert: {dedup: 0s, severity: critical}}
"""
DEDUP_US = {"one": 10 * M, "each": 0}
SEVERITY = {"one": "low", "each": "critical"}
KINDS = {"unverified": "unverified_action", "blind": "blind"}
CAUSES = {"verified": "late_verification", "unverified": "source_recovered"}
MemberKey = tuple[str, str]


class Said(NamedTuple):
    """What the model expects of one alert."""

    state: str
    resolved_by: str
    members: tuple[MemberKey, ...]


def id_of(row: Row) -> str:
    """The alert of an audit row, by hand."""
    time_us, arrival_us = parse_time(row["time"]), parse_time(row["arrival"])
    assert time_us is not None
    assert arrival_us is not None
    member_us = arrival_us if arrival_us - time_us > 2 * H else time_us
    dedup_us = DEDUP_US[row["policy"]]
    parts: list[Any] = ["stepwatch-alert-1", row["tenant"], KINDS[row["verdict"]], row["subject"], row["policy"]]
    if dedup_us:
        parts += [member_us // dedup_us * dedup_us, dedup_us]
    else:
        parts += [member_us, 0, row["source"], row["action_id"]]
    return "al_" + hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()[:32]


class Model:
    """Contract section 7, slowly: it folds all rows anew after each batch."""

    def __init__(self) -> None:
        self.said: dict[str, Said] = {}
        self.had: dict[str, set[MemberKey]] = {}
        self.seen: dict[str, dict[MemberKey, int]] = {}
        self.versions: dict[str, int] = {}
        self.before: dict[MemberKey, Row] = {}

    def respond(self, alert_id: str, decision: str, version: int) -> None:
        """A person decides, before the fold of the same batch."""
        said, seen = self.said[alert_id], self.seen[alert_id]
        if said.state == "resolved" or any(seen[member] > version for member in said.members):
            return
        if decision == "resolve":
            self.said[alert_id] = said._replace(state="resolved", resolved_by="person")
        elif decision == "acknowledge":
            self.said[alert_id] = said._replace(state="acknowledged")

    def fold(self, rows: list[Row]) -> None:
        """What follows from the current verdicts."""
        current = {(row["source"], row["action_id"]): row for row in rows}
        members: dict[str, list[tuple[int, MemberKey]]] = {}
        for key, row in current.items():
            if row["verdict"] in KINDS and row["outcome"] in ("success", "unknown"):
                members.setdefault(id_of(row), []).append((parse_time(row["time"]) or 0, key))
        for alert_id in members.keys() | self.said.keys():
            inside = tuple(key for _, key in sorted(members.get(alert_id, ())))
            self._move(alert_id, inside, current)
        self.before = current

    def _move(self, alert_id: str, inside: tuple[MemberKey, ...], current: dict[MemberKey, Row]) -> None:
        said = self.said.get(alert_id, Said("resolved", "", ()))
        had = self.had.setdefault(alert_id, set())
        is_new = bool(set(inside) - had)
        if not inside and said.state != "resolved":
            causes = {CAUSES.get(current[key]["verdict"], "revision") for key in said.members}
            assert len(causes) == 1, "let a story have one cause a batch"
            said = Said("resolved", causes.pop(), ())
        elif inside and said.state == "resolved" and (is_new or said.resolved_by != "person"):
            said = Said("open", "", inside)
        for key in set(inside) - had:
            self.seen.setdefault(alert_id, {})[key] = self.versions.get(alert_id, 0) + 1
        had |= set(inside)
        self.said[alert_id] = said._replace(members=inside)


def check(model: Model, driver: Driver, written: list[Row]) -> None:
    """Every alert of verdicts says what the model says, in at most one new version of the batch."""
    ids = [row["alert_id"] for row in written]
    assert len(ids) == len(set(ids)), "two versions in one batch"
    latest = {row["alert_id"]: row for row in driver.alerts if row["kind"] in KINDS.values()}
    assert latest.keys() == model.said.keys()
    for alert_id, said in model.said.items():
        row = latest[alert_id]
        assert (row["state"], row["resolved_by"]) == (said.state, said.resolved_by)
        assert (row["count"], row["actions"]) == (len(said.members), [key[1] for key in said.members])
        assert row["severity"] == SEVERITY[row["policy"]]
        if said.members:
            assert row["reason"] == model.before[said.members[0]]["reason"]
    for row in written:
        assert row["version"] == model.versions.get(row["alert_id"], 0) + 1
        model.versions[row["alert_id"]] = row["version"]


def some_action(rng: random.Random, number: int, now_us: int) -> Row:
    late_us = rng.choice((0, 0, S, M, 20 * M, 2 * H, 2 * H + 1))
    return an_event(
        "action.performed",
        f"a{number:03}",
        time_us=now_us - late_us,
        subject=rng.choice(("alice", "alice", "al", "bob")),
        source=rng.choice(("/a", "/b")),
        action=rng.choice(("one", "one", "each")),
        session=rng.choice(("s1", "s2")),
        outcome=rng.choice(("success", "success", "maybe", "denied")),
    )


def some_evidence(rng: random.Random, number: int, now_us: int) -> Row:
    kind = rng.choice(("stepup.verified",) * 5 + ("session.revoked", "stepup.denied", "heartbeat", "heartbeat"))
    if kind == "heartbeat":
        return an_event(kind, f"h{number}", time_us=now_us, subject=None, source="/idp")
    return an_event(
        kind,
        f"e{number:03}",
        time_us=now_us - rng.choice((0, S, 30 * S, 3 * M, 20 * M)),
        subject=rng.choice(("alice", "al", "bob")),
        source="/idp",
        session=rng.choice(("s1", "s2")),
        amr=rng.choice((["hwk"], ["pwd"])),
    )


def one_step(rng: random.Random, number: int, driver: Driver, model: Model) -> None:
    """One batch of at most one event, so that at most one cause empties an alert; or a person; or a restart."""
    driver.log.now_us += rng.choice((0, MS, S, 10 * S, 2 * M, 15 * M))
    written, chance = len(driver.alerts), rng.random()
    mine = [row for row in driver.alerts if row["kind"] in KINDS.values()]
    if chance < 0.2:
        driver.restart()
    if chance < 0.15 and mine:
        alert = rng.choice(mine)
        version = max(0, model.versions[alert["alert_id"]] - rng.choice((0, 0, 1)))
        decision = rng.choice(("acknowledge", "resolve", "resolve", "note"))
        model.respond(alert["alert_id"], decision, version)
        driver.respond(alert["alert_id"], decision, response_id=f"r{number}", version=version)
    elif chance < 0.5:
        driver.send(TOPICS.actions, some_action(rng, number, driver.log.now_us))
    elif chance < 0.9:
        driver.send(TOPICS.authentications, some_evidence(rng, number, driver.log.now_us))
    else:
        topic = rng.choice(TOPICS.inputs[:2])
        driver.pulse(driver.log.now_us, [topic])
    model.fold(driver.rows)
    check(model, driver, [row for row in driver.alerts[written:] if row["kind"] in KINDS.values()])


@pytest.mark.parametrize("seed", range(40))
def test_after_every_batch_the_alerts_are_the_fold_of_the_current_verdicts_and_decisions(seed: int) -> None:
    rng = random.Random(seed)
    driver, model = Driver(POLICIES), Model()
    for number in range(60):
        one_step(rng, number, driver, model)
    driver.pulse(driver.log.now_us + 3 * H)
    model.fold(driver.rows)
    latest = {row["alert_id"]: row for row in driver.alerts if row["kind"] in KINDS.values()}
    assert {alert_id: row["count"] for alert_id, row in latest.items()} == {
        alert_id: len(said.members) for alert_id, said in model.said.items()
    }


def test_the_stories_reach_every_state_and_cause() -> None:
    """A fold that meets only open alerts would prove little."""
    reached: set[tuple[str, str]] = set()
    for seed in range(40):
        rng = random.Random(seed)
        driver, model = Driver(POLICIES), Model()
        for number in range(60):
            one_step(rng, number, driver, model)
        reached |= {(row["state"], row["resolved_by"]) for row in driver.alerts}
    assert reached >= {
        ("open", ""),
        ("acknowledged", ""),
        ("resolved", "person"),
        ("resolved", "late_verification"),
        ("resolved", "source_recovered"),
    }
