"""`stepwatch explain` as a person types it: of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepwatch.cli.timeline import Mark, Window, drawn
from stepwatch.schemas.times import SECOND_US
from tests.cli.console import Finished, event, on_terminal, payout, run, write_events, write_policy

EVENTS = [
    event("session.started", "s-1", "08:00:00", source="/idp", amr=["pwd"]),
    event("stepup.challenged", "c-1", "10:00:00", source="/idp"),
    event("stepup.verified", "v-1", "10:00:20", source="/idp", amr=["hwk"]),
    payout("a-1", "10:05:32"),
    payout("a-2", "10:01:00"),
    payout("a-2", "10:01:00", source="/other"),
]


def explained(folder: Path, *words: str) -> Finished:
    file = write_events(folder / "events.jsonl", *EVENTS)
    return run(folder, "explain", *words, "--events", file, "--policy", write_policy(folder))


def test_an_action_is_explained_with_timeline_policy_proofs_and_what_would_have_done(tmp_path: Path) -> None:
    done = explained(tmp_path, "a-1")
    assert (done.status, done.err) == (0, "")
    said = done.out.splitlines()
    assert said[1] == "unverified (stale): the last proof was too old; nearest: security key tap 12 s too old"
    assert "    stale             FAILS  5 min 12 s old, 12 s too old" in said
    assert "yes match.action  payments.payout.*  = payments.payout.approve  (line 4)" in said
    assert "    max_age 5m -> 312s: proofs may be older, 12 s more" in said
    tracks = {line.split()[0]: line for line in said if "├" in line}
    assert list(tracks) == ["one", "08:00:00", "10:00:00", "10:00:20", "10:05:32"]
    window = slice(tracks["10:05:32"].index("├"), tracks["10:05:32"].index("┤"))
    assert "A" in tracks["10:05:32"][window]
    assert tracks["10:00:20"].index("V") < tracks["10:00:20"].index("├"), "older than the window"


def test_a_verified_action_names_its_proof_and_needs_no_change(tmp_path: Path) -> None:
    done = explained(tmp_path, "default//app/a-2")
    assert "verified (step_up): security key tap v-1, 40 s before" in done.out
    assert "WOULD HAVE BEEN" not in done.out


def test_json_has_everything_and_says_what_replay_says(tmp_path: Path) -> None:
    (said,) = explained(tmp_path, "a-1", "--json").rows
    file, policy = tmp_path / "events.jsonl", tmp_path / "policy.yaml"
    rows = run(tmp_path, "replay", "--json", "--policy", policy, file).rows
    (row,) = (row for row in rows if row.get("action_id") == "a-1")
    assert {name: said[name] for name in row if name in said} == {name: row[name] for name in row if name in said}
    assert (said["policy_version"] != "", said["closes_at"]) == (True, "2026-11-24T11:05:42.000000Z")
    assert [len(one["checks"]) for one in said["candidates"]] == [8, 8]
    assert [one["id"] for one in said["others"]] == ["c-1"]
    assert {one["where"] for one in said["would_verify"]} == {"events", "policy"}


REFUSED = {
    "a-9": "no action a-9 in events.jsonl: give its id, or tenant/source/id",
    "a-2": "several actions a-2 in events.jsonl; say which:\n"
    "    default//app/a-2  (alice)\n    default//other/a-2  (alice)\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_action_or_several_are_refused_and_named(tmp_path: Path, name: str) -> None:
    write_events(tmp_path / "events.jsonl", *EVENTS)
    write_policy(tmp_path)
    done = run(tmp_path, "explain", name, "--events", "events.jsonl", "--policy", "policy.yaml")
    assert (done.status, done.out) == (2, "")
    assert REFUSED[name] in done.err


def test_a_source_chooses_among_several_and_files_need_policies(tmp_path: Path) -> None:
    assert json.loads(explained(tmp_path, "a-2", "--source", "/other", "--json").out)["source"] == "/other"
    done = run(tmp_path, "explain", "a-2", "--events", "events.jsonl")
    assert (done.status, "no policies: name their files" in done.err) == (2, True)


def test_a_rejected_line_is_told_and_the_rest_explained(tmp_path: Path) -> None:
    file = write_events(tmp_path / "events.jsonl", *EVENTS, "{")
    done = run(tmp_path, "explain", "a-1", "--events", file, "--policy", write_policy(tmp_path))
    assert done.status == 0
    assert f"1 line rejected and left out; the first: {file}: line 7: json" in done.err


def test_a_terminal_gets_lines_that_fit_it(tmp_path: Path) -> None:
    file = write_events(tmp_path / "events.jsonl", *EVENTS)
    words = ("explain", "a-1", "--events", file, "--policy", write_policy(tmp_path))
    said = on_terminal(tmp_path, *words, columns=100, NO_COLOR="1")
    assert max(len(line) for line in said.splitlines() if "├" in line) <= 100


def test_the_window_is_drawn_to_scale_and_what_lies_far_outside_stands_at_the_edge() -> None:
    marks = [Mark(-9_000 * SECOND_US, "L", "login"), Mark(-150 * SECOND_US, "V", "proof"), Mark(0, "A", "action")]
    _, login, proof, action = drawn(marks, Window(-300 * SECOND_US, 0), 0, None)
    track = proof[proof.index("├") : proof.index("┤") + 1]
    assert abs(track.index("V") / (len(track) - 1) - 0.5) < 0.03
    assert "<" in login
    assert action.index("A") == proof.index("┤")
