"""`stepwatch dead-letters` where nothing can be read: each misuse, and a Kafka that is away, is a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.console import NOBODY, run


def test_a_kafka_that_is_away_is_a_sentence_with_exit_status_three(tmp_path: Path) -> None:
    said = run(tmp_path, "dead-letters", "list", "--bootstrap", NOBODY, STEPWATCH_START_TIMEOUT_MS="0")
    assert (said.status, said.out) == (3, "")
    assert said.err.startswith(f"no answer from Kafka at {NOBODY}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("replay",), "name the letters by their ids, or say --all"),
        (("replay", "0@1", "--all"), "name the letters by their ids, or say --all"),
        (("replay", "0@1", "--error", "json"), "leave them out where ids are named"),
        (("replay", "0@1", "0@2", "--file", "x.json"), "name one id"),
        (("replay", "--all", "--file", "x.json"), "name one id"),
        (("replay", "0@1", "--file", "nowhere.json"), "nowhere.json: cannot be read"),
        (("list", "--since", "yesterday"), "--since yesterday: expected a duration like 2h or 7d"),
    ],
)
def test_a_command_line_that_means_nothing_is_refused_before_kafka_is_asked(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = run(tmp_path, "dead-letters", *words, "--bootstrap", NOBODY)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


def test_the_commands_explain_themselves(tmp_path: Path) -> None:
    said = " ".join(run(tmp_path, "dead-letters", "replay", "--help").out.split())
    for word in ("--file", "--dry-run", "--all", "a copy changes nothing", "Exit status 0; 1"):
        assert word in said
