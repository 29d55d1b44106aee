"""The tests inside a policy file: compact events -> replay -> expected against got (contract section 4).

A test starts at noon of 1 January 2026 UTC. What it leaves out is filled in: subject `alice`, session `s1`, one tenant
that the policy matches, ids in the order of the events, for `stepup.verified` the policy's first accepted `amr`, and
for proofs a source that may prove them. Offsets may also stand where data holds a moment: `auth_time`, `complete_to`.

Listed sources are alive at the end of each action's grace, or every test would end `blind`. A source whose heartbeats
the test gives itself lives by those alone, and none lives by itself where `source_silent` is expected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

from stepwatch.schemas import events as ev
from stepwatch.schemas.policy import Expect, GivenEvent, Policy, PolicyTest, parse_duration
from stepwatch.schemas.times import SECOND_US, format_time, parse_time
from stepwatch.streams.loading import LoadedFile
from stepwatch.streams.matching import Patterns
from stepwatch.streams.replay import Explained, explained_replay
from stepwatch.streams.sets import PolicySet, PolicySets

START_US = parse_time("2026-01-01T12:00:00Z") or 0
SUBJECT = "alice"
SESSION = "s1"
PLACE = "/test"
"""The source of actions, and of proofs where no source of the set may prove them."""
SILENT_VERDICTS = frozenset({"verified", "exempt", "not_required"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one test ended.

    Attributes:
        file, line: where it stands.
        policy, name: whose it is, and its name.
        expected, got: in words, `unverified (stale)`.
        explanation: why the verdict is so, or why there is none; `""` where the test passed.
        passed: got what was expected.
    """

    file: str
    line: int
    policy: str
    name: str
    expected: str
    got: str
    explanation: str
    passed: bool


@dataclass(frozen=True, slots=True)
class _Given:
    """One event of a test as it goes into the replay."""

    event: dict[str, Any]
    is_action: bool
    arrival_us: int


def run_tests(sets: PolicySets) -> Iterator[Outcome]:
    """Run every test of every policy, in the order of the files.

    Args:
        sets: as loaded; each test is judged by its own set, whenever that begins.
    """
    for policy_set in sets.sets:
        alone = PolicySets([policy_set])
        for file in policy_set.files:
            for index, policy in file.policies:
                for number, test in enumerate(policy.tests):
                    line = file.line(("policies", index, "tests", number))
                    yield _run(alone, policy_set, file, policy, test, line)


def missing_tests(policy: Policy) -> list[str]:
    """What the tests of a policy lack: one that must fire, one that must stay silent; empty: nothing."""
    verdicts = {test.expect.verdict for test in policy.tests}
    lacks = []
    if verdicts <= SILENT_VERDICTS:
        lacks.append("no test that must fire (expect unverified or blind)")
    if not verdicts & SILENT_VERDICTS:
        lacks.append("no test that must stay silent (expect verified, exempt or not_required)")
    return lacks


def lines_of(test: PolicyTest, policy: Policy, policy_set: PolicySet) -> list[bytes]:
    """The events of a test with all that it leaves out, one JSON line each, as `replay` reads them."""
    return _lines(test, _given(test, policy, policy_set), policy_set)


def _lines(test: PolicyTest, given: list[_Given], policy_set: PolicySet) -> list[bytes]:
    events = [*(one.event for one in given), *_heartbeats(test, given, policy_set)]
    return [json.dumps(event, ensure_ascii=False).encode() for event in events]


def _run(
    alone: PolicySets, policy_set: PolicySet, file: LoadedFile, policy: Policy, test: PolicyTest, line: int
) -> Outcome:
    expect = test.expect
    given = _given(test, policy, policy_set)
    lines = _lines(test, given, policy_set)
    verdicts: dict[str, Explained] = {}
    faults = []
    for explained in explained_replay(lines, alone):
        row = explained.row
        if row["kind"] == "verdict":
            verdicts[row["action_id"]] = explained
        elif row["kind"] == "rejected":
            faults.append(f"given[{row['line'] - 1}]: {row['field']}: {explained.sentence}")
    wanted = expect.id or next((one.event["id"] for one in reversed(given) if one.is_action), None)
    found = verdicts.get(wanted) if wanted is not None else None
    got, explanation = _got(found, wanted, faults)
    passed = found is not None and not faults and _agrees(expect, found.row)
    return Outcome(
        file=file.name,
        line=line,
        policy=policy.id,
        name=test.name,
        expected=_wanted(expect),
        got=got if found is None else _shown(found.row, expect),
        explanation="" if passed else explanation,
        passed=passed,
    )


def _got(found: Explained | None, wanted: str | None, faults: list[str]) -> tuple[str, str]:
    if faults:
        return "an event that is none", "; ".join(faults)
    if found is None:
        why = "`given` holds no action" if wanted is None else f"`given` holds no action with id {wanted}"
        return "no verdict", why
    return "", found.sentence


def _agrees(expect: Expect, row: dict[str, Any]) -> bool:
    return (
        row["verdict"] == expect.verdict
        and expect.reason in (None, row["reason"])
        and expect.verification in (None, row["verification"])
        and expect.policy in (None, row["policy"])
    )


def _wanted(expect: Expect) -> str:
    said = expect.verdict if expect.reason is None else f"{expect.verdict} ({expect.reason})"
    if expect.verification is not None:
        said += f" by {expect.verification}"
    return said if expect.policy is None else f"{said} of policy {expect.policy or '(none)'}"


def _shown(row: dict[str, Any], expect: Expect) -> str:
    said = f"{row['verdict']} ({row['reason']})"
    if expect.verification is not None:
        said += f" by {row['verification'] or 'nothing'}"
    return said if expect.policy is None else f"{said} of policy {row['policy'] or '(none)'}"


def _given(test: PolicyTest, policy: Policy, policy_set: PolicySet) -> list[_Given]:
    tenant = matched_tenant(policy)
    return [_event(given, number, tenant, policy, policy_set) for number, given in enumerate(test.given)]


def _event(given: GivenEvent, number: int, tenant: str, policy: Policy, policy_set: PolicySet) -> _Given:
    kind = ev.ACTION_PERFORMED if given.action is not None else _full_type(given.type or "")
    said: dict[str, Any] = dict(given.model_extra or {})
    arrival_us = START_US + (given.at if given.arrival is None else given.arrival)
    data: dict[str, Any] = {"tenant": tenant, "session": SESSION}
    if kind == ev.STEPUP_VERIFIED and policy.require.amr_any:
        data["amr"] = [policy.require.amr_any[0]]
    data |= {name: _moment(name, value) for name, value in said.items()}
    if given.action is not None:
        data["action"] = given.action
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": given.id or f"e{number + 1}",
        "source": given.source or _place(kind, policy_set),
        "type": kind,
        "time": format_time(START_US + given.at),
        "arrival": format_time(arrival_us),
        "subject": given.subject or SUBJECT,
        "data": data,
    }
    return _Given(event, given.action is not None, arrival_us)


def _full_type(kind: str) -> str:
    return kind if kind.startswith(ev.TYPE_PREFIX) else ev.TYPE_PREFIX + kind


def _moment(name: str, value: Any) -> Any:
    """A moment in `data` that is written as an offset, as the events' own times are; else the value as it is."""
    if name not in ("auth_time", "complete_to") or not isinstance(value, str):
        return value
    try:
        moment_us = START_US + parse_duration(value)
    except PydanticCustomError:
        return value
    return moment_us // SECOND_US if name == "auth_time" else format_time(moment_us)


def _place(kind: str, policy_set: PolicySet) -> str:
    """A source for an event that names none: of authentications one that may prove what the event proves."""
    if kind == ev.ACTION_PERFORMED:
        return PLACE
    proof = "login" if kind == ev.SESSION_STARTED else "step_up"
    proving = (s.name for s in policy_set.sources.values() if s.proves is not None and proof in s.proves)
    return next(proving, PLACE)


def _heartbeats(test: PolicyTest, given: list[_Given], policy_set: PolicySet) -> Iterator[dict[str, Any]]:
    """One of each source that must be alive, when the grace of an action ends: the latest that is always in time."""
    if test.expect.reason == "source_silent":
        return
    heard = {one.event["source"] for one in given if one.event["type"] == ev.HEARTBEAT}
    graces_us = {required.grace_us for required in policy_set.requirements.values()}
    moments_us = sorted({one.arrival_us + grace_us for one in given if one.is_action for grace_us in graces_us})
    for source in policy_set.sources.values():
        if source.silent_after_us is None or source.name in heard:
            continue
        for number, moment_us in enumerate(moments_us):
            yield {
                "specversion": "1.0",
                "id": f"alive-{number}",
                "source": source.name,
                "type": ev.HEARTBEAT,
                "time": format_time(moment_us),
            }


def matched_tenant(policy: Policy) -> str:
    """One tenant that the policy's `match.tenant` takes; `default` where it takes all."""
    patterns = policy.match.tenant
    if not patterns or Patterns(patterns).matches("default"):
        return "default"
    for pattern in patterns:
        tenant = pattern.replace("*", "") if pattern.strip("*") else "default"
        if Patterns([pattern]).matches(tenant):
            return tenant
    return "default"
