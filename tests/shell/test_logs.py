"""Log lines of a role."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from stepwatch.agents.logs import Repeats, configure_logs, get_logger
from stepwatch.agents.settings import Settings


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Give the test runner its handlers back."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


def line(name: str, text: str = "Offset out of range at node %s") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, text, ("1",), None)


def test_a_library_that_says_the_same_again_and_again_is_heard_every_ten_seconds() -> None:
    now_s = [0.0]
    repeats = Repeats(every_s=10.0, clock=lambda: now_s[0])
    assert repeats.filter(line("aiokafka"))
    assert not repeats.filter(line("aiokafka"))
    now_s[0] = 9.999
    assert not repeats.filter(line("aiokafka"))
    now_s[0] = 10.0
    later = line("aiokafka")
    assert repeats.filter(later)
    assert later.getMessage() == "Offset out of range at node 1 (and 2 more like it before)"


def test_a_broker_that_does_not_answer_is_said_once_a_minute_whatever_part_of_the_library_finds_it() -> None:
    now_s = [0.0]
    repeats = Repeats(clock=lambda: now_s[0])
    first = line("aiokafka", "Unable connect to node with id %s: ")
    assert repeats.filter(first)
    assert first.getMessage() == "Kafka does not answer; trying again until it does (Unable connect to node with id 1)"
    assert first.levelname == "WARNING"
    now_s[0] = 59.999
    assert not repeats.filter(line("aiokafka", "Unable to update metadata from %s"))
    assert not repeats.filter(line("aiokafka.consumer.fetcher", "Failed fetch messages from 0: NodeNotReadyError %s"))
    now_s[0] = 60.0
    later = line("aiokafka.consumer.group_coordinator", "Marking the coordinator dead (node %s)")
    assert repeats.filter(later)
    assert later.getMessage().endswith("(Marking the coordinator dead (node 1)) (and 2 more like it before)")


def test_another_line_and_every_line_of_ours_is_heard_at_once() -> None:
    repeats = Repeats(clock=lambda: 0.0)
    assert repeats.filter(line("aiokafka"))
    assert repeats.filter(line("aiokafka", "Something else at %s"))
    assert repeats.filter(line("stepwatch.agents.task"))
    assert repeats.filter(line("stepwatch.agents.task"))


@pytest.mark.usefixtures("restored_logging")
def test_a_line_for_machines_is_one_json_object_with_the_words_of_a_library_in_the_same_form(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(Settings(log_format="json"))
    get_logger("stepwatch.test").info("took over", partition=3)
    logging.getLogger("aiokafka.consumer").warning("Offset out of range at node %s", 1)
    captured = capsys.readouterr()
    ours, theirs = (json.loads(text) for text in captured.err.splitlines())
    assert captured.out == ""
    assert (ours["event"], ours["partition"], ours["level"]) == ("took over", 3, "info")
    assert theirs["event"] == "Offset out of range at node 1"
    assert theirs["logger"] == "aiokafka.consumer"
    assert ours["timestamp"].endswith("Z")
