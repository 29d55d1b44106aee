"""`stepwatch send --dry-run`: what would be sent, with no server at all."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pty
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.console import COMMAND, environment, event, payout, run, write_events

OKTA = {
    "uuid": "u-1",
    "eventType": "user.session.start",
    "published": "2026-11-24T10:00:00.000Z",
    "actor": {"id": "00u1", "type": "User", "alternateId": "alice@acme.example"},
    "outcome": {"result": "SUCCESS"},
    "authenticationContext": {"externalSessionId": "s-1"},
}


def okta(id: str, **more: Any) -> dict[str, Any]:
    """A login in Okta's System Log."""
    return {**OKTA, "uuid": id, **more}


def test_a_log_becomes_events_one_a_line_and_what_is_none_is_told_with_its_line(tmp_path: Path) -> None:
    log = write_events(tmp_path / "okta.jsonl", okta("u-1"), "", "{no", okta("u-2", published="soon"), okta("u-3"))
    done = run(tmp_path, "send", "--dry-run", "--from", "okta", log)
    assert done.status == 1
    assert [row["id"].split("#")[0] for row in done.rows] == ["u-1", "u-3"]
    said = done.err.splitlines()
    assert said[0].startswith("line 3: json: ")
    assert said[1] == "would send 0 actions, 2 authentication events"
    assert said[3].endswith("no readable time (time): line 4")
    assert said[-1] == "1 line rejected, each named above; everything else was sent"


def test_arrays_are_unpacked_from_files_gzipped_ones_and_pipes_and_records_are_numbered(tmp_path: Path) -> None:
    rows = [okta("u-1"), {"no": "row"}, okta("u-2")]
    pretty = tmp_path / "okta.json"
    pretty.write_text(json.dumps(rows, indent=2))
    packed = tmp_path / "okta.json.gz"
    packed.write_bytes(gzip.compress(json.dumps(rows).encode()))
    args = ["send", "--dry-run", "--from", "okta"]
    ways = [
        run(tmp_path, *args, pretty),
        run(tmp_path, *args, packed),
        run(tmp_path, *args, "-", stdin=pretty.read_bytes()),
    ]
    for done in ways:
        assert done.status == 0
        assert [row["id"].split("#")[0] for row in done.rows] == ["u-1", "u-2"]
        assert "record 2" in done.err


def test_replay_reads_arrays_as_well_and_numbers_their_records(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\npolicies: []\n")
    file = tmp_path / "events.json"
    file.write_text(json.dumps([payout("a-1", "10:00:00"), {"id": "x"}, payout("a-2", "10:00:01")], indent=1))
    done = run(tmp_path, "replay", "--policy", policy, "--json", file)
    assert sorted(row["action_id"] for row in done.rows if row["kind"] == "verdict") == ["a-1", "a-2"]
    assert [(row["line"], row["field"]) for row in done.rows if row["kind"] == "rejected"] == [(2, "source")]


def test_all_files_of_a_folder_and_those_below_are_sent_and_a_broken_one_costs_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    (folder / "2026" / "11").mkdir(parents=True)
    write_events(folder / "2026" / "11" / "a.jsonl", payout("a-1", "10:00:00"), "{no")
    (folder / "b.json.gz").write_bytes(gzip.compress(json.dumps([payout("b-1", "10:00:00")]).encode())[:-9])
    write_events(folder / "c.jsonl", payout("c-1", "10:00:00"))
    for name in (".hidden", "d.jsonl.tmp", "e.jsonl~"):
        write_events(folder / name, payout("no", "10:00:00"))
    done = run(tmp_path, "send", "--dry-run", "logs")
    assert (done.status, [row["id"] for row in done.rows]) == (1, ["a-1", "c-1"])
    assert "logs/2026/11/a.jsonl: line 2: json: " in done.err
    assert "logs/b.json.gz: cannot be unpacked: " in done.err
    assert "1 line rejected, each named above; everything else that was read was sent" in done.err
    assert "1 file not read to the end, each named above: what follows was not sent" in done.err


def test_of_a_damaged_file_what_can_be_read_is_sent_and_counted_before_it_ends_with_two(tmp_path: Path) -> None:
    text = "".join(json.dumps(payout(f"a-{number}", "10:00:00")) + "\n" for number in range(5000))
    (tmp_path / "log.gz").write_bytes(gzip.compress(text.encode())[:-2000])
    done = run(tmp_path, "send", "--dry-run", "log.gz")
    assert (done.status, len(done.rows) > 1000) == (2, True)
    assert f"would send {len(done.rows):,} actions" in done.err
    assert "log.gz: cannot be unpacked: " in done.err


def test_files_joined_without_line_ends_are_sent_record_by_record(tmp_path: Path) -> None:
    parts = [json.dumps({"Records": [payout(f"a-{number}", "10:00:00")]}).encode() for number in range(3)]
    (tmp_path / "month.json.gz").write_bytes(b"".join(map(gzip.compress, parts)))
    ways = [
        run(tmp_path, "send", "--dry-run", "month.json.gz"),
        run(tmp_path, "send", "--dry-run", "-", stdin=b"".join(parts)),
    ]
    assert [[row["id"] for row in done.rows] for done in ways] == [["a-0", "a-1", "a-2"]] * 2


def test_an_old_log_is_moved_to_now_with_all_distances_kept(tmp_path: Path) -> None:
    log = write_events(
        tmp_path / "old.jsonl",
        payout("a-2", "10:00:00"),
        event("stepup.verified", "v-1", "09:58:20", amr=["hwk"], auth_time=1795514300),
    )
    before = datetime.now(UTC)
    done = run(tmp_path, "send", "--dry-run", "--rebase", log)
    newest, proof = done.rows
    at = datetime.fromisoformat(newest["time"])
    assert before - timedelta(seconds=1) <= at <= datetime.now(UTC)
    assert at - datetime.fromisoformat(proof["time"]) == timedelta(seconds=100)
    assert proof["data"]["auth_time"] - 1795514300 == int(newest["id"].split("~")[1])


def test_no_more_events_a_second_are_sent_than_asked_for(tmp_path: Path) -> None:
    log = write_events(tmp_path / "log", *(payout(f"a-{number}", "10:00:00") for number in range(5)))
    began = time.monotonic()
    assert len(run(tmp_path, "send", "--dry-run", "--rate", "4", log).rows) == 5
    assert time.monotonic() - began >= 1.0


def test_a_reader_who_has_enough_ends_it_without_a_word(tmp_path: Path) -> None:
    log = write_events(tmp_path / "log", *(payout(f"a-{number}", "10:00:00") for number in range(5000)))
    with subprocess.Popen(
        [*COMMAND, "send", "--dry-run", str(log)],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_how_far_it_is_shows_on_a_terminal_and_only_there(tmp_path: Path) -> None:
    log = write_events(tmp_path / "log", payout("a-1", "10:00:00"), "{no")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "send", "--dry-run", str(log)],
        env=environment(tmp_path, TERM="xterm"),
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ):
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end is closed
            while more := os.read(ours, 65536):
                said += more
    os.close(ours)
    assert b"sending" in said
    assert b"events" in said
    assert b"line 2: json: " in said
    plain = run(tmp_path, "send", "--dry-run", log).err
    assert "sending" not in plain
    assert "\x1b" not in plain


TABLE: dict[str, tuple[list[str], str]] = {
    "an unknown source": (["--from", "x", "log"], "--from x: no such source"),
    "no such file": (["none"], "none: cannot be read: No such file or directory"),
    "a pipe is followed": (["--follow", "-"], "a pipe is read to its end anyway"),
    "a pipe is rebased": (["--rebase", "-"], "--rebase reads the file twice"),
    "a growing log is rebased": (["--rebase", "--follow", "log"], "the newest event of a growing log is not known"),
    "positions of a dry run": (["--positions", "p", "log"], "keeps no positions"),
    "no duration": (["--follow", "--heartbeat", "30", "log"], "--heartbeat 30: expected one whole number and one unit"),
    "no rate": (["--rate", "0", "log"], "--rate"),
}


@pytest.mark.parametrize(("args", "words"), TABLE.values(), ids=TABLE)
def test_a_wrong_command_line_ends_with_two_and_says_what_is_wrong(tmp_path: Path, args: list[str], words: str) -> None:
    write_events(tmp_path / "log", payout("a-1", "10:00:00"))
    done = run(tmp_path, "send", "--dry-run", *args)
    assert (done.status, done.out) == (2, "")
    assert words in done.err


def test_a_gzipped_pipe_is_refused_with_what_to_type_instead(tmp_path: Path) -> None:
    done = run(tmp_path, "send", "--dry-run", "-", stdin=gzip.compress(b"{}"))
    assert done.status == 2
    assert "zcat" in done.err
