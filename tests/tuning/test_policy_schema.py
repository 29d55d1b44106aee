"""The JSON Schema of policy files as an editor uses it: found from each file, complete, no laxer than it can be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from stepwatch.streams.loading import PolicyRefused
from stepwatch.streams.sets import build_set, load_files
from stepwatch.streams.yamltext import read_yaml
from tests.cli.console import ROOT

SCHEMA_FILE = ROOT / "schemas" / "json" / "policy.json"
SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
MODELINE = "# yaml-language-server: $schema="
DEPLOYED = sorted(
    path
    for path in (ROOT / "deploy").rglob("*.yaml")
    if path.parent.name == "policies" or path.parent.parent.name == "policies"
)
DEMO = sorted((ROOT / "agents" / "stepwatch" / "demo" / "policies").glob("*.yaml"))


def policy(said: str) -> str:
    return f"version: 1\npolicies:\n  - id: p\n    {said}\n"


def test_the_files_that_are_looked_at_are_all_there() -> None:
    assert (len(DEPLOYED) >= 10, len(DEMO)) == (True, 3)


@pytest.mark.parametrize("path", DEPLOYED, ids=lambda path: path.name)
def test_the_first_line_of_a_policy_file_leads_an_editor_to_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(MODELINE)
    assert (path.parent / first.removeprefix(MODELINE)).resolve() == SCHEMA_FILE


@pytest.mark.parametrize("path", [*DEPLOYED, *DEMO], ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_published_schema_takes_every_policy_file_that_the_loader_takes(path: Path) -> None:
    load_files([path])
    document = read_yaml(path.name, path.read_text(encoding="utf-8")).data
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []


REFUSED = {
    "a key that is none": policy("max_age: 5m"),
    "a misspelt list": policy("match: {actions: [a]}"),
    "a key of defaults in require": policy("require: {lookback: 5m}"),
    "a text for a list": policy("match: {action: payments.*}"),
    "a number for a name": policy("match: {action: [1]}"),
    "a bool for a condition": policy("match: {when: true}"),
    "an empty pattern": policy('match: {action: [""]}'),
    "a sensitivity that is none": policy("match: {sensitivity: [severe]}"),
    "a duration in words": policy("require: {max_age: 5 minutes}"),
    "a duration without its unit": policy("require: {max_age: 300}"),
    "a duration with two units": policy("alert: {grace: 1m30s}"),
    "a negative duration": policy("alert: {dedup: -5m}"),
    "a text for a bool": policy("require: {same_session: 'yes'}"),
    "a binding that is none": policy("require: {binding: session}"),
    "a kind of proof that is none": policy("require: {accept: [push]}"),
    "nothing accepted": policy("require: {accept: []}"),
    "no use at all": policy("require: {max_uses: 0}"),
    "a severity in capitals": policy("alert: {severity: High}"),
    "a test without events": policy("tests: [{name: t, given: [], expect: {verdict: exempt}}]"),
    "a test without a name": policy("tests: [{given: [{action: a}], expect: {verdict: exempt}}]"),
    "an event that is two": policy("tests: [{name: t, given: [{action: a, type: b}], expect: {verdict: exempt}}]"),
    "a verdict that is none": policy("tests: [{name: t, given: [{action: a}], expect: {verdict: ok}}]"),
    "a reason of another verdict": policy(
        "tests: [{name: t, given: [{action: a}], expect: {verdict: verified, reason: stale}}]"
    ),
    "a list for a mapping": policy("match: [payments.*]"),
    "a source without a name": "version: 1\nsources: [{silent_after: 5m}]",
    "an alias that is empty": "version: 1\nidentities: [{subject: a, aliases: ['']}]",
    "a tenant with a star in it": "version: 1\nidentities: [{subject: a, aliases: [b], tenant: [ac*]}]",
    "a policy without an id": "version: 1\npolicies: [{owner: x}]",
    "another version": "version: 3",
    "a version in quotes": "version: '1'",
    "no version": "policies: []",
    "no mapping at all": "- version: 1",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_the_loader_refuses_by_its_form_the_schema_refuses(text: str) -> None:
    with pytest.raises(PolicyRefused):
        build_set([("p.yaml", text)], None)
    assert not VALIDATOR.is_valid(read_yaml("p.yaml", text).data)


@pytest.mark.parametrize("reason", ["stale", "no_step_up", "~"])
def test_a_reason_of_its_own_verdict_passes_both(reason: str) -> None:
    text = policy(f"tests: [{{name: t, given: [{{action: a}}], expect: {{verdict: unverified, reason: {reason}}}}}]")
    build_set([("p.yaml", text)], None)
    assert VALIDATOR.is_valid(read_yaml("p.yaml", text).data)


def test_every_key_of_a_policy_file_tells_an_editor_what_it_means() -> None:
    parts: dict[str, Any] = {**SCHEMA["$defs"], "the file": SCHEMA}
    silent = [
        f"{name}.{key}"
        for name, part in parts.items()
        for key, said in part["properties"].items()
        if not said.get("description")
    ]
    assert silent == []
