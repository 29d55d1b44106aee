"""A file is known by its content: renamed, copied and packed it goes on; written anew it begins at its begin."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from stepwatch.cli import positions as positions_module
from stepwatch.cli.errors import Misused
from stepwatch.cli.positions import Positions
from stepwatch.cli.reading import batches, opened
from stepwatch.cli.unpacking import BEGIN

LINES = [b'{"n":%d,"of":"the first log"}\n' % number for number in range(200)]


def write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"".join(lines))
    return path


def take(path: Path, positions: Positions, *, ended: bool = True) -> list[bytes]:
    """Read what is new in a file, and note it as acknowledged."""
    with opened(path, positions) as file:
        records, mark = [], file.mark
        for batch in batches(file, ended=ended):
            records += batch.values
            mark = batch.mark
        positions.note(path, mark, file.mark)
    positions.save()
    return [record + b"\n" for record in records]


@pytest.mark.parametrize("count", [1, 20, 100])
def test_what_was_acknowledged_is_not_read_again_by_the_next_process(tmp_path: Path, count: int) -> None:
    log = write(tmp_path / "log", LINES[:count])
    assert take(log, Positions(tmp_path / "p")) == LINES[:count]
    write(log, LINES)
    assert take(log, Positions(tmp_path / "p")) == LINES[count:]
    assert take(log, Positions(tmp_path / "p")) == []


def rename(log: Path) -> Path:
    return log.rename(log.with_name("log.1"))


def copy(log: Path) -> Path:
    return Path(shutil.copy(log, log.with_name("log.1")))


def pack(log: Path) -> Path:
    packed = log.with_name("log.1.gz")
    packed.write_bytes(gzip.compress(log.read_bytes()))
    return packed


@pytest.mark.parametrize("rotate", [rename, copy, pack])
@pytest.mark.parametrize("count", [1, 100])
def test_a_rotated_file_goes_on_where_it_was(tmp_path: Path, rotate: object, count: int) -> None:
    assert callable(rotate)
    log = write(tmp_path / "log", LINES[:count])
    take(log, Positions(tmp_path / "p"))
    write(log, LINES[: count + 2])
    rotated = rotate(log)
    write(log, [b'{"n":1,"of":"the second log"}\n'])
    positions = Positions(tmp_path / "p")
    assert take(rotated, positions) == LINES[count : count + 2]
    assert take(log, positions) == [b'{"n":1,"of":"the second log"}\n']


def test_a_file_that_was_truncated_and_grew_beyond_its_position_is_another(tmp_path: Path) -> None:
    log = write(tmp_path / "log", LINES[:100])
    take(log, Positions(tmp_path / "p"))
    others = [line.replace(b"first", b"other") for line in LINES]
    write(log, others)
    assert take(log, Positions(tmp_path / "p")) == others


def test_two_files_with_the_same_begin_have_each_their_position(tmp_path: Path) -> None:
    ones, others = LINES[:100], [*LINES[:50], *(line.replace(b"first", b"other") for line in LINES[50:100])]
    positions = Positions(tmp_path / "p")
    assert take(write(tmp_path / "one", ones), positions) == ones
    assert take(write(tmp_path / "other", others), positions) == others
    again = Positions(tmp_path / "p")
    assert take(tmp_path / "one", again) == take(tmp_path / "other", again) == []


def test_files_that_differ_in_the_middle_only_have_each_their_position(tmp_path: Path) -> None:
    ones, others = LINES, [*LINES[:100], LINES[100].replace(b"first", b"other"), *LINES[101:]]
    positions = Positions(tmp_path / "p")
    assert take(write(tmp_path / "one", ones), positions) == ones
    assert take(write(tmp_path / "other", others), positions) == others
    again = Positions(tmp_path / "p")
    assert take(tmp_path / "one", again) == take(tmp_path / "other", again) == []


@pytest.mark.parametrize("gone", [False, True])
def test_of_many_marks_only_those_of_files_that_are_gone_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    monkeypatch.setattr(positions_module, "_ENTRIES_MANY", 2)
    logs = [write(tmp_path / f"log-{number}", [b"%d\n" % number]) for number in range(9)]
    positions = Positions(tmp_path / "p")
    for log in logs:
        take(log, positions)
        if gone and log != logs[-1]:
            log.rename(tmp_path / "away")
    again = Positions(tmp_path / "p")
    assert take(logs[-1], again) == []
    if gone:
        assert take(write(tmp_path / "first", [b"0\n"]), again) == [b"0\n"]
    else:
        assert [take(log, again) for log in logs] == [[]] * 9


def test_positions_of_another_kafka_cluster_are_refused(tmp_path: Path) -> None:
    log = write(tmp_path / "log", LINES)
    take(log, Positions(tmp_path / "p", "one"))
    assert take(log, Positions(tmp_path / "p", "one")) == []
    with pytest.raises(Misused, match=r"in another Kafka cluster \(one; this one is two\)"):
        Positions(tmp_path / "p", "two")


def test_a_line_that_may_still_grow_is_not_read_before_its_end(tmp_path: Path) -> None:
    positions = Positions(None)
    log = write(tmp_path / "log", [LINES[0], LINES[1][:-5]])
    assert take(log, positions, ended=False) == [LINES[0]]
    write(log, LINES[:2])
    assert take(log, positions, ended=False) == [LINES[1]]


def test_a_file_without_positions_left_is_removed(tmp_path: Path) -> None:
    log, positions = write(tmp_path / "log", LINES), Positions(tmp_path / "p")
    take(log, positions)
    with opened(log, positions) as file:
        assert file.mark != BEGIN
        positions.forget(file.mark)
    positions.save()
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("text", ["", "{", '{"version":2,"sources":[],"files":[]}', '{"version":1}'])
def test_a_position_file_that_is_none_of_ours_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "p").write_text(text)
    with pytest.raises(Misused, match="no positions of ours"):
        Positions(tmp_path / "p")
