"""`stepwatch notify check|test|mute`: what is said of a file, what a receiver answered, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stepwatch.cli.errors import Misused
from stepwatch.cli.main import app
from stepwatch.cli.notify_shows import Found, show_why
from stepwatch.notifiers.ledger import read_told
from stepwatch.notifiers.notices import NotJudged
from stepwatch.notifiers.routing import RoutesRefused, parse_routes
from tests.live.pager import pager, routes_file
from tests.notifiers.world import ONE_CHANNEL, REFUSED, WITH_BACKUP, Counting, World, shown


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


def test_a_test_ring_whose_reply_is_lost_is_taken_back_all_the_same(tmp_path: Path) -> None:
    with pager() as counting:
        counting.status = 0
        status, printed, _ = run("test", "--routes", str(routes_file(tmp_path, counting)))
    assert status == 1
    assert [line.split(": ")[:3] for line in printed.splitlines()] == [
        ["pager", "trigger", "retry"],
        ["pager", "resolve", "retry"],
    ]
    assert list(counting.incidents.values()) == ["resolved"]


@pytest.mark.parametrize(
    "words", [["mute", "--match", "policy=x", "--until", "2h"], ["unmute", "mu_1"], ["enable", "x"]]
)
def test_a_system_that_does_not_say_who_decides_is_asked_to(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr("getpass.getuser", nobody)
    reason = [] if words[0] == "unmute" else ["--reason", "x"]
    _, _, raised = run(*words, *reason, "--bootstrap", "127.0.0.1:1")
    assert isinstance(raised, Misused)
    assert str(raised) == "this system does not say who you are: name yourself with --by NAME"


def found_of(world: World, key: str) -> Found:
    book = world.engine.floor.books[0]
    told = {(one.channel, one.key): one for one in map(read_told, world.ledger.values())}
    return Found(book.alert_of(key), book.members(key), told)


def test_the_reason_of_a_channel_without_a_route_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(Counting("pager", answers=[REFUSED]), Counting("mail"), routes=WITH_BACKUP)
    world.see(shown())
    world.pass_time(1)
    found = found_of(world, "al_1")
    show_why(world.routes, found)
    assert "mail: by an escalation: open" in capsys.readouterr().out
    show_why(parse_routes("routes.yaml", ONE_CHANNEL), found)
    assert "mail: by a route that the file has no more: open" in capsys.readouterr().out


def test_a_storm_is_explained_with_its_alerts(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    for number in range(8):
        world.see(shown(number))
    world.pass_time(10)
    [group] = [key for key in world.pager.incidents if key.startswith("st_")]
    show_why(world.routes, found_of(world, group))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "  3 alerts in it now, of 3:"
    assert [line.split(":")[0].strip() for line in lines[2:5]] == ["al_5", "al_6", "al_7"]
    assert lines[5].startswith("  pager: by route 0 (everything): open; trigger at ")


def test_a_group_of_which_the_topic_has_nothing_is_no_alert_that_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    for number in range(8):
        world.engine.see_bug(
            0, NotJudged(f"0@{number}", f"actions-0@{number}", "acme/alice", "KeyError: 'x'", world.now)
        )
    world.pass_time(10)
    [group] = [key for key in world.pager.incidents if key.startswith("st_")]
    told = {(one.channel, one.key): one for one in map(read_told, world.ledger.values())}
    show_why(world.routes, Found(world.engine.floor.books[0].alert_of(group), [], told))
    printed = capsys.readouterr().out
    assert f"{group}: none of its 3 is an alert of the topic" in printed
    assert "stepwatch dead-letters list --error bug" in printed
    assert "resolved" not in printed


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
