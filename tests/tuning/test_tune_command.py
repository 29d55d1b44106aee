"""`stepwatch tune`: files and stored events in, a table, an object or a plot out; and how it ends where it cannot."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import pytest

from stepwatch.streams.tuning.tune_max_age import tune_max_age
from tests.cli.console import Finished, run
from tests.servers import ClickHouseSettings
from tests.sources.rows import enrolment, okta, user
from tests.tuning.world import NINE_US, POLICY, Event, act, busy_days, event, evidence, prove

EVERY = ("max-age", "grace", "dedup", "lookback", "clock-skew", "patterns")
OF_A_POLICY = ("max-age", "grace", "dedup")
EVENTS = [
    *busy_days(4),
    prove("named", 0, "zoe", verification="named"),
    act("names", 5, "zoe", verification="named"),
    *(event("stepup.failed", f"f{n}", 20 * n, "zoe", source="/idp") for n in range(11)),
]
SILENT = POLICY.replace("policies:", "sources: [{name: /idp, silent_after: 5m, proves: [step_up]}]\npolicies:")


def desk(folder: Path, events: list[Event] = EVENTS, text: str = POLICY) -> Path:
    (folder / "policy.yaml").write_text(text)
    (folder / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    return folder


def tune(folder: Path, what: str, *words: str, **env: str) -> Finished:
    policy = ("payout",) if what in OF_A_POLICY else ()
    return run(folder, "tune", what, *policy, *words, "--policy", "policy.yaml", **env)


def found(folder: Path, what: str, *words: str, **env: str) -> dict[str, Any]:
    done = tune(folder, what, *words, "--json", **env)
    assert done.status == 0, done.err
    (one,) = done.rows
    return one


@pytest.mark.parametrize("what", EVERY)
def test_every_tuner_answers_a_person_and_a_machine(tmp_path: Path, what: str) -> None:
    desk(tmp_path)
    done = tune(tmp_path, what, "events.jsonl")
    assert (done.status, done.err) == (0, f"read {len(EVENTS)} records of events.jsonl\n")
    assert "recommended: " in done.out or what == "patterns"
    assert "(now)" in done.out
    assert found(tmp_path, what, "events.jsonl")["tuned"] == what.replace("-", "_")


def test_the_report_says_ages_windows_knee_and_advice(tmp_path: Path) -> None:
    desk(tmp_path, [prove("v1", 0), act("a1", 30), act("a2", 400), act("a3", 9, "bob")])
    done = tune(tmp_path, "max-age", "events.jsonl")
    assert done.out.startswith(
        "payout (payments): max_age 5m, lookback 1d\n"
        "3 actions of 2 people: 2 have a proof that passes every other filter, 1 have none of any age up to lookback\n"
        "of those without: 1 no_step_up\n"
    )
    (now,) = [line for line in done.out.splitlines() if "<- max_age" in line]
    assert now.split()[:4] == ["3m", "to", "5m", "0"]
    (row,) = [line.split() for line in done.out.splitlines() if line.startswith("    10m ")]
    assert row == ["10m", "66.7%", "10.4-97.2%", "1", "0", "1", "1", "default/alice", "1"]
    assert "recommended: 3 actions of 2 people are too few to say" in done.out


def test_windows_asked_for_are_tried_and_malformed_ones_are_refused(tmp_path: Path) -> None:
    desk(tmp_path)
    windows = [one["window_us"] for one in found(tmp_path, "max-age", "events.jsonl", "--try", "7m")["candidates"]]
    assert 7 * 60_000_000 in windows
    for word, said in (("7 minutes", "--try 7 minutes: expected one whole number"), ("2d", "at most 1d")):
        done = tune(tmp_path, "max-age", "events.jsonl", "--try", word)
        assert (done.status, said in done.err) == (2, True)


def test_several_files_a_folder_and_gzipped_ones_are_one_body_of_events(tmp_path: Path) -> None:
    desk(tmp_path)
    (tmp_path / "parts").mkdir()
    half = len(EVENTS) // 2
    for name, part in (("a.jsonl.gz", EVENTS[:half]), ("b.jsonl.gz", EVENTS[half:])):
        text = "".join(json.dumps(one) + "\n" for one in part)
        (tmp_path / "parts" / name).write_bytes(gzip.compress(text.encode()))
    whole = found(tmp_path, "max-age", "events.jsonl")
    for words in (["parts"], ["parts/b.jsonl.gz", "parts/a.jsonl.gz"]):
        assert found(tmp_path, "max-age", *words) | {"read": ""} == whole | {"read": ""}


@pytest.mark.parametrize("suffix", ["svg", "html"])
def test_a_plot_is_drawn_with_max_age_on_it_and_holds_no_markup_of_a_producer(tmp_path: Path, suffix: str) -> None:
    desk(tmp_path, text=POLICY.replace("id: payout", 'id: "<b>&pay"'))
    plot = tmp_path / f"plot.{suffix}"
    done = run(tmp_path, "tune", "max-age", "<b>&pay", "events.jsonl", "--policy", "policy.yaml", "--plot", plot)
    assert done.status == 0
    text = plot.read_text()
    assert "<b>" not in text
    drawn = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + len("</svg>")])
    names = [one.get("class") for one in drawn.iter()]
    assert names.count("bar") == 16
    assert names.count("now") == 2
    said = ["".join(one.itertext()) for one in drawn.iter()]
    assert "max_age 5m" in said
    assert "How old is the proof when <b>&pay is judged?" in said


def test_a_plot_of_another_kind_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    done = tune(desk(tmp_path), "max-age", "not-there.jsonl", "--plot", "plot.png")
    assert (done.status, done.err) == (2, "--plot plot.png: expected a name that ends in .svg or .html\n")


def test_without_heartbeats_no_source_has_to_be_alive_and_that_is_said(tmp_path: Path) -> None:
    plain = found(desk(tmp_path), "max-age", "events.jsonl")
    silent = found(desk(tmp_path, text=SILENT), "max-age", "events.jsonl")
    assert silent["notes"] == ["these events hold no heartbeats, so they are judged as if no source had `silent_after`"]
    assert silent | {"notes": []} == plain


def test_lines_that_are_no_event_are_told_and_left_out(tmp_path: Path) -> None:
    desk(tmp_path)
    whole = found(tmp_path, "max-age", "events.jsonl")
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"id": "x"}\n')
    done = tune(tmp_path, "max-age", "events.jsonl", "--json")
    assert f"1 line rejected and left out; the first: events.jsonl: line {len(EVENTS) + 1}: source" in done.err
    assert done.rows[0] | {"read": ""} == whole | {"read": ""}


def test_another_products_log_is_read_by_its_adapter(tmp_path: Path) -> None:
    desk(tmp_path, text=POLICY.replace("payout.*", "idp.*").replace("[hwk]", "[hwk, swk]"))
    proof = okta("user.authentication.auth_via_mfa", target=[enrolment("fido_webauthn")])
    reset = okta("user.mfa.factor.reset_all", uuid="u-2", target=[user("00u9bob")])
    rows = [proof, reset, okta("system.email.x", uuid="u-3")]
    (tmp_path / "okta.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = tune(tmp_path, "max-age", "okta.jsonl", "--from", "okta", "--json")
    assert (done.status, done.rows[0]["actions"]) == (0, 1)
    assert "1 record is no event of ours" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["max-age", "payout"], "nothing to read: name files of events, or take stored ones with --since 7d"),
        (["max-age", "payout", "events.jsonl", "--since", "7d"], "leave them out, or the files"),
        (["max-age", "payout", "events.jsonl", "--no-policy"], "no policies: name their files"),
        (["max-age", "refund", "events.jsonl"], "no policy refund; the files have payout"),
        (["grace", "payout", "missing.jsonl"], "missing.jsonl: cannot be read"),
        (["max-age", "payout", "empty.jsonl"], "no event among them"),
    ],
)
def test_what_cannot_be_done_ends_with_two_and_says_what_to_do(tmp_path: Path, words: list[str], said: str) -> None:
    desk(tmp_path)
    (tmp_path / "empty.jsonl").write_text("")
    policy = [] if "--no-policy" in words else ["--policy", "policy.yaml"]
    done = run(tmp_path, "tune", *(word for word in words if word != "--no-policy"), *policy)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


def to_reach(clickhouse: ClickHouseSettings) -> dict[str, str]:
    """The settings by which a command finds it."""
    return {
        "STEPWATCH_CLICKHOUSE_URL": clickhouse.url,
        "STEPWATCH_CLICKHOUSE_USER": clickhouse.user,
        "STEPWATCH_CLICKHOUSE_PASSWORD": clickhouse.password,
        "STEPWATCH_CLICKHOUSE_DATABASE": clickhouse.database,
    }


@pytest.mark.live
def test_stored_events_say_what_their_file_says_of_the_period(tmp_path: Path, clickhouse: ClickHouseSettings) -> None:
    desk(tmp_path)
    env = to_reach(clickhouse)
    into = run(tmp_path, "replay", "events.jsonl", "--policy", "policy.yaml", "--into", "tuned", "--replace", **env)
    assert into.status == 0, into.err
    # Whoever tunes needs no more than the user who may only read.
    reader = env | {
        "STEPWATCH_CLICKHOUSE_USER": clickhouse.reader_user,
        "STEPWATCH_CLICKHOUSE_PASSWORD": clickhouse.reader_password,
    }
    period = ("--run", "tuned", "--since", "2026-11-20T00:00:00Z", "--until", "2026-12-20T00:00:00Z")
    try:
        for what in EVERY:
            stored, filed = found(tmp_path, what, *period, **reader), found(tmp_path, what, "events.jsonl")
            assert stored | {"read": ""} == filed | {"read": ""}
        # Between a proof and the action that it covers: what lies before the period is read, and not counted.
        second = ("--run", "tuned", "--since", "2026-11-24T09:00:03Z", "--until", "2026-12-20T00:00:00Z")
        later = tune_max_age(evidence(EVENTS, since_us=NINE_US + 3_000_000), "payout")
        said = found(tmp_path, "max-age", *second, **reader)
        assert said["actions"] == later.actions
        assert [one["verified"] for one in said["candidates"]] == [one.verified.count for one in later.candidates]
        (tmp_path / "long.yaml").write_text(POLICY.replace("lookback: 24h", "lookback: 36500d"))
        long = run(tmp_path, "tune", "max-age", "payout", *period, "--policy", "long.yaml", "--json", **reader)
        assert (long.status, long.rows[0]["actions"]) == (0, found(tmp_path, "max-age", "events.jsonl")["actions"])
        linted = run(tmp_path, "policy", "lint", "policy.yaml", *second, **reader)
        assert (linted.status, linted.out) == (0, "ok: nothing found\n")
    finally:
        run(tmp_path, "runs", "drop", "tuned", **env)


@pytest.mark.live
def test_without_files_of_policies_those_that_the_workers_run_are_taken(
    tmp_path: Path, clickhouse: ClickHouseSettings, kafka: str
) -> None:
    env = to_reach(clickhouse) | {"STEPWATCH_KAFKA_BOOTSTRAP": kafka, "STEPWATCH_PREFIX": f"t{uuid4().hex[:8]}."}
    desk(tmp_path)
    assert run(tmp_path, "topics", "create", **env).status == 0
    words = (
        "tune",
        "max-age",
        "payout",
        "--run",
        "applied",
        "--since",
        "2026-11-20T00:00:00Z",
        "--until",
        "2026-12-20T00:00:00Z",
        "--json",
    )
    try:
        run(tmp_path, "replay", "events.jsonl", "--policy", "policy.yaml", "--into", "applied", "--replace", **env)
        none = run(tmp_path, *words, **env)
        assert (none.status, "holds no policy set: apply one, or name files with --policy" in none.err) == (2, True)
        (tmp_path / "other.yaml").write_text(POLICY.replace("max_age: 5m", "max_age: 9m"))
        assert run(tmp_path, "policy", "apply", "--now", "other.yaml", **env).status == 0
        (said,) = run(tmp_path, *words, **env).rows
        assert said["now_us"] == 9 * 60_000_000
    finally:
        run(tmp_path, "runs", "drop", "applied", **env)
