"""Which files of a growing log have something new, and when a last line needs no end any more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stepwatch.cli import following
from stepwatch.cli.following import Following
from stepwatch.cli.positions import Positions
from stepwatch.cli.reading import batches, opened

HALF = '{"a": 1'


def put(path: Path, text: str, time_s: int) -> Path:
    """A file of that time."""
    path.write_text(text)
    os.utime(path, (time_s, time_s))
    return path


def look(log: Following, positions: Positions) -> dict[str, list[bytes]]:
    """What a look at the log gives, by the names of the files; noted as acknowledged."""
    found: dict[str, list[bytes]] = {}
    for followed in log.changed():
        with opened(followed.path, positions) as file:
            mark = file.mark
            for batch in batches(file, ended=followed.ended, settled=followed.settled):
                found.setdefault(followed.path.name, []).extend(batch.values)
                mark = batch.mark
            positions.note(file.path, mark, file.mark)
            followed.look.held = mark.at < file.size
        log.looked(followed)
    log.keep()
    return found


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has not grown since the last look is settled."""
    monkeypatch.setattr(following, "SETTLED_S", 0.0)


def test_files_are_looked_at_once_and_again_where_they_changed(tmp_path: Path) -> None:
    positions = Positions(None)
    log = Following(tmp_path, positions)
    put(tmp_path / "a", "1\n", 100)
    put(tmp_path / "b", "2\n", 100)
    assert look(log, positions) == {"a": [b"1"], "b": [b"2"]}
    assert look(log, positions) == {}
    put(tmp_path / "b", "2\n3\n", 101)
    assert look(log, positions) == {"b": [b"3"]}


@pytest.mark.usefixtures("soon")
def test_of_a_folder_only_the_newest_file_waits_for_the_end_of_its_last_line(tmp_path: Path) -> None:
    positions = Positions(None)
    log = Following(tmp_path, positions)
    put(tmp_path / "a", HALF, 100)
    put(tmp_path / "b", HALF + "2", 101)
    assert look(log, positions) == {}
    assert log.holds
    assert look(log, positions) == {"a": [HALF.encode()]}
    assert look(log, positions) == {}
    assert log.holds


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(("last", "taken"), [('{"a": 1', False), ('{"a": 1}', True), ("a text", False)])
def test_a_last_line_that_is_whole_json_needs_no_end_for_ever(tmp_path: Path, last: str, taken: bool) -> None:
    positions = Positions(None)
    file = put(tmp_path / "log", '{"a": 0}\n' + last, 100)
    log = Following(file, positions)
    assert look(log, positions) == {"log": [b'{"a": 0}']}
    assert look(log, positions) == ({"log": [last.encode()]} if taken else {})
    assert log.holds is not taken


@pytest.mark.parametrize("name", ["log.1", "log.2026-11-24", "log-20261124.gz", "log.old"])
def test_what_a_file_was_renamed_to_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    positions = Positions(None)
    file = put(tmp_path / "log", "1\n", 100)
    log = Following(file, positions)
    look(log, positions)
    put(file, "1\n2\n", 101)
    file.rename(tmp_path / name)
    put(file, "3\n", 102)
    assert look(log, positions) == {name: [b"2"], "log": [b"3"]}


@pytest.mark.parametrize("name", ["log.lock", "log2", "logs", "log-backup", "other"])
def test_what_only_looks_like_a_renamed_file_is_left_alone(tmp_path: Path, name: str) -> None:
    positions = Positions(None)
    file = put(tmp_path / "log", "1\n", 100)
    put(tmp_path / name, "1\n2\n", 101)
    assert look(Following(file, positions), positions) == {"log": [b"1"]}


def test_an_older_rotated_file_that_was_never_read_stays_so(tmp_path: Path) -> None:
    positions = Positions(None)
    put(tmp_path / "log.2", "x\n", 50)
    file = put(tmp_path / "log", "1\n", 100)
    log = Following(file, positions)
    assert look(log, positions) == {"log": [b"1"]}
    file.rename(tmp_path / "log.1")
    assert look(log, positions) == {}
    assert log.holds, "the file is not there: nobody may say that its feed is alive"


def test_a_link_that_is_pointed_to_another_file_leaves_nothing_behind(tmp_path: Path) -> None:
    positions = Positions(None)
    first, second, link = put(tmp_path / "1.log", "1\n", 100), tmp_path / "2.log", tmp_path / "current"
    link.symlink_to(first)
    log = Following(link, positions)
    look(log, positions)
    put(first, "1\n2\n", 101)
    put(second, "3\n", 102)
    link.unlink()
    link.symlink_to(second)
    assert look(log, positions) == {"1.log": [b"2"], "2.log": [b"3"]}


RENAMED = ["log.1", "app-2026-11-30.log", "any other name"]


@pytest.mark.parametrize("name", RENAMED)
@pytest.mark.parametrize("before", ["", "1\n"], ids=["nothing", "a line"])
@pytest.mark.parametrize("restarted", [False, True])
def test_whatever_the_name_is_that_a_file_was_renamed_to_it_is_read_to_its_end(
    tmp_path: Path, name: str, before: str, restarted: bool
) -> None:
    positions = Positions(None)
    file = put(tmp_path / "log", before, 100)
    log = Following(file, positions)
    look(log, positions)
    put(file, before + "2\n", 101)
    file.rename(tmp_path / name)
    put(file, "3\n", 102)
    if restarted:
        log = Following(file, positions)
    assert look(log, positions) == {name: [b"2"], "log": [b"3"]}
    assert not log.holds


@pytest.mark.parametrize("restarted", [False, True])
def test_a_file_that_is_gone_before_it_was_read_to_its_end_is_told_and_holds_the_heartbeats(
    tmp_path: Path, restarted: bool
) -> None:
    positions = Positions(None)
    file = put(tmp_path / "log", "1\n", 100)
    log = Following(file, positions)
    look(log, positions)
    assert (log.holds, log.troubles) == (False, [])
    put(tmp_path / "new", "3\n", 102)
    put(tmp_path / "log.1.xz", "packed by what we cannot unpack", 101)
    (tmp_path / "new").rename(file)
    if restarted:
        log = Following(file, positions)
    assert look(log, positions) == {"log": [b"3"]}
    assert log.holds
    assert ["its last lines may be missing" in words for words in log.troubles] == [True]
    assert not Following(file, positions).holds, "started anew, by whoever was told"


def test_an_inode_that_another_file_got_does_not_make_it_ours(tmp_path: Path) -> None:
    positions = Positions(None)
    file = put(tmp_path / "log", "1\n", 100)
    look(Following(file, positions), positions)
    file.rename(tmp_path / "other")
    put(tmp_path / "other", "another log, in the same inode\n", 101)
    put(file, "1\n2\n", 102)
    assert look(Following(file, positions), positions) == {"log": [b"2"]}


def test_of_two_rotations_in_one_look_the_higher_number_is_the_older(tmp_path: Path) -> None:
    positions = Positions(None)
    file = put(tmp_path / "log", "1\n", 100)
    log = Following(file, positions)
    look(log, positions)
    put(file, "1\n2\n", 101).rename(tmp_path / "log.2")
    put(file, "3\n", 101).rename(tmp_path / "log.1")
    put(file, "4\n", 101)
    found = look(log, positions)
    assert list(found.items()) == [("log.2", [b"2"]), ("log.1", [b"3"]), ("log", [b"4"])]


def test_while_a_file_is_being_delivered_there_are_no_heartbeats(tmp_path: Path) -> None:
    positions = Positions(None)
    put(tmp_path / "x.log", "1\n", 100)
    put(tmp_path / "z.log~", "an editor's", 100)
    log = Following(tmp_path, positions)
    assert look(log, positions) == {"x.log": [b"1"]}
    assert not log.holds
    part = tmp_path / "y.log.part"
    part.write_text("2\n")
    assert look(log, positions) == {}
    assert (log.holds, log.troubles) == (True, [])
    put(part, "2\n", 200)
    assert ["still being written" in words for words in log.troubles] == [True], "for long: somebody should know"
    part.rename(tmp_path / "y.log")
    assert look(log, positions) == {"y.log": [b"2"]}
    assert not log.holds


@pytest.mark.parametrize("name", ["", "log"], ids=["a folder", "a file"])
def test_a_folder_that_is_away_for_a_moment_holds_the_heartbeats_and_ends_nothing(tmp_path: Path, name: str) -> None:
    positions = Positions(None)
    folder = tmp_path / "logs"
    folder.mkdir()
    put(folder / "log", "1\n", 100)
    log = Following(folder / name, positions)
    look(log, positions)
    folder.rename(tmp_path / "away")
    assert log.changed() == []
    assert log.holds
    (tmp_path / "away").rename(folder)
    put(folder / "log", "1\n2\n", 101)
    assert look(log, positions) == {"log": [b"2"]}
    assert not log.holds
