"""`stepwatch policy diff` as a person or a CI job types it, with files and with git; and the ready recipe."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.console import POLICY, ROOT, environment, event, on_terminal, payout, run, write_events, write_policy

LONGER = POLICY.replace("max_age: 5m", "max_age: 10m")
EVENTS = [
    event("stepup.verified", "v-1", "10:00:20", source="/idp", amr=["hwk"]),
    payout("a-1", "10:05:32"),
    payout("a-2", "10:01:00"),
    event("action.performed", "r-1", "10:02:00", action="report.view"),
]
RECIPE = ROOT / "deploy" / "ci" / "policy-review.yml"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with events, and a repository of git whose branch `main` has the policy as it was."""
    write_events(tmp_path / "events.jsonl", *EVENTS)
    (tmp_path / "policies").mkdir()
    write_policy(tmp_path / "policies")
    write_policy(tmp_path, LONGER, "longer.yaml")
    for words in (
        ("init", "-q", "-b", "main"),
        ("add", "policies"),
        ("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "as it was"),
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def test_flips_and_alerts_are_counted_listed_and_explained(desk: Path) -> None:
    done = run(desk, "policy", "diff", "policies", "longer.yaml", "--events", "events.jsonl")
    assert (done.status, done.err) == (0, "")
    said = done.out.splitlines()
    assert said[1] == "3 actions, 2 of them judged by both: 1 verdict flips"
    assert said[2] == "alerts: 0 more, 1 fewer, 0 changed"
    assert "        1  unverified -> verified  stale -> step_up" in said
    assert "    was: payout: the last proof was too old; nearest: security key tap 12 s too old" in said
    assert "    now: payout: step_up v-1" in said


def test_json_has_the_rows_of_both_sets(desk: Path) -> None:
    (said,) = run(desk, "policy", "diff", "policies", "longer.yaml", "--events", "events.jsonl", "--json").rows
    (change,) = said["changes"]
    assert (said["flips"], change["flips"], change["old"]["verdict"]) == (1, True, "unverified")
    assert (change["new"]["verification"], change["new"]["age_us"]) == ("v-1", 312_000_000)
    (alert,) = said["alerts"]
    assert (alert["old"]["actions"], alert["new"]) == (["a-1"], None)
    assert said["by"]["subject"] == [{"value": "default/alice", "turn": "unverified -> verified", "count": 1}]


@pytest.mark.parametrize(("limit", "status"), [("0", 1), ("1", 0), ("49.9%", 1), ("50%", 0)])
def test_more_flips_than_allowed_end_with_one_and_as_many_with_zero(desk: Path, limit: str, status: int) -> None:
    words = ("policy", "diff", "policies", "longer.yaml", "--events", "events.jsonl", "--fail-over", limit)
    done = run(desk, *words)
    assert (done.status, f"more than --fail-over {limit} verdicts flip" in done.err) == (status, status == 1)
    assert run(desk, *words, "--json").rows[0]["failed"] is (status == 1)


@pytest.mark.parametrize("path", ["policies", "policies/policy.yaml"])
def test_the_old_set_may_come_from_a_branch_of_git(desk: Path, path: str) -> None:
    write_policy(desk / "policies", LONGER)
    done = run(desk, "policy", "diff", path, "--git", "main", "--events", "events.jsonl", "--json")
    assert (done.status, done.rows[0]["flips"]) == (0, 1)
    old, new = done.rows[0]["old"], done.rows[0]["new"]
    assert old != new


def test_a_file_that_git_has_and_the_folder_has_no_more_is_part_of_the_old_set(desk: Path) -> None:
    (desk / "policies" / "policy.yaml").unlink()
    write_policy(desk / "policies", "version: 1\npolicies: []\n", "other.yaml")
    (said,) = run(desk, "policy", "diff", "policies", "--git", "main", "--events", "events.jsonl", "--json").rows
    turns = {(one["old"]["verdict"], one["new"]["verdict"]) for one in said["changes"]}
    assert turns == {("verified", "not_required"), ("unverified", "not_required")}


REFUSED = {
    "neither files nor a period": (("policies", "longer.yaml"), "what to judge: name files with --events"),
    "both": (("policies", "longer.yaml", "--events", "events.jsonl", "--since", "7d"), "one of both"),
    "no old set": (("longer.yaml", "--events", "events.jsonl"), "nothing to compare with: name OLD before NEW"),
    "an old set twice": (
        ("policies", "longer.yaml", "--git", "main", "--events", "events.jsonl"),
        "OLD comes from --git",
    ),
    "no such branch": (("policies", "--git", "nowhere", "--events", "events.jsonl"), "git ls-tree"),
    "an option": (("policies", "--git", "--output=x", "--events", "events.jsonl"), "expected a branch"),
    "a limit": (
        ("policies", "longer.yaml", "--events", "events.jsonl", "--fail-over", "many"),
        "--fail-over many: expected",
    ),
    "no events": (("policies", "longer.yaml", "--events", "none.jsonl"), "no action among them"),
    "a bad set": (("policies", "bad.yaml", "--events", "events.jsonl"), "bad.yaml:1: version"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_compared_is_refused_in_words(desk: Path, name: str) -> None:
    (desk / "none.jsonl").write_text("")
    (desk / "bad.yaml").write_text("version: 2\n")
    words, why = REFUSED[name]
    done = run(desk, "policy", "diff", *words)
    assert (done.status, done.out) == (2, "")
    assert why in done.err


def test_events_without_heartbeats_are_not_held_against_a_set_that_watches_its_sources(desk: Path) -> None:
    watching = LONGER.replace("policies:", "sources: [{name: /idp, silent_after: 5m}]\npolicies:")
    write_policy(desk, watching, "watching.yaml")
    done = run(desk, "policy", "diff", "policies", "watching.yaml", "--events", "events.jsonl", "--json")
    assert done.rows[0]["flips"] == 1
    assert "hold no heartbeats" in done.rows[0]["notes"][0]


def test_a_terminal_gets_the_same_answer(desk: Path) -> None:
    said = on_terminal(desk, "policy", "diff", "policies", "longer.yaml", "--events", "events.jsonl", NO_COLOR="1")
    assert "3 actions, 2 of them judged by both: 1 verdict flips" in said


def test_the_recipe_for_github_runs_as_it_stands_and_fails_where_too_much_flips(desk: Path) -> None:
    """Each of its steps but the install is run by a shell, in a repository whose change flips half of the verdicts."""
    subprocess.run(["git", "update-ref", "refs/remotes/origin/main", "main"], cwd=desk, check=True)
    write_policy(desk / "policies", LONGER)
    (desk / "events.jsonl.gz").write_bytes(gzip.compress((desk / "events.jsonl").read_bytes()))
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    steps = [step["run"] for step in recipe["jobs"]["review"]["steps"] if "run" in step]
    assert steps.pop(0) == "pip install 'stepwatch[worker]'"
    (desk / "bin").mkdir()
    command = desk / "bin" / "stepwatch"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m stepwatch.cli.main "$@"\n')
    command.chmod(0o755)
    path = f"{desk / 'bin'}:{os.environ['PATH']}"
    env = environment(desk, PATH=path, GITHUB_BASE_REF="main")
    ends = [subprocess.run(["sh", "-ec", step], cwd=desk, env=env, check=False).returncode for step in steps]
    words = [step.split()[2] for step in steps]
    assert dict(zip(words, ends, strict=True))["diff"] == 1
    assert (ends[0], ends[-2], (desk / "policy-diff.json").stat().st_size > 0) == (0, 0, True)
