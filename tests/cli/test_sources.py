"""`stepwatch sources`: what can be known from which log, for people and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepwatch.sources.about_products import ABOUT
from tests.cli.console import ROOT, Finished, run


def written(folder: Path, text: str) -> Path:
    path = folder / "actions.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_list_names_every_source_as_send_and_policies_do(tmp_path: Path) -> None:
    listed = run(tmp_path, "sources", "list")
    assert (listed.status, listed.err) == (0, "")
    header, *rows = [line.split() for line in listed.out.splitlines()]
    assert header[:2] == ["name", "source"]
    assert [row[:2] for row in rows] == [[about.name, about.source] for about in ABOUT.values()]


def test_the_list_as_json_names_a_policy_file_that_is_there(tmp_path: Path) -> None:
    rows = run(tmp_path, "sources", "list", "--json").rows
    assert [row["name"] for row in rows] == list(ABOUT)
    assert all((ROOT / row["policy_file"]).is_file() for row in rows)


@pytest.mark.parametrize("name", sorted(ABOUT))
def test_a_source_is_described_on_one_page(tmp_path: Path, name: str) -> None:
    page = run(tmp_path, "sources", "describe", name)
    assert (page.status, page.err) == (0, "")
    for words in (ABOUT[name].title, ABOUT[name].delay.url, ABOUT[name].policy_file, "never", "Know this"):
        assert words in page.out


def test_a_description_as_json_has_an_answer_for_every_option(tmp_path: Path) -> None:
    (row,) = run(tmp_path, "sources", "describe", "entra", "--json").rows
    can = {answer["name"]: answer["can"] for answer in row["options"]}
    assert (can["same_session"], can["amr_any"], can["max_age"]) == ("never", "partly", "yes")
    assert row["delay_source"].startswith("https://")


def test_the_actions_of_a_source_are_a_table(tmp_path: Path) -> None:
    rows = run(tmp_path, "sources", "actions", "okta", "--json").rows
    found = {row["event"]: row for row in rows}
    assert found["user.mfa.factor.reset_all"] == {
        "source": "okta",
        "event": "user.mfa.factor.reset_all",
        "action": "idp.factor.reset",
        "resource": "user",
        "sensitivity": "high",
    }
    everything = run(tmp_path, "sources", "actions", "--json").rows
    assert {row["source"] for row in everything} == set(ABOUT)


def test_ones_own_actions_stand_in_the_table_too(tmp_path: Path) -> None:
    own = written(tmp_path, "okta:\n  x.y: {action: idp.thing.do, sensitivity: high}\n")
    rows = run(tmp_path, "sources", "actions", "okta", "--actions", own, "--json").rows
    assert [row["action"] for row in rows if row["event"] == "x.y"] == ["idp.thing.do"]


def refused(folder: Path, text: str) -> Finished:
    done = run(folder, "sources", "actions", "--actions", written(folder, text))
    assert (done.status, done.out) == (2, "")
    return done


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "expected a mapping of sources"),
        ("# nothing yet\n", 1, "expected a mapping of sources"),
        ("okta: [\n", 2, "not YAML"),
        ("okta:\n  x.y: {action: a.b}\n", 2, "okta.x.y: `sensitivity` is required"),
        ("okta:\n  x.y:\n    action: a.b\n    sensitivity: High\n", 4, "okta.x.y.sensitivity: expected one of low"),
        ("okta:\n  x.y: {sensitivity: high}\nokto: {}\n", 3, "okto: no such source"),
        ("okta:\n  a.b: {sensitivity: !!binary aGk=}\n", 2, "okta.a.b.sensitivity: the tag !!binary is not allowed"),
        ("okta:\n  user.session.start: {action: a.b, sensitivity: low}\n", 2, "okta.user.session.start: cannot become"),
        (
            "entra:\n  User reviewed security info: {action: a.b, sensitivity: low}\n",
            2,
            "entra.User reviewed security info: cannot become",
        ),
        ("okta: {}\nokta: {}\n", 2, "okta: this key was given before"),
    ],
)
def test_a_wrong_file_is_refused_by_file_line_and_field(tmp_path: Path, text: str, line: int, words: str) -> None:
    assert f"actions.yaml:{line}: {words}" in refused(tmp_path, text).err


def test_every_complaint_is_made_at_once(tmp_path: Path) -> None:
    text = "okto: {}\nokta:\n  x.y: {action: a.b}\n  x.z: {sensitivity: high}\n"
    assert len(refused(tmp_path, text).err.splitlines()) == 3


def test_a_file_that_is_not_there_ends_with_two(tmp_path: Path) -> None:
    done = run(tmp_path, "sources", "actions", "--actions", tmp_path / "none.yaml")
    assert done.status == 2
    assert "cannot be read" in done.err


@pytest.mark.parametrize("words", [("describe", "octa"), ("actions", "octa")])
def test_an_unknown_source_ends_with_two_and_names_the_known(tmp_path: Path, words: tuple[str, str]) -> None:
    done = run(tmp_path, "sources", *words)
    assert (done.status, done.out) == (2, "")
    assert "known are okta, cloudtrail" in done.err


OKTA_ROW = {
    "uuid": "u-1",
    "published": "2026-03-02T09:00:00Z",
    "eventType": "workflows.flow.run",
    "actor": {"id": "00u1", "type": "User"},
    "outcome": {"result": "SUCCESS"},
}
OWN_ACTIONS = "okta:\n  workflows.flow.run: {action: idp.workflow.run, resource: workflow, sensitivity: high}\n"
OWN_POLICY = "version: 1\npolicies: [{id: flows, match: {action: [idp.workflow.run], sensitivity: [high]}}]\n"


def test_a_log_is_judged_by_ones_own_actions(tmp_path: Path) -> None:
    log, policy = tmp_path / "okta.jsonl", tmp_path / "policy.yaml"
    log.write_text(json.dumps(OKTA_ROW) + "\n", encoding="utf-8")
    policy.write_text(OWN_POLICY, encoding="utf-8")
    asked = ("replay", "--json", "--from", "okta", "--policy", policy, log)
    without = run(tmp_path, *asked)
    own = run(tmp_path, *asked, "--actions", written(tmp_path, OWN_ACTIONS))
    assert [row["verdict"] for row in without.rows if row["kind"] == "verdict"] == ["not_required"]
    assert [row["verdict"] for row in own.rows if row["kind"] == "verdict"] == ["unverified"]


def test_what_would_be_sent_has_ones_own_actions(tmp_path: Path) -> None:
    log = tmp_path / "okta.jsonl"
    log.write_text(json.dumps(OKTA_ROW) + "\n", encoding="utf-8")
    done = run(tmp_path, "send", "--dry-run", "--from", "okta", "--actions", written(tmp_path, OWN_ACTIONS), log)
    assert done.status == 0, done.err
    assert [row["data"]["action"] for row in done.rows] == ["idp.workflow.run"]


@pytest.mark.parametrize("words", [("send", "--dry-run"), ("replay", "--policy", "p.yaml")])
def test_ones_own_actions_with_events_as_they_are_are_a_mistake(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(tmp_path, *words, "--actions", written(tmp_path, OWN_ACTIONS), "events.jsonl")
    assert (done.status, done.out) == (2, "")
    assert "--from SOURCE" in done.err


@pytest.mark.parametrize("words", [("send", "--dry-run"), ("replay", "--policy", "p.yaml")])
def test_a_wrong_file_of_actions_ends_with_two_before_a_line_is_read(tmp_path: Path, words: tuple[str, ...]) -> None:
    wrong = written(tmp_path, "okta:\n  x.y: {action: a.b}\n")
    done = run(tmp_path, *words, "--from", "okta", "--actions", wrong, "events.jsonl")
    assert (done.status, done.out) == (2, "")
    assert "actions.yaml:2: okta.x.y: `sensitivity` is required" in done.err
