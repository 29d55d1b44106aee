"""The verifier can fail: each kind of damage to outputs that were right is found, and named."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stepwatch.schemas.topics import Topics
from stepwatch.streams.correlator import Correlator
from stepwatch.streams.sets import load_files
from tests.faults.compare import Differences, check_views
from tests.faults.expected import Expected, Taken, Where
from tests.faults.load import Load, policy
from tests.faults.verifier import Account, Found, Report, check, compare, expect

TOPICS = Topics("t.")
PARTITIONS = 2
SUBJECTS = 60
START_US = 1_800_000_000_000_000
INPUTS = (TOPICS.actions, TOPICS.authentications)
PULSE = b'{"id":"p","source":"stepwatch","type":"stepwatch.heartbeat","time":"2027-01-15T08:00:00Z"}'
Damage = Callable[[Found], None]


class Broker:
    """Topics in memory, and correlators that read and write them without any fault."""

    def __init__(self, policies: Path) -> None:
        self.logs: dict[tuple[str, int], list[Taken]] = {}
        self.now_us = START_US
        sets = load_files([policies])
        self.workers = [
            Correlator(partition=number, partitions=PARTITIONS, topics=TOPICS, sets=sets)
            for number in range(PARTITIONS)
        ]

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Any = ()) -> None:
        """One more record."""
        self.now_us += 1000
        log = self.logs.setdefault((topic, partition), [])
        log.append(Taken(Where(topic, partition, len(log)), self.now_us, key, value, headers))

    def work(self) -> None:
        """Every worker reads one batch of each input."""
        for worker in self.workers:
            for topic in INPUTS:
                log = self.logs.get((topic, worker.partition), [])[worker.positions.get(topic, 0) :][:50]
                records = [
                    SimpleNamespace(
                        offset=one.where.offset,
                        timestamp=one.append_us // 1000,
                        key=one.key,
                        value=one.value,
                        headers=one.headers,
                    )
                    for one in log
                ]
                if records:
                    self._write(worker.partition, worker.take(topic, records, self.now_us))

    def _write(self, partition: int, effects: Any) -> None:
        for move in effects.moves:
            self.append(move.topic, move.partition, move.key, move.value, move.headers)
        for topic, rows in (
            (TOPICS.audit, effects.audit),
            (TOPICS.evidence, effects.evidence),
            (TOPICS.alerts, effects.alerts),
        ):
            for key, value in rows:
                self.append(topic, partition, key, value)
        for letter in effects.dead_letters:
            self.append(TOPICS.dead_letters, partition, letter.key, letter.value, letter.headers)

    def taken(self, topic: str) -> list[Taken]:
        """A topic, partition by partition."""
        return [one for number in range(PARTITIONS) for one in self.logs.get((topic, number), ())]


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Two thousand records of the load, read by the core in two partitions, with nothing wrong."""
    policies = tmp_path_factory.mktemp("policies") / "policy.yaml"
    policies.write_text(policy(SUBJECTS))
    broker = Broker(policies)
    load = Load(SimpleNamespace(topics=TOPICS, partitions=PARTITIONS, prefix="t."), random.Random(7), SUBJECTS)  # type: ignore[arg-type]
    for _ in range(40):
        for sent in load.some(50, broker.now_us):
            broker.append(sent.topic, sent.partition, sent.key, sent.value, sent.headers)
        broker.work()
    for wait_us in (0, 0, 0, 2_000_000, 60_000_000):
        broker.now_us += wait_us
        for partition in range(PARTITIONS):
            broker.append(TOPICS.authentications, partition, None, PULSE)
        for _ in range(50):
            broker.work()
    accounts = {
        (topic, worker.partition): Account(log.next_offset, log.since, dict(log.account))
        for worker in broker.workers
        for topic, log in worker.logs.items()
    }
    outputs = (TOPICS.audit, TOPICS.evidence, TOPICS.alerts, TOPICS.dead_letters)
    inputs = [taken for topic in INPUTS for taken in broker.taken(topic)]
    policies_said = [("policy.yaml", policy(SUBJECTS))]
    return Found(TOPICS, PARTITIONS, policies_said, inputs, *map(broker.taken, outputs), accounts)


def damaged(right: Found, damage: Damage) -> Found:
    """A copy with the damage."""
    found = replace(
        right,
        **{name: list(getattr(right, name)) for name in ("inputs", "audit", "evidence", "alerts", "dead_letters")},
        accounts=copy.deepcopy(right.accounts),
    )
    damage(found)
    return found


def rewritten(taken: Taken, **columns: Any) -> Taken:
    """The same record with other values in its row."""
    row = {**json.loads(taken.value or b""), **columns}
    return taken._replace(value=json.dumps(row).encode())


def one_of(records: list[Taken], **columns: Any) -> int:
    """The place of a row with these values; nothing that came later says more of the same action or alert."""
    last = {}
    for place, taken in enumerate(records):
        row = json.loads(taken.value or b"")
        last[taken.key, row.get("action_id")] = place, row
    return next(place for place, row in last.values() if all(row[name] == said for name, said in columns.items()))


def _change(topic: str, wanted: dict[str, Any], **columns: Any) -> Damage:
    def damage(found: Found) -> None:
        records = getattr(found, topic)
        place = one_of(records, **wanted)
        records[place] = rewritten(records[place], **columns)

    return damage


def _lose(topic: str, **wanted: Any) -> Damage:
    def damage(found: Found) -> None:
        records = getattr(found, topic)
        del records[one_of(records, **wanted) if wanted else 0]

    return damage


def _double(topic: str, **wanted: Any) -> Damage:
    def damage(found: Found) -> None:
        records = getattr(found, topic)
        records.append(records[one_of(records, **wanted) if wanted else 0])

    return damage


def _lose_last_version(found: Found) -> None:
    last = {taken.key: place for place, taken in enumerate(found.alerts)}
    place = next(p for p in last.values() if json.loads(found.alerts[p].value or b"")["version"] > 1)
    del found.alerts[place]


def _lose_first_version(found: Found) -> None:
    versions = [json.loads(taken.value or b"")["version"] for taken in found.alerts]
    last = found.alerts[versions.index(2)].key
    found.alerts[:] = [
        taken for taken, version in zip(found.alerts, versions, strict=True) if (taken.key, version) != (last, 1)
    ]


def _lose_alert(found: Found) -> None:
    key = found.alerts[one_of(found.alerts, state="open", kind="policy_gap")].key
    found.alerts[:] = [taken for taken in found.alerts if taken.key != key]


def _lose_move(found: Found) -> None:
    for place, taken in enumerate(found.inputs):
        if any(name == "stepwatch-moves" for name, _ in taken.headers):
            found.inputs[place] = taken._replace(headers=[], value=b"{")
            return


def _count(name: str, by: int) -> Damage:
    def damage(found: Found) -> None:
        assert found.accounts is not None
        at = (TOPICS.actions, 0)
        counts = dict(found.accounts[at].counts)
        counts[name] += by
        found.accounts = {**found.accounts, at: found.accounts[at]._replace(counts=counts)}

    return damage


def _letter_of_a_good_record(found: Found) -> None:
    row = json.loads(found.evidence[0].value or b"")
    said = {"topic": row["kafka_topic"], "partition": str(row["kafka_partition"]), "offset": str(row["kafka_offset"])}
    headers = [(name, text.encode()) for name, text in {"error": "id: x", "field": "id", **said}.items()]
    found.dead_letters.append(found.dead_letters[0]._replace(headers=headers))


def _swap_letters(found: Found) -> None:
    for place, taken in enumerate(found.dead_letters):
        found.dead_letters[place] = taken._replace(
            headers=[(n, b"conflict" if n == "error" else v) for n, v in taken.headers]
        )


VERIFIED = {"verdict": "verified", "revision": 1}
DAMAGES: dict[str, tuple[Damage, str]] = {
    "a lost row": (_lose("audit", **VERIFIED), "an action without a row"),
    "a lost row of an action that no policy matches": (_lose("audit", verdict="not_required"), "without a row"),
    "a doubled row": (_double("audit", **VERIFIED), "revisions"),
    "a doubled row of an action that no policy matches": (_double("audit", verdict="not_required"), "revisions"),
    "a gap in the revisions": (_change("audit", VERIFIED, revision=2), "revisions"),
    "a lost revision": (_lose("audit", revision=2), "current verdicts"),
    "a wrong verdict": (_change("audit", VERIFIED, verdict="unverified"), "current verdicts"),
    "a wrong reason": (_change("audit", {"reason": "wrong_session"}, reason="no_step_up"), "current verdicts"),
    "a wrong policy": (_change("audit", {"policy": "payout", **VERIFIED}, policy="grant"), "current verdicts"),
    "a wrong verification": (_change("audit", VERIFIED, verification="e-0"), "current verdicts"),
    "a wrong age": (_change("audit", VERIFIED, verification_age_ms=7), "current verdicts"),
    "a wrong nearest miss": (
        _change("audit", {"reason": "wrong_session"}, nearest_miss='{"verification":"e","failed":[],"by_us":null}'),
        "current verdicts",
    ),
    "a wrong arrival": (_change("audit", VERIFIED, arrival="2027-01-15T08:00:00.000001Z"), "arrivals"),
    "a row of another record": (_change("audit", VERIFIED, kafka_offset=10**6), "calls for none"),
    "lost evidence": (_lose("evidence"), "records without evidence rows"),
    "doubled evidence": (_double("evidence"), "evidence rows more than once"),
    "a missing dead letter": (_lose("dead_letters"), "records without dead letters"),
    "a doubled dead letter": (_double("dead_letters"), "dead letters more than once"),
    "a dead letter of a good record": (_letter_of_a_good_record, "call for none"),
    "dead letters with a wrong error": (_swap_letters, "dead letters"),
    "a lost alert": (_lose_alert, "alerts that must be open"),
    "a lost version of an alert": (_lose_first_version, "versions of an alert"),
    "a lost last version of an alert": (_lose_last_version, "alert"),
    "a doubled version of an alert": (_double("alerts", state="open"), "versions of an alert"),
    "a wrong count in an alert": (_change("alerts", {"kind": "policy_gap", "count": 1}, count=9), "open alerts"),
    "one counted as evidence too many": (_count("audit", 1), "the worker's own account"),
    "one counted twice": (_count("duplicate", 1), "the worker's own account"),
}  # fmt: skip


def test_outputs_of_the_core_without_any_fault_are_exact_and_of_every_kind(right: Found) -> None:
    report = check(right)
    kinds = {"audit", "evidence", "heartbeat", "dead_letter", "duplicate", "skipped", "moved"}
    assert set(report.classes) == kinds
    assert set(report.verdicts) == {"verified", "unverified", "exempt", "not_required", "blind"}
    assert report.revisions > sum(report.verdicts.values()), "no verdict was ever revised"
    assert report.alert_versions > len(report.alerts) > report.alerts_open, "no alert changed or was resolved"


@pytest.fixture(scope="module")
def wanted(right: Found) -> Expected:
    """What is to be found, judged once for all kinds of damage to the outputs."""
    return expect(right)


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_to_the_outputs_is_found_and_named(right: Found, wanted: Expected, name: str) -> None:
    damage, words = DAMAGES[name]
    found = damaged(right, damage)
    assert found.inputs == right.inputs
    with pytest.raises(AssertionError, match=words):
        compare(found, wanted)


@pytest.mark.parametrize(
    ("damage", "words"),
    [(_lose_move, "a moved record never came"), (lambda found: found.inputs.pop(5), "did not read every record")],
)
def test_damage_to_what_was_read_is_found_and_named(right: Found, damage: Damage, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check(damaged(right, damage))


def views_of(report: Report) -> dict[str, list[dict[str, Any]]]:
    """What ClickHouse shows where it holds what the topics hold."""
    columns = ("tenant", "subject", "source", "action_id", "revision", "verdict", "reason", "policy", "verification")
    return {
        "audit_current": [{name: getattr(row, name) for name in columns} for row in report.current.values()],
        "alerts_current": [dict(row) for row in report.alerts.values()],
        "authentications_current": [{}] * report.evidence,
        "dead_letters_current": [{}] * report.dead_letters,
    }


def _differences(report: Report, views: dict[str, list[dict[str, Any]]]) -> Differences:
    differences = Differences()
    counts = {"authentications_current": report.evidence, "dead_letters_current": report.dead_letters}
    check_views(views, report.current, report.alerts, counts, differences)
    return differences


@pytest.fixture(scope="module")
def report(right: Found, wanted: Expected) -> Report:
    """Of the outputs without any damage."""
    return compare(right, wanted)


def test_views_that_show_what_the_topics_hold_are_exact(report: Report) -> None:
    _differences(report, views_of(report)).require_none()


@pytest.mark.parametrize(
    ("view", "damage"),
    [
        ("audit_current", lambda rows: rows.pop()),
        ("audit_current", lambda rows: rows.append(rows[0])),
        ("audit_current", lambda rows: rows[0].update(revision=rows[0]["revision"] + 1)),
        ("audit_current", lambda rows: rows[0].update(verdict="blind")),
        ("alerts_current", lambda rows: rows.pop()),
        ("alerts_current", lambda rows: rows.append(rows[0])),
        ("alerts_current", lambda rows: rows[0].update(version=rows[0]["version"] - 1)),
        ("authentications_current", lambda rows: rows.pop()),
        ("dead_letters_current", lambda rows: rows.append({})),
    ],
)
def test_a_view_that_is_off_by_one_is_found(report: Report, view: str, damage: Callable[[list[Any]], Any]) -> None:
    views = views_of(report)
    damage(views[view])
    with pytest.raises(AssertionError, match=view):
        _differences(report, views).require_none()
