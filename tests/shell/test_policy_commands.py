"""`stepwatch policy apply|history|show|rollback` on a real broker: what was applied can be seen, and taken back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from stepwatch.agents import policy_publishing
from stepwatch.agents.errors import PoliciesMoved
from stepwatch.agents.policy_publishing import publish_policies
from stepwatch.agents.settings import Settings
from tests.live.harness import new_settings, read, with_topics
from tests.wire.commands import Ended, run

pytestmark = pytest.mark.live
FIVE = """\
version: 1
policies:
  - id: payout
    match: {action: [payments.payout.*]}
    require: {amr_any: [hwk], max_age: 5m}
    tests:
      - name: no proof
        given: [{at: 0s, action: payments.payout.approve}]
        expect: {verdict: unverified}
"""
TEN = FIVE.replace("5m", "10m")


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    return asyncio.run(with_topics(new_settings(kafka, tmp_path, policies_dir=None)))


def apply(settings: Settings, folder: Path, text: str, *words: str) -> Ended:
    folder.mkdir(exist_ok=True)
    (folder / "payout.yaml").write_text(text)
    return run(settings, ["policy", "apply", str(folder), *words])


def history(settings: Settings) -> list[dict[str, Any]]:
    done = run(settings, "policy history --json")
    assert done.status == 0, done
    return [json.loads(line) for line in done.out.splitlines()]


def applied_count(settings: Settings) -> int:
    return len(asyncio.run(read(settings, settings.topics.policies, 1)))


def test_a_set_is_tested_compared_published_seen_and_taken_back(settings: Settings, tmp_path: Path) -> None:
    first = apply(settings, tmp_path / "p", FIVE)
    assert (first.status, "+ payout" in first.out) == (0, True), first
    second = apply(settings, tmp_path / "p", TEN, "--now", "--note", "phones are slow")
    assert second.status == 0, second
    assert "1 test passed" in second.out
    assert "~ payout: require.max_age 5m → 10m" in second.out

    one, two = history(settings)
    assert [entry["in_force"] for entry in (one, two)] == [False, True]
    assert (one["effective_from"], one["until"], two["until"]) == (None, two["effective_from"], None)
    assert (two["note"], two["now"], two["changes"]) == (
        "phones are slow",
        True,
        ["~ payout: require.max_age 5m → 10m"],
    )
    assert two["applied_by"]
    listed = run(settings, "policy history").out
    assert "phones are slow: ~ payout: require.max_age 5m → 10m" in listed
    assert [line for line in listed.splitlines() if two["set"][:12] in line and "in force" in line]

    assert run(settings, "policy show").out == TEN
    assert run(settings, f"policy show {one['set'][:8]}").out == FIVE
    assert run(settings, "policy show 1").out == FIVE
    before = two["effective_from"].replace("Z", "")[:19] + "Z"
    assert run(settings, ["policy", "show", "--at", before]).out in (FIVE, TEN), "the second it began in"
    assert run(settings, ["policy", "show", "--at", "2026-01-01T00:00:00Z"]).out == FIVE

    back = run(settings, ["policy", "rollback", "--now"])
    assert back.status == 0, back
    assert "~ payout: require.max_age 10m → 5m" in back.out
    assert [entry["set"] for entry in history(settings)] == [one["set"], two["set"], one["set"]]
    assert run(settings, "policy show").out == FIVE
    again = run(settings, f"policy rollback {one['set'][:12]}")
    assert (again.status, "this set is the latest one already" in again.err) == (0, True)


def test_a_set_whose_test_fails_is_not_published(settings: Settings, tmp_path: Path) -> None:
    done = apply(settings, tmp_path / "p", FIVE.replace("unverified", "verified"))
    assert done.status == 1
    assert "1 of 1 test failed: nothing is published" in done.out
    assert applied_count(settings) == 0


def test_a_dry_run_shows_all_and_publishes_nothing(settings: Settings, tmp_path: Path) -> None:
    done = apply(settings, tmp_path / "p", FIVE, "--dry-run")
    assert (done.status, "+ payout" in done.out, "nothing was published" in done.err) == (0, True, True)
    assert applied_count(settings) == 0


def test_who_reviewed_against_a_set_that_is_no_longer_the_latest_is_told(settings: Settings, tmp_path: Path) -> None:
    apply(settings, tmp_path / "p", FIVE)
    [reviewed] = history(settings)
    apply(settings, tmp_path / "p", FIVE.replace("5m", "7m"))
    done = apply(settings, tmp_path / "p", TEN, "--expect", reviewed["set"][:12])
    assert done.status == 1
    assert f"expected {reviewed['set'][:12]}: nothing was published" in done.err
    assert applied_count(settings) == 2


def test_of_two_who_publish_at_the_same_moment_one_is_told(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = tmp_path / "mine.yaml", tmp_path / "theirs.yaml"
    mine.write_text(FIVE)
    theirs.write_text(TEN)
    opened = policy_publishing.open_producer

    async def slower(*said: Any, **options: Any) -> Any:
        monkeypatch.setattr(policy_publishing, "open_producer", opened)
        await publish_policies(settings, [theirs])
        return await opened(*said, **options)

    monkeypatch.setattr(policy_publishing, "open_producer", slower)
    with pytest.raises(PoliciesMoved, match=r"and somebody else .* at the same moment"):
        asyncio.run(publish_policies(settings, [mine]))
    assert applied_count(settings) == 2


def test_two_who_publish_the_same_set_at_the_same_moment_are_of_one_mind(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(FIVE)
    opened = policy_publishing.open_producer

    async def slower(*said: Any, **options: Any) -> Any:
        monkeypatch.setattr(policy_publishing, "open_producer", opened)
        await publish_policies(settings, [path])
        return await opened(*said, **options)

    monkeypatch.setattr(policy_publishing, "open_producer", slower)
    assert len(asyncio.run(publish_policies(settings, [path]))) == 1


def test_the_files_of_a_set_can_be_written_and_replace_none(settings: Settings, tmp_path: Path) -> None:
    apply(settings, tmp_path / "p", FIVE)
    into = tmp_path / "back"
    assert run(settings, ["policy", "show", "1", "--into", str(into)]).status == 0
    assert (into / "payout.yaml").read_text() == FIVE
    again = run(settings, ["policy", "show", "1", "--into", str(into)])
    assert (again.status, "holds payout.yaml already" in again.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("policy show", "holds no policy set"),
        ("policy rollback", "there is nothing to go back to"),
        ("policy show 1 --at 2026-01-01T00:00:00Z", "SET and --at"),
    ],
)
def test_what_cannot_be_shown_or_taken_back_is_said(settings: Settings, words: str, said: str) -> None:
    done = run(settings, words)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--now", "--effective-from", "2027-01-01T00:00:00Z"], "--now and --effective-from"),
        (["--effective-from", "tomorrow"], "--effective-from tomorrow: expected a time"),
        (["--fail-over", "3"], "--fail-over: of which time"),
        (["--expect", "abcdef"], "abcdef: no such set"),
    ],
)
def test_an_option_that_cannot_be_meant_publishes_nothing(
    settings: Settings, tmp_path: Path, words: list[str], said: str
) -> None:
    done = apply(settings, tmp_path / "p", FIVE, *words)
    assert (done.status, said in done.err) == (2, True), done
    assert applied_count(settings) == 0


def test_a_beginning_in_the_future_is_said_with_the_set(settings: Settings, tmp_path: Path) -> None:
    apply(settings, tmp_path / "p", FIVE)
    done = apply(settings, tmp_path / "p", TEN, "--effective-from", "2099-01-01T00:00:00Z")
    assert done.status == 0, done
    one, two = history(settings)
    assert (one["in_force"], two["in_force"]) == (True, False)
    assert two["effective_from"].startswith("2099-01-01T00:00:00")
    assert run(settings, ["policy", "show", "--at", "2099-01-01T00:00:00Z"]).out == TEN
