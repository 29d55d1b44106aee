"""`stepwatch replay`: rows and exit status of contract section 10, and the report for people."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.console import (
    POLICY,
    environment,
    event,
    on_terminal,
    payout,
    run,
    write_events,
    write_policy,
)
from tests.sources.rows import enrolment, okta

VERDICT_KEYS = {
    *("kind", "tenant", "subject", "source", "action_id", "verdict", "reason", "policy"),
    *("verification", "age_us", "nearest_miss"),
}
ALERT_KEYS = {
    *("kind", "alert_id", "alert", "tenant", "subject", "policy", "severity", "reason", "count", "actions"),
    *("first_time", "last_time"),
}
PROOF = event("stepup.verified", "e-1", "10:00:00", source="/idp", amr=["hwk"], verification="v-1")


def replayed(folder: Path, *events: dict[str, Any] | str, policy: str = POLICY) -> list[dict[str, Any]]:
    done = run(
        folder,
        "replay",
        "--json",
        "--policy",
        write_policy(folder, policy),
        write_events(folder / "events.jsonl", *events),
    )
    assert (done.status, done.err) == (0, "")
    return done.rows


def test_each_kind_of_row_has_exactly_the_keys_of_the_contract(tmp_path: Path) -> None:
    rows = replayed(tmp_path, PROOF, payout("a-1", "10:05:00"), payout("a-2", "10:05:00.000001"), '{"id": "x"}', "{")
    kinds = {row["kind"]: set(row) for row in rows}
    assert kinds == {
        "verdict": VERDICT_KEYS,
        "alert": ALERT_KEYS,
        "rejected": {"kind", "line", "id", "field"},
    }
    by_id = {row["action_id"]: row for row in rows if row["kind"] == "verdict"}
    assert by_id["a-1"] == {
        "kind": "verdict",
        "tenant": "default",
        "subject": "alice",
        "source": "/app",
        "action_id": "a-1",
        "verdict": "verified",
        "reason": "step_up",
        "policy": "payout",
        "verification": "v-1",
        "age_us": 300_000_000,
        "nearest_miss": None,
    }
    assert by_id["a-2"]["nearest_miss"] == {"verification": "v-1", "failed": ["stale"], "by_us": 1}
    assert [row for row in rows if row["kind"] == "rejected"] == [
        {"kind": "rejected", "line": 4, "id": "x", "field": "source"},
        {"kind": "rejected", "line": 5, "id": None, "field": "json"},
    ]


def test_an_alert_row_says_who_what_and_when(tmp_path: Path) -> None:
    rows = replayed(tmp_path, payout("a-1", "10:00:00"), payout("a-2", "10:00:00.5"))
    alert = next(row for row in rows if row["kind"] == "alert")
    assert re.fullmatch(r"al_[0-9a-f]{32}", alert.pop("alert_id"))
    assert alert == {
        "kind": "alert",
        "alert": "unverified_action",
        "tenant": "default",
        "subject": "alice",
        "policy": "payout",
        "severity": "high",
        "reason": "no_step_up",
        "count": 2,
        "actions": ["a-1", "a-2"],
        "first_time": "2026-11-24T10:00:00.000000Z",
        "last_time": "2026-11-24T10:00:00.500000Z",
    }


def test_a_silent_source_is_an_alert_without_members(tmp_path: Path) -> None:
    policy = POLICY + "sources: [{name: /idp, silent_after: 5m}]\n"
    beat = event("heartbeat", "hb-1", "10:00:00", source="/idp")
    rows = replayed(tmp_path, beat, payout("a-1", "10:06:00"), policy=policy)
    alert = next(row for row in rows if row.get("alert") == "source_silence")
    assert {name: alert[name] for name in ("tenant", "subject", "policy", "count", "actions", "first_time")} == {
        "tenant": "",
        "subject": "",
        "policy": "",
        "count": 1,
        "actions": [],
        "first_time": "2026-11-24T10:00:00.000000Z",
    }


def test_verdicts_that_need_no_proof_have_neither_verification_nor_miss(tmp_path: Path) -> None:
    rows = replayed(
        tmp_path,
        payout("a-1", "10:00:00", subject="svc-x"),
        event("action.performed", "a-2", "10:00:00", action="reports.read"),
    )
    assert {(row["action_id"], row["verdict"], row["reason"], row["policy"]) for row in rows} == {
        ("a-1", "exempt", "exemption", "payout"),
        ("a-2", "not_required", "no_policy", ""),
    }
    assert {row["verification"] for row in rows} == {None}


def test_blank_lines_copies_conflicts_and_newer_types_give_no_row(tmp_path: Path) -> None:
    other = {**payout("a-1", "10:00:00"), "arrival": "2026-11-24T10:00:01Z", "note": "another body"}
    rows = replayed(
        tmp_path,
        "",
        payout("a-1", "10:00:00"),
        "   ",
        payout("a-1", "10:00:00"),
        other,
        event("thing.new", "n", "10:00:00"),
    )
    assert [row["kind"] for row in rows] == ["verdict", "alert"]


def test_an_event_arrives_when_it_says_or_else_at_its_time(tmp_path: Path) -> None:
    # 24 hours (`accept_late`) after its time is the last moment at which an action is judged.
    late = [{**payout("a-1", "10:00:00"), "arrival": "2026-11-25T10:00:00Z"}]
    late += [{**payout("a-2", "10:00:00"), "arrival": "2026-11-25T12:00:00.000001+02:00"}, payout("a-3", "10:00:00")]
    rows = replayed(tmp_path, *late)
    assert {row["action_id"]: row["reason"] for row in rows if row["kind"] == "verdict"} == {
        "a-1": "no_step_up",
        "a-2": "too_late",
        "a-3": "no_step_up",
    }


def test_the_times_of_a_row_are_utc_with_six_digits_however_they_were_sent(tmp_path: Path) -> None:
    rows = replayed(tmp_path, {**payout("a-1", "10:00:00"), "time": "2026-11-24T12:00:00.1234567+02:00"})
    alert = next(row for row in rows if row["kind"] == "alert")
    assert alert["first_time"] == alert["last_time"] == "2026-11-24T10:00:00.123456Z"


def test_the_order_of_the_lines_changes_no_row(tmp_path: Path) -> None:
    events = [PROOF, payout("a-1", "10:01:00"), payout("a-2", "10:09:00"), event("stepup.denied", "d", "10:08:30")]
    forth, back = replayed(tmp_path, *events), replayed(tmp_path, *reversed(events))
    key = json.dumps
    assert sorted(map(key, forth)) == sorted(map(key, back))


def test_a_dash_is_standard_input_and_several_policies_are_one_set(tmp_path: Path) -> None:
    more = 'version: 1\npolicies: [{id: export, match: {action: ["keys.export"]}}]\n'
    lines = "".join(
        json.dumps(one) + "\n"
        for one in (payout("a-1", "10:00:00"), event("action.performed", "a-2", "10:00:00", action="keys.export"))
    )
    args = ["--policy", write_policy(tmp_path), "--policy", write_policy(tmp_path, more, "more.yaml")]
    done = run(tmp_path, "replay", *args, "--json", "-", stdin=lines.encode())
    assert {row["policy"] for row in done.rows if row["kind"] == "verdict"} == {"payout", "export"}


def test_a_gzipped_file_is_unpacked_on_the_way(tmp_path: Path) -> None:
    packed = tmp_path / "events.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(payout("a-1", "10:00:00")).encode()))
    done = run(tmp_path, "replay", "--policy", write_policy(tmp_path), "--json", packed)
    assert [row["kind"] for row in done.rows] == ["verdict", "alert"]
    packed.write_bytes(packed.read_bytes()[:-9])
    done = run(tmp_path, "replay", "--policy", write_policy(tmp_path), "--json", packed)
    assert done.status == 2
    assert "cannot be unpacked" in done.err


def test_a_gzipped_pipe_is_unpacked_too(tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps(payout("a-1", "10:00:00")).encode())
    done = run(tmp_path, "replay", "--policy", write_policy(tmp_path), "--json", "-", stdin=packed)
    assert [row["kind"] for row in done.rows] == ["verdict", "alert"]


def test_all_files_of_a_folder_are_judged_together_and_a_wrong_line_is_named_with_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "month" / "01"
    folder.mkdir(parents=True)
    for number in range(2):
        content = json.dumps({"Records": [payout(f"a-{number}", "10:00:00")]}).encode()
        (folder / f"{number}.json.gz").write_bytes(gzip.compress(content))
    write_events(folder / "2.jsonl", payout("a-2", "10:00:00"), "{no")
    done = run(tmp_path, "replay", "--policy", write_policy(tmp_path), "--json", "month")
    assert sorted(row["action_id"] for row in done.rows if row["kind"] == "verdict") == ["a-0", "a-1", "a-2"]
    rejected = [row for row in done.rows if row["kind"] == "rejected"]
    assert [(row["file"], row["line"]) for row in rejected] == [("month/01/2.jsonl", 2)]
    done = run(tmp_path, "replay", "--policy", write_policy(tmp_path), "month")
    assert "month/01/2.jsonl: line 2: json: " in done.out


def test_files_joined_without_line_ends_are_judged_record_by_record(tmp_path: Path) -> None:
    parts = [json.dumps({"Records": [payout(f"a-{number}", "10:00:00")]}).encode() for number in range(3)]
    (tmp_path / "month.json.gz").write_bytes(b"".join(map(gzip.compress, parts)))
    words = ["replay", "--policy", write_policy(tmp_path), "--json"]
    for done in (run(tmp_path, *words, "month.json.gz"), run(tmp_path, *words, "-", stdin=b"".join(parts))):
        assert sorted(row["action_id"] for row in done.rows if row["kind"] == "verdict") == ["a-0", "a-1", "a-2"]


REFUSED = {
    "a misspelt key": ("version: 1\npolicies:\n  - id: a\n    requires: {}\n", "policy.yaml:4: policies[0].requires: "),
    "a key given twice": ("version: 1\npolicies: []\npolicies: []\n", "policy.yaml:3: policies: "),
    "not YAML": ("version: 1\npolicies: [\n", "policy.yaml:"),
    "a condition that does not parse": (
        'version: 1\npolicies:\n  - id: a\n    match: {when: "a +"}\n',
        "policy.yaml:4: policies[0].match.when: ",
    ),
}


@pytest.mark.parametrize(("text", "complaint"), REFUSED.values(), ids=REFUSED)
def test_a_refused_policy_set_ends_with_two_and_file_and_line(tmp_path: Path, text: str, complaint: str) -> None:
    events = write_events(tmp_path / "events.jsonl", payout("a-1", "10:00:00"))
    write_policy(tmp_path, text)
    done = run(tmp_path, "replay", "--policy", "policy.yaml", "--json", events)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(complaint)
    assert "Traceback" not in done.err


MISUSED = {
    "no --policy": (["replay", "events.jsonl"], "--policy"),
    "no such policy file": (["replay", "--policy", "none.yaml", "events.jsonl"], "none.yaml: cannot be read"),
    "no such file": (["replay", "--policy", "policy.yaml", "none.jsonl"], "none.jsonl: cannot be read"),
    "an unknown source": (["replay", "--policy", "policy.yaml", "--from", "x", "events.jsonl"], "--from x"),
}


@pytest.mark.parametrize(("args", "words"), MISUSED.values(), ids=MISUSED)
def test_a_wrong_command_line_ends_with_two_and_says_what_is_wrong(tmp_path: Path, args: list[str], words: str) -> None:
    write_policy(tmp_path)
    write_events(tmp_path / "events.jsonl", payout("a-1", "10:00:00"))
    done = run(tmp_path, *args)
    assert (done.status, done.out) == (2, "")
    assert words in done.err
    assert "Traceback" not in done.err


def test_another_products_log_is_judged_after_it_is_said_in_our_words(tmp_path: Path) -> None:
    log = write_events(
        tmp_path / "okta.jsonl",
        json.dumps(okta("user.authentication.auth_via_mfa", target=[enrolment("SIGNED_NONCE")])),
        json.dumps(okta("group.user_membership.add", uuid="u-2", target=[{"type": "UserGroup", "id": "g-1"}])),
        json.dumps(okta("user.session.start", uuid="u-3", published="soon")),
        "{not json",
    )
    policy = write_policy(tmp_path, 'version: 1\npolicies: [{id: any, match: {action: ["*"]}}]\n')
    done = run(tmp_path, "replay", "--policy", policy, "--json", "--from", "okta", log)
    assert done.status == 0
    assert [row["line"] for row in done.rows if row["kind"] == "rejected"] == [4]
    assert any(row["kind"] == "verdict" for row in done.rows)
    assert "1 record is no event of ours:" in done.err
    assert "no readable time (time): line 3" in done.err


def test_the_report_says_each_reason_in_a_sentence(tmp_path: Path) -> None:
    events = write_events(
        tmp_path / "events.jsonl",
        PROOF,
        payout("a-1", "10:01:30"),
        payout("a-2", "10:05:42"),
        payout("a-3", "10:00:00", subject="svc-x"),
        event("action.performed", "a-4", "10:00:00", subject="bob"),
    )
    done = run(tmp_path, "replay", "--policy", write_policy(tmp_path), events)
    assert (done.status, done.err) == (0, "")
    said = done.out
    assert "proved by a step-up 1 min 30 s before (v-1)" in said
    assert "the last proof was too old; nearest: security key tap 42 s too old [payout]" in said
    assert "policy payout makes an exception" in said
    assert "line 5: data.action: missing" in said
    assert said.splitlines()[-1] == "3 actions: 1 unverified, 1 verified, 1 exempt; 1 alert; 1 line rejected"
    order = [said.index(f"{at}  ") for at in ("10:00:00", "10:01:30", "10:05:42")]
    assert order == sorted(order)


def test_an_empty_file_says_that_there_is_nothing(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events.jsonl")
    done = run(tmp_path, "replay", "--policy", write_policy(tmp_path), events)
    assert (done.status, done.out) == (0, "no actions; no alerts; no line rejected\n")


HOSTILE = "mal\x1b[2J\x07lory\u202e\u2028"


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_no_value_of_an_event_moves_the_cursor_and_no_line_is_too_wide(tmp_path: Path, columns: int) -> None:
    events = write_events(
        tmp_path / "events.jsonl",
        payout("a" * 300, "10:00:00", subject=HOSTILE * 5, resource={"type": HOSTILE, "id": "東京" * 80}),
        payout("a-2", "10:00:00", subject="東京" * 40),
        {**payout(HOSTILE, "10:00:00"), "data": {HOSTILE: 1, "amr": [1]}},
    )
    said = on_terminal(tmp_path, "replay", "--policy", write_policy(tmp_path), events, columns=columns, NO_COLOR="1")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]", said)
    from rich.cells import cell_len

    # Values are cut and sentences wrapped; the ids of alerts are the longest words that stay whole.
    assert max(map(cell_len, said.splitlines())) <= max(columns, 80)


def test_colour_is_for_terminals_without_no_color_only(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events.jsonl", payout("a-1", "10:00:00"))
    args = ["replay", "--policy", write_policy(tmp_path), events]
    assert "\x1b[31munverified" in on_terminal(tmp_path, *args, NO_COLOR="")
    assert "\x1b" not in on_terminal(tmp_path, *args, NO_COLOR="1")
    assert "\x1b" not in run(tmp_path, *args).out


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events.jsonl", *(payout(f"a-{i}", "10:00:00") for i in range(3000)))
    command = [
        sys.executable,
        "-m",
        "stepwatch.cli.main",
        "replay",
        "--policy",
        write_policy(tmp_path),
        "--json",
        events,
    ]
    with subprocess.Popen(
        command, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_replay_imports_no_stream_runtime_and_no_server(tmp_path: Path) -> None:
    write_policy(tmp_path)
    write_events(tmp_path / "events.jsonl", payout("a-1", "10:00:00"))
    code = (
        "import sys\n"
        "sys.argv = ['stepwatch', 'replay', '--policy', 'policy.yaml', '--json', 'events.jsonl']\n"
        "from stepwatch.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'faust', 'aiokafka', 'chdb', 'clickhouse_connect', 'structlog', 'pydantic_settings'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(tmp_path), capture_output=True, check=True
    )
    assert done.stderr.decode() == "[]\n"


def test_ten_thousand_lines_take_seconds_and_not_minutes(tmp_path: Path) -> None:
    events = write_events(
        tmp_path / "events.jsonl",
        *(payout(f"a-{i}", f"10:{i // 60 % 60:02}:{i % 60:02}", subject=f"u-{i % 500}") for i in range(10_000)),
    )
    begun = time.monotonic()
    done = run(tmp_path, "replay", "--policy", write_policy(tmp_path), "--json", events)
    assert sum(row["kind"] == "verdict" for row in done.rows) == 10_000
    # A hundred times slower than it is would be a loop over all actions for each action.
    assert time.monotonic() - begun < 30
