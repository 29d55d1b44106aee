"""The Prometheus files speak of metrics, labels and ports that exist, and every alarm says what to do."""

from __future__ import annotations

import importlib
import pkgutil
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from stepwatch import agents, ingest, notifiers
from stepwatch.agents.dead_letters import BUG
from tests.cli.console import ROOT

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
SCRAPED_WITH = {"job", "instance", "le"}
RULES = [
    pytest.param(rule, id=rule["alert"])
    for group in yaml.safe_load((FOLDER / "stepwatch.rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]


@pytest.mark.parametrize("rule", RULES)
def test_an_alarm_speaks_only_of_metrics_that_a_role_serves(rule: dict[str, Any]) -> None:
    named = set(re.findall(r"\bstepwatch_\w+", rule["expr"]))
    assert named <= set(_served())
    assert named or rule["expr"].startswith("up{")


@pytest.mark.parametrize("rule", RULES)
def test_an_alarm_uses_only_labels_that_its_metrics_have(rule: dict[str, Any]) -> None:
    named = set(re.findall(r"\bstepwatch_\w+", rule["expr"]))
    have = SCRAPED_WITH.union(*(_served()[name] for name in named))
    grouped = re.findall(r"by \(([^)]*)\)", rule["expr"])
    used = {label.strip() for group in grouped for label in group.split(",")}
    used |= set(re.findall(r"(\w+)(?:=~?|!=)\"", rule["expr"]))
    used |= set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert used <= have


@pytest.mark.parametrize("rule", RULES)
def test_an_alarm_says_how_bad_it_is_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "critical", "high", "medium", "low"}
    assert rule["annotations"]["summary"]
    assert len(rule["annotations"]["description"]) > 40


def test_an_event_that_was_not_judged_pages_and_is_no_common_dead_letter() -> None:
    paging = [param.values[0] for param in RULES if param.values[0]["labels"]["severity"] == "page"]
    assert [rule["alert"] for rule in paging] == ["StepwatchEventNotJudged"]
    assert f'error="{BUG}"' in paging[0]["expr"]
    assert "stepwatch dead-letters replay --all --error bug" in paging[0]["annotations"]["description"]
    (common,) = (param.values[0] for param in RULES if param.id == "StepwatchDeadLetters")
    assert set(re.findall(r"error(!?=)", common["expr"])) == {"!="}


def test_a_counter_that_was_not_there_before_counts_whole() -> None:
    """Of a new series `increase` is 0, so the first dead letter of a kind would be told to nobody."""
    for name in ("StepwatchEventNotJudged", "StepwatchDeadLetters"):
        (expr,) = (param.values[0]["expr"] for param in RULES if param.id == name)
        series = re.findall(r"stepwatch_dead_letters_total\{[^}]*\}", expr)
        assert len(series) == 3
        assert len(set(series)) == 1
        assert f"{series[0]} unless {series[0]} offset 15m" in expr
        assert f"or increase({series[0]}[15m])" in expr


@pytest.mark.parametrize("rule", RULES)
def test_an_alarm_leads_to_its_line_on_the_page_of_the_on_call(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    lines = [
        line for line in (ROOT / page).read_text(encoding="utf-8").splitlines() if f'<a id="{anchor}"></a>' in line
    ]
    assert anchor == rule["alert"].lower()
    assert len(lines) == 1
    assert f"`{rule['alert']}`" in lines[0]


@pytest.mark.parametrize("rule", RULES)
def test_the_expression_of_an_alarm_closes_what_it_opens_and_compares(rule: dict[str, Any]) -> None:
    without_texts = re.sub(r'"[^"]*"', "", rule["expr"])
    opened: list[str] = []
    for sign in re.findall(r"[()\[\]{}]", without_texts):
        if sign in "([{":
            opened.append({"(": ")", "[": "]", "{": "}"}[sign])
        else:
            assert opened.pop() == sign
    assert opened == []
    assert re.search(r"[<>]|==", without_texts)


def test_every_alarm_has_a_case_in_which_it_rings_alone() -> None:
    cases = yaml.safe_load((FOLDER / "stepwatch.tests.yml").read_text(encoding="utf-8"))["tests"]
    rung = {sample["labels"] for case in cases for sample in case["promql_expr_test"][0]["exp_samples"]}
    assert rung == {f'{{alertname="{rule.id}"}}' for rule in RULES}


@pytest.mark.parametrize("words", [("check", "rules", "stepwatch.rules.yml"), ("test", "rules", "stepwatch.tests.yml")])
def test_prometheus_itself_takes_the_rules_and_rings_as_the_cases_say(words: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH: make test-tools")
    done = subprocess.run([promtool, *words], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_two_alarms_share_a_name() -> None:
    names = [rule.id for rule in RULES]
    assert sorted(set(names)) == sorted(names)


def test_the_scrape_targets_are_services_and_ports_of_the_compose_file() -> None:
    scrape = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    compose = yaml.safe_load((FOLDER.parents[1] / "docker-compose.yml").read_text(encoding="utf-8"))
    for job in scrape["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            name, port = target.split(":")
            assert f"127.0.0.1:{port}:{port}" in compose["services"][name]["ports"]
    assert all((FOLDER / file).is_file() for file in scrape["rule_files"])


@cache
def _served() -> dict[str, set[str]]:
    """Every name of a series of ours, with its labels."""
    for room in (agents, notifiers, ingest):
        for module in pkgutil.iter_modules(room.__path__):
            importlib.import_module(f"{room.__name__}.{module.name}")
    return {
        name: set(getattr(metric, "_labelnames", ())) for name, metric in list(REGISTRY._names_to_collectors.items())
    }
