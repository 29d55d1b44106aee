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
