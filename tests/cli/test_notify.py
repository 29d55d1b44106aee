"""`stepwatch notify check|test|mute`: what is said of a file, what a receiver answered, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stepwatch.cli.errors import Misused
from stepwatch.cli.main import app
from stepwatch.notifiers.routing import RoutesRefused
from tests.live.pager import pager, routes_file


def run(*words: str) -> tuple[int, str, BaseException | None]:
    """Exit status, what was printed, and what was raised for the command line to put into words."""
    result = CliRunner().invoke(app, ["notify", *words])
    return result.exit_code, result.stdout, result.exception


def test_check_says_what_goes_where(tmp_path: Path) -> None:
    with pager() as counting:
        status, printed, _ = run("check", str(routes_file(tmp_path, counting)))
    assert status == 0
    assert printed.splitlines() == ["route 0: everything -> pager", "ok: 1 channels, 1 routes, 0 mutes"]
    assert counting.steps == []


def test_check_refuses_a_secret_that_is_not_there(tmp_path: Path) -> None:
    with pager() as counting:
        path = routes_file(tmp_path, counting)
        (tmp_path / "routing_key").unlink()
        _, _, raised = run("check", str(path))
    assert isinstance(raised, RoutesRefused)
    assert "channels[pager]" in str(raised)


def test_a_test_ring_is_taken_back_and_each_answer_is_printed(tmp_path: Path) -> None:
    with pager() as counting:
        status, printed, _ = run("test", "--routes", str(routes_file(tmp_path, counting)))
    assert status == 0
    assert [line.split(": ")[:3] for line in printed.splitlines()] == [
        ["pager", "trigger", "delivered"],
        ["pager", "resolve", "delivered"],
    ]
    assert list(counting.incidents.values()) == ["resolved"]
    assert "0123456789abcdef" not in printed


def test_a_test_ring_that_is_not_taken_is_a_problem(tmp_path: Path) -> None:
    with pager() as counting:
        counting.status = 400
        status, printed, _ = run("test", "--routes", str(routes_file(tmp_path, counting)))
    assert status == 1
    assert "pager: trigger: refused" in printed


def test_a_channel_that_is_not_in_the_file_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pager() as counting:
        _, _, raised = run("test", "--channel", "sms", "--routes", str(routes_file(tmp_path, counting)))
    assert isinstance(raised, Misused)
    assert str(raised) == "--channel sms: no such channel; there are pager"


@pytest.mark.parametrize(
    ("match", "until", "said"),
    [
        ("colour=red", "2h", "--match colour=red: expected FIELD=PATTERN, FIELD one of tenant, severity"),
        ("policy", "2h", "--match policy: expected FIELD=PATTERN"),
        ("policy=", "2h", "--match policy=: expected FIELD=PATTERN"),
        ("policy=x", "soon", "--until soon: expected a duration like 2h"),
        ("policy=x", "2020-01-01T00:00:00Z", "until: expected a time after `from`"),
    ],
)
def test_a_mute_that_cannot_be_read_is_refused_before_anything_is_written(match: str, until: str, said: str) -> None:
    _, _, raised = run("mute", "--match", match, "--until", until, "--reason", "x", "--bootstrap", "127.0.0.1:1")
    assert isinstance(raised, Misused)
    assert said in str(raised)
