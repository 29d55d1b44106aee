"""State records as an older version wrote them, with what was read before and what comes next.

`state_version_1.jsonl` was written by the worker of that version, from the story below, up to `first_half`. To keep
the records of the version that is here now, before `STATE_VERSION` grows:

    .venv/bin/python -m tests.core.old_state > tests/core/state_version_N.jsonl

Never write a file of an older version anew: its worth is that nobody can.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepwatch.schemas.times import format_time, parse_time
from stepwatch.streams import state
from tests.core.driver import T0_US, TOPICS, Driver, Record, Row, an_event
from tests.core.given import H, M, S

FILES = {1: Path(__file__).with_name("state_version_1.jsonl")}
"""Version -> what it wrote."""

POLICY = """\
version: 1
defaults: {grace: 10s, revise_within: 1h, accept_late: 24h}
sources: [{name: /idp, silent_after: 5m, proves: [step_up, login]}, {name: /late, silent_after: 2h}]
identities: [{subject: alice, aliases: ["alice@acme.example"]}]
policies:
  - id: payout
    reason: money_movement
    owner: payments-oncall
    runbook: https://runbooks.acme.example/payout
    match: {action: ["payments.*"]}
    require: {amr_any: [hwk, otp], max_uses: 1}
    exempt: {when: "subject.startsWith('svc-')"}
    alert: {severity: critical}
  - id: grant
    match: {action: ["iam.*"]}
    require: {amr_any: [hwk, otp], binding: action}
"""


def first_half(driver: Driver) -> None:
    """Everything of which a partition keeps something: facts, actions of every stage, alerts of every state."""
    driver.heartbeat("/idp", "hb-0")
    driver.heartbeat("/late", "hb-late", complete_to="2026-11-24T08:00:00Z")
    driver.heartbeat("/unlisted", "hb-unlisted")
    _closed_and_remembered(driver)
    _alerts_of_patterns(driver)
    driver.pulse(T0_US + 2 * H)
    _what_people_decided(driver)
    _open_in_every_way(driver)


def _closed_and_remembered(driver: Driver) -> None:
    driver.evidence("stepup.verified", "v-closed", amr=["hwk"], subject="alice@acme.example", credential="k-1")
    driver.action("a-closed", resource={"type": "payout", "id": "po_1", "sensitivity": "critical"})
    driver.action("a-exempt", subject="svc-batch")
    driver.action("a-gap", subject="gus", action="docs.file.read", resource={"sensitivity": "critical"})
    driver.action("a-plain", subject="gus", action="docs.file.read", resource={"sensitivity": "low"})
    driver.action("a-failed", subject="fay", outcome="failure")
    driver.evidence("session.started", "login", subject="lea", session="s-lea", amr=["otp"], root_session="root")
    driver.evidence("credential.changed", "made", subject="lea", credential="k-lea", change="created")


def _alerts_of_patterns(driver: Driver) -> None:
    for number in range(5):
        driver.evidence("stepup.challenged", f"push-{number}", subject="pia", challenge=f"c-{number}")
    driver.evidence("approval.granted", "approval", subject="sam", approver="sam")
    driver.evidence("stepup.denied", "no", subject="dan")
    driver.action("a-denied", subject="dan")
    driver.evidence("stepup.verified", "code-1", subject="otto", credential="totp", otp_step=7, amr=["otp"])
    driver.evidence("stepup.verified", "code-2", subject="otto", credential="totp", otp_step=7, amr=["otp"])


def _what_people_decided(driver: Driver) -> None:
    driver.heartbeat("/idp", "hb-2h")
    driver.heartbeat("/late", "hb-late-2", complete_to=format_time(T0_US + H))
    for subject in ("ann", "rob"):
        driver.action(f"a-{subject}", subject=subject)
    driver.pulse(driver.log.now_us + 11 * S)
    acknowledged, resolved = (alert_of(driver, subject) for subject in ("ann", "rob"))
    driver.respond(acknowledged["alert_id"], "acknowledge", response_id="r-ann")
    driver.respond(resolved["alert_id"], "resolve", response_id="r-rob")


def _open_in_every_way(driver: Driver) -> None:
    driver.evidence("stepup.verified", "v-once", subject="uma", amr=["otp"], verification="proof-uma")
    driver.action("a-uses", subject="uma")
    driver.evidence("stepup.verified", "v-void", subject="vic", amr=["hwk"], time_us=driver.log.now_us - S)
    driver.action("a-void", subject="vic")
    driver.action("a-late", subject="lou", action="iam.role.grant")
    driver.pulse(driver.log.now_us + 11 * S)
    driver.pulse(driver.log.now_us + 30 * M)
    driver.action("a-blind", subject="bob")
    driver.pulse(driver.log.now_us + 11 * S)
    driver.action("a-waiting", subject="wim")
    driver.action("a-waiting-too", subject="zoe", session="s-zoe")


def second_half(driver: Driver) -> None:
    """What asks for each thing that was kept. Times follow those of the first half."""
    log, at_us = driver.log, driver.log.now_us

    def send(topic: str, event: Row | bytes, after_us: int) -> None:
        log.append(topic, event, at_us + after_us)

    def action(name: str, after_us: int, time_us: int, subject: str, name_of: str = "payments.payout.approve") -> None:
        data = {"session": "s1", "action": name_of}
        event = an_event("action.performed", name, time_us=time_us, subject=subject, **data)
        send(TOPICS.actions, event, after_us)

    def evidence(kind: str, name: str, after_us: int, time_us: int, subject: str, **data: Any) -> None:
        data = {"session": "s1", **data}
        event = an_event(kind, name, time_us=time_us, subject=subject, source="/idp", **data)
        send(TOPICS.authentications, event, after_us)

    verified = "stepup.verified"
    late_us = time_of(driver, "a-late")
    evidence(verified, "v-zoe", 1 * S, at_us - S, "zoe", session="s-zoe", amr=["hwk"])
    evidence(verified, "v-late", 2 * S, late_us - S, "lou", amr=["hwk"], bound_action="iam.role.grant")
    evidence("session.revoked", "v-gone", 2 * S, time_of(driver, "a-void"), "vic")
    action("a-earlier", 3 * S, time_of(driver, "a-uses") - 1, "uma")
    action("a-rob-2", 3 * S, time_of(driver, "a-rob") + S, "rob")
    evidence(verified, "v-ann", 4 * S, time_of(driver, "a-ann") - S, "ann", amr=["hwk"])
    # Copies of what is known, and other bodies under known names.
    for topic in TOPICS.inputs[:2]:
        for record in list(log.records[topic]):
            named = json.loads(record.value or b"{}").get("id")
            if named in ("a-exempt", "a-closed", "code-1", "made"):
                send(topic, record.value or b"", 5 * S)
    action("a-gap", 5 * S, T0_US, "gus", "payments.payout.approve")
    evidence("stepup.denied", "code-2", 5 * S, T0_US, "otto")
    evidence("stepup.challenged", "push-5", 6 * S, T0_US + S, "pia", challenge="c-5")
    beat = an_event("heartbeat", "hb-back", time_us=at_us + 7 * S, subject=None, source="/idp")
    send(TOPICS.authentications, beat, 7 * S)
    for after_us in (20 * S, 40 * S, 3 * H, 60 * H):
        for topic in TOPICS.inputs[:2]:
            pulse = an_event("heartbeat", "p", time_us=at_us + after_us, subject=None, source="stepwatch")
            send(topic, pulse, after_us)


def time_of(driver: Driver, action_id: str) -> int:
    """Event time of an action that has a row, us."""
    time_us = parse_time(driver.verdict(action_id)["time"])
    assert time_us is not None
    return time_us


def alert_of(driver: Driver, subject: str) -> Row:
    """The last version of the last alert of a subject."""
    return [row for row in driver.alerts if row["subject"] == subject][-1]


@dataclass
class Old:
    """What an older version left behind, and what comes next.

    Attributes:
        version: of its state records.
        policy: YAML of its set.
        read: the records that it had read, by input.
        next: the records that follow.
        state: its state topic: key -> value.
        revisions: (source, action id) -> revision of the last row that it published.
        alerts: alert id -> (version, state) of its last row.
    """

    version: int
    policy: str
    read: dict[str, list[Record]] = field(default_factory=lambda: {topic: [] for topic in TOPICS.inputs})
    next: dict[str, list[Record]] = field(default_factory=lambda: {topic: [] for topic in TOPICS.inputs})
    state: dict[bytes, bytes] = field(default_factory=dict)
    revisions: dict[tuple[str, str], int] = field(default_factory=dict)
    alerts: dict[str, tuple[int, str]] = field(default_factory=dict)


def load(version: int) -> Old:
    """Read what a version left behind."""
    first, *rest = map(json.loads, FILES[version].read_text().splitlines())
    old = Old(first["version"], first["policy"])
    for line in rest:
        what = line["is"]
        if what in ("read", "next"):
            record = Record(line["offset"], line["timestamp"], _bytes(line["key"]), _bytes(line["value"]))
            getattr(old, what)[line["topic"]].append(record)
        elif what == "state":
            old.state[b64decode(line["key"])] = b64decode(line["value"])
        elif what == "row":
            old.revisions[line["source"], line["action_id"]] = line["revision"]
        else:
            old.alerts[line["alert_id"]] = (line["version"], line["state"])
    return old


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def write() -> None:
    """Let the correlator that is here play the first half, and print what it leaves behind."""
    driver = Driver(POLICY)
    first_half(driver)
    read = {topic: len(records) for topic, records in driver.log.records.items()}
    second_half(driver)
    lines: list[Row] = [{"is": "set", "version": state.STATE_VERSION, "policy": POLICY}]
    for topic, records in driver.log.records.items():
        for record in records:
            what = "read" if record.offset < read[topic] else "next"
            said = {"offset": record.offset, "timestamp": record.timestamp}
            lines.append({"is": what, "topic": topic, **said, "key": _text(record.key), "value": _text(record.value)})
    for key, value in driver.state.items():
        lines.append({"is": "state", "key": b64encode(key).decode(), "value": b64encode(value).decode()})
    last_rows = {(row["source"], row["action_id"]): row for row in driver.rows}
    lines += [{"is": "row", **_of(row, "source", "action_id", "revision")} for row in last_rows.values()]
    last_alerts = {row["alert_id"]: row for row in driver.alerts}
    lines += [{"is": "alert", **_of(row, "alert_id", "version", "state")} for row in last_alerts.values()]
    sys.stdout.writelines(json.dumps(line) + "\n" for line in lines)


def _of(row: Row, *names: str) -> Row:
    return {name: row[name] for name in names}


if __name__ == "__main__":
    write()
