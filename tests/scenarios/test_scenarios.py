"""Each YAML file of this folder is a story: events, when they are read, then verdicts and alerts (see form.py)."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import DAY_US, format_time
from stepwatch.streams.replay import replay
from tests.core.driver import T0_US, TOPICS, Driver
from tests.scenarios.form import Expected, Person, Scenario, Step, load, mismatch, offset

FILES = sorted(Path(__file__).parent.glob("*.yaml"))
INPUTS = {"actions": TOPICS.actions, "authentications": TOPICS.authentications}


class Story:
    """A scenario on its way: a driver, and the records that it has read."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.records: list[dict[str, Any]] = []
        alices = partition_of(subject_key("default", "alice"), scenario.partitions)
        self.driver = Driver(scenario.sets(), partition=alices, partitions=scenario.partitions)

    def go(self, step: Step) -> None:
        """Do what one line says."""
        if step.read is not None:
            self.read(step.read)
        elif step.log_time is not None:
            at = step.log_time
            for name, until in at.items() if isinstance(at, dict) else [(name, at) for name in INPUTS]:
                self.driver.pulse(T0_US + offset(until), [INPUTS[name]])
        elif step.restart:
            self.driver.restart()
        elif step.person is not None:
            self.respond(step.person)
        elif step.expect is not None:
            assert self.differences(step.expect) == []

    def read(self, ids: list[str]) -> None:
        """Append events and read them, neighbours of one input as one batch."""
        events = [self.scenario.event(event_id) for event_id in ids]
        for name, batch in groupby(events, key=lambda each: each[0]):
            for _, arrival_us, event in batch:
                self.driver.log.append(INPUTS[name], event, arrival_us)
                self.records.append({**event, "arrival": format_time(arrival_us)})
            self.driver.read(INPUTS[name])

    def respond(self, person: Person) -> None:
        """A person answers the last alert of a kind."""
        alert_id = [row["alert_id"] for row in self.driver.alerts if row["kind"] == person.alert][-1]
        count = len(self.driver.log.records[TOPICS.responses])
        self.driver.respond(alert_id, person.decides, version=person.version, response_id=f"r{count}")

    def differences(self, expected: Expected) -> list[str]:
        """One line for each thing that is not as expected."""
        driver = self.driver
        found = [
            f"{action}: published {got}, expected {wanted}"
            for action, wanted in expected.published.items()
            if (got := [_shown(row) for row in driver.revisions(action)]) != wanted
        ]
        for action, revision in ((action, driver.revisions(action)) for action in expected.published):
            if [row["revision"] for row in revision] != list(range(1, len(revision) + 1)):
                found.append(f"{action}: revisions {[row['revision'] for row in revision]}")
        found += [f"alerts: {line}" for line in self._alerts(expected)]
        for name, wanted in expected.counts.items():
            if driver.counts[name] != wanted:
                found.append(f"{name}: counted {driver.counts[name]}, expected {wanted}")
        for action, close in expected.closes.items():
            if driver.verdict(action)["closes_at"] != format_time(T0_US + offset(close)):
                found.append(f"{action}: closes at {driver.verdict(action)['closes_at']}, expected {close}")
        for action, sentence in expected.nearest.items():
            shown = driver.verdict(action)["nearest_miss"]
            if (json.loads(shown)["sentence"] if shown else "nothing") != sentence:
                found.append(f"{action}: nearest miss {shown}, expected {sentence}")
        letters = [f"{error} {field}" for error, field in driver.faults]
        if expected.dead_letters is not None and letters != expected.dead_letters:
            found.append(f"dead letters {letters}, expected {expected.dead_letters}")
        if expected.due is not None:
            due_us = driver.correlator.due_us()
            wanted_us = None if expected.due == "nothing" else T0_US + offset(expected.due)
            if due_us != wanted_us:
                found.append(f"due {due_us}, expected {expected.due} ({wanted_us})")
        return found

    def _alerts(self, expected: Expected) -> list[str]:
        latest = {row["alert_id"]: row for row in self.driver.alerts}
        left, found = list(latest.values()), []
        for wanted in expected.alerts or []:
            row = next((row for row in left if not mismatch(wanted, row)), None)
            if row is None:
                found.append(f"none is {wanted}; there are {[_alert_shown(row, wanted) for row in left]}")
            else:
                left.remove(row)
        if expected.alerts is not None and not found and left:
            found.append(f"nobody expects {[_alert_shown(row, {}) for row in left]}")
        for kind, wanted_count in expected.versions.items():
            count = sum(row["kind"] == kind for row in self.driver.alerts)
            if count != wanted_count:
                found.append(f"{kind}: {count} versions, expected {wanted_count}")
        return found

    def end(self) -> None:
        """Read past every close; then the last revisions are what the batch job says of the same records."""
        if not self.scenario.batch.startswith("skip"):
            self.driver.restart()
            self.driver.pulse(self.driver.log.now_us + 2 * DAY_US)
            assert self.last_revisions() == self.batch()

    def last_revisions(self) -> dict[tuple[str, ...], str]:
        """(tenant, subject, source, id) -> the last revision, in the words of a scenario."""
        keys = ("tenant", "subject", "source", "action_id")
        return {tuple(row[name] for name in keys): _shown(row) for row in self.driver.rows}

    def batch(self) -> dict[tuple[str, ...], str]:
        """The same by `replay`."""
        keys = ("tenant", "subject", "source", "action_id")
        rows = replay([json.dumps(record).encode() for record in self.records], self.driver.sets)
        return {tuple(row[name] for name in keys): _shown(row) for row in rows if row["kind"] == "verdict"}


def _alert_shown(row: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in ("kind", "state", "actions", *wanted)}


def _shown(row: dict[str, Any]) -> str:
    return f"{row['verdict']} {row['reason']} {row['verification'] or ''}".strip()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_story_goes_as_its_file_says(path: Path) -> None:
    scenario = load(path)
    story = Story(scenario)
    for number, step in enumerate(scenario.steps, start=1):
        line = Step(restart=True) if step == "restart" else step
        assert isinstance(line, Step), f"step {number}: {step!r} is no step"
        story.go(line)
    story.end()


def test_the_name_of_each_scenario_is_a_sentence() -> None:
    assert [path.name for path in FILES if len(path.stem.split("-")) < 4] == []


def test_every_scenario_expects_something_and_reads_every_event() -> None:
    for path in FILES:
        scenario = load(path)
        steps = [step for step in scenario.steps if isinstance(step, Step)]
        assert any(step.expect is not None for step in steps), path.name
        read = {event_id for step in steps for event_id in step.read or []}
        assert read == {event["id"] for event in scenario.events}, path.name
