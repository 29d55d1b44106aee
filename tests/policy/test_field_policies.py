"""Judged cases of trouble elsewhere: conditions on missing fields, and keys given twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepwatch.streams.loading import PolicyRefused
from stepwatch.streams.sets import load_files
from tests.judge.field import field_folder
from tests.policy.given import Action


def case(name: str) -> Path:
    folder = field_folder()
    if folder is None:
        pytest.skip("the folder of judged cases is not beside this checkout (STEPWATCH_SHARED)")
    return folder / name


def an_action(event: dict[str, Any]) -> Action:
    data = event["data"]
    maps = {name: data.get(name) or {} for name in ("client", "token", "decision")}
    return Action(
        action=data["action"],
        subject=event["subject"],
        resource_type=data["resource"]["type"],
        resource_id=data["resource"]["id"],
        sensitivity=data["resource"]["sensitivity"],
        **maps,
    )


def test_conditions_on_missing_fields_come_out_as_judged() -> None:
    folder = case("32-conditions-on-missing-fields")
    (run,) = json.loads((folder / "expected.json").read_text())["runs"]
    made = load_files([folder / name for name in run["policies"]]).at(0)
    got = {}
    for line in (folder / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        found = made.match(an_action(event))
        # The events hold no proof, so an action that needs one is unverified.
        got[event["id"]] = "not_required" if found.requirement is None else "exempt" if found.exempt else "unverified"
    assert got == {wanted["action_id"]: wanted["verdict"] for wanted in run["verdicts"]}


def test_keys_given_twice_are_refused_as_judged() -> None:
    folder = case("34-duplicate-yaml-key")
    for run in json.loads((folder / "expected.json").read_text())["runs"]:
        with pytest.raises(PolicyRefused, match="given before"):
            load_files([folder / name for name in run["policies"]])


def test_every_other_policy_file_of_the_cases_is_a_valid_set() -> None:
    paths = sorted(case("").glob("*/policy*.yaml"))
    for path in paths:
        if "duplicate" not in path.parent.name:
            assert load_files([path]).sets
    assert paths
