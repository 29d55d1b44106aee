"""The example policies load, alone and as one set, say whom to call, and their own tests hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from typer.testing import CliRunner

from stepwatch.streams.sets import load_files

TOP = Path(__file__).resolve().parents[2]
FILES = sorted((TOP / "deploy" / "policies").glob("*.yaml"))
POLICIES = [
    pytest.param(path, policy, id=f"{path.stem}:{policy['id']}")
    for path in FILES
    for policy in yaml.safe_load(path.read_text(encoding="utf-8"))["policies"]
]


def test_the_three_examples_are_there() -> None:
    assert [path.stem for path in FILES] == ["cloud-keys", "identity-administration", "payments"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_example_is_a_set_of_its_own(path: Path) -> None:
    wanted = {policy["id"] for policy in yaml.safe_load(path.read_text(encoding="utf-8"))["policies"]}
    assert set(load_files([path]).at(0).requirements) == wanted


def test_the_examples_are_one_set_together() -> None:
    together = load_files(FILES).at(0)
    assert len(together.requirements) == len(POLICIES)
    assert together.any_proves


@pytest.mark.parametrize(("path", "policy"), POLICIES)
def test_each_policy_says_why_who_and_what_to_do(path: Path, policy: dict[str, Any]) -> None:
    assert policy["reason"]
    assert policy["owner"]
    runbook = urlsplit(policy["runbook"])
    assert runbook.scheme == "https"
    assert runbook.hostname
    assert runbook.hostname.endswith(".example"), "a reader's browser must not end at somebody else's host"


@pytest.mark.parametrize(("path", "policy"), POLICIES)
def test_each_policy_has_a_test_that_fires_and_one_that_stays_silent(path: Path, policy: dict[str, Any]) -> None:
    verdicts = {test["expect"]["verdict"] for test in policy["tests"]}
    assert "unverified" in verdicts
    assert verdicts & {"verified", "exempt", "not_required"}


@pytest.mark.parametrize("command", ["check", "test"])
def test_the_examples_pass_what_a_tuner_would_ask_of_them(command: str) -> None:
    from stepwatch.cli.main import app

    result = CliRunner().invoke(app, ["policy", command, *map(str, FILES)])
    assert result.exit_code == 0, result.output
