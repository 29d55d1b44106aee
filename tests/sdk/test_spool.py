"""The spool: what was put on disk comes back in its order until it is acknowledged, whatever happens to the process."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwatch.sdk import spool as spools
from stepwatch.sdk.spool import SEGMENT_BYTES, SEGMENT_EVENTS, Spool, open_left_behind, open_spool

LARGE = 10**9
FRAME_BYTES = 8


def values(first: int, count: int) -> list[bytes]:
    return [b'{"id":"%d"}' % number for number in range(first, first + count)]


def drained(spool: Spool) -> list[bytes]:
    found: list[bytes] = []
    while spool.events:
        found += spool.oldest()[0]
        spool.remove_oldest()
    return found


def crash(spool: Spool) -> None:
    """As `kill -9` leaves it: nothing is written any more, and the system lets go of the lock."""
    spool.close()


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.events"))


def test_what_was_appended_comes_back_in_its_order_and_leaves_no_file_behind(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, LARGE)
    assert spool.append(values(0, 3)) == 3
    assert spool.append(values(3, 2)) == 2
    assert (spool.events, len(segments(tmp_path))) == (5, 1)
    assert drained(spool) == values(0, 5)
    assert (spool.events, spool.bytes, segments(tmp_path)) == (0, 0, [])


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool", LARGE)
    spool.append(values(0, 1))
    (segment,) = segments(tmp_path / "spool")
    assert stat.S_IMODE(os.stat(segment).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(segment.parent).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(segment.parent / "lock").st_mode) == 0o600


@pytest.mark.parametrize(("count", "files"), [(SEGMENT_EVENTS, 1), (SEGMENT_EVENTS + 1, 2)])
def test_a_segment_holds_as_many_events_as_a_request_may(tmp_path: Path, count: int, files: int) -> None:
    spool = open_spool(tmp_path, LARGE)
    assert spool.append(values(0, count)) == count
    assert len(segments(tmp_path)) == files
    assert len(spool.oldest()[0]) == SEGMENT_EVENTS


@pytest.mark.parametrize(("size", "in_first"), [(SEGMENT_BYTES - FRAME_BYTES - 1, 2), (SEGMENT_BYTES - FRAME_BYTES, 1)])
def test_a_segment_takes_no_further_event_once_it_is_large_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, in_first: int
) -> None:
    monkeypatch.setattr(spools, "EVENT_BYTES_MAX", SEGMENT_BYTES)
    spool = open_spool(tmp_path, LARGE)
    assert spool.append([b"x" * size, b"y"]) == 2
    assert len(spool.oldest()[0]) == in_first


def test_bytes_are_bounded_frames_included_and_room_comes_back_with_an_acknowledgement(tmp_path: Path) -> None:
    size = 2 * (FRAME_BYTES + len(values(0, 1)[0]))
    assert open_spool(tmp_path / "at", size).append(values(0, 2)) == 2
    spool = open_spool(tmp_path / "past", size - 1)
    assert spool.append(values(0, 2)) == 1
    assert spool.append(values(1, 1)) == 0
    spool.oldest()
    spool.remove_oldest()
    assert spool.append(values(1, 1)) == 1


def test_what_is_appended_while_the_oldest_is_being_sent_lies_behind_it(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, LARGE)
    spool.append(values(0, 2))
    assert spool.oldest() == (values(0, 2), 0)
    spool.append(values(2, 2))
    assert spool.remove_oldest() == 2
    assert drained(spool) == values(2, 2)


@pytest.mark.parametrize("cut", [1, 5, 8, 15], ids=["a-byte", "of-the-value", "of-the-checksum", "of-the-length"])
def test_a_torn_tail_is_cut_away_and_counted_and_what_stands_before_it_is_whole(tmp_path: Path, cut: int) -> None:
    spool = open_spool(tmp_path, LARGE)
    spool.append(values(0, 3))
    crash(spool)
    (segment,) = segments(tmp_path)
    os.truncate(segment, segment.stat().st_size - cut)
    spool = open_spool(tmp_path, LARGE)
    assert (spool.events, spool.torn) == (2, 1)
    spool.append(values(3, 1))
    assert drained(spool) == [*values(0, 2), *values(3, 1)]
    crash(spool)
    assert open_spool(tmp_path, LARGE).torn == 0


WHERE = {"length": [0, 1, 2, 3], "checksum": [4, 7], "value": [8, 12]}


@pytest.mark.parametrize("byte", [byte for bytes_ in WHERE.values() for byte in bytes_])
@pytest.mark.parametrize("frame", [0, 1, 450, 898])
def test_one_damaged_byte_costs_one_event_wherever_it_is(tmp_path: Path, byte: int, frame: int) -> None:
    spool = open_spool(tmp_path, LARGE)
    made = values(1000, 900)
    spool.append(made)
    crash(spool)
    (segment,) = segments(tmp_path)
    content = bytearray(segment.read_bytes())
    content[frame * (FRAME_BYTES + len(made[0])) + byte] ^= 0x55
    segment.write_bytes(content)
    del made[frame]
    spool = open_spool(tmp_path, LARGE)
    assert (spool.events, spool.torn) == (899, 1)
    assert segment.stat().st_size == len(content), "nothing is cut off where events follow"
    spool.append(values(0, 1))
    assert spool.oldest() == (made, 0)
    assert drained(spool) == [*made, *values(0, 1)]


def test_damage_over_many_frames_is_one_place_and_what_stands_around_it_is_whole(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, LARGE)
    made = values(1000, 900)
    spool.append(made)
    crash(spool)
    (segment,) = segments(tmp_path)
    content, size = bytearray(segment.read_bytes()), FRAME_BYTES + len(made[0])
    content[100 * size + 5 : 300 * size + 5] = b"\0" * (200 * size)
    content[600 * size : 600 * size + 3 * size] = b"\xff" * (3 * size)
    segment.write_bytes(content)
    spool = open_spool(tmp_path, LARGE)
    assert (spool.events, spool.torn) == (900 - 201 - 3, 2)
    assert drained(spool) == made[:100] + made[301:600] + made[603:]


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\xff" * 7, b"\xff" * 64], ids=["zeros", "no-frame", "endless"])
def test_what_a_file_system_writes_in_the_place_of_what_it_lost_is_no_event(tmp_path: Path, tail: bytes) -> None:
    spool = open_spool(tmp_path, LARGE)
    spool.append(values(0, 2))
    crash(spool)
    with segments(tmp_path)[0].open("ab") as file:
        file.write(tail)
    spool = open_spool(tmp_path, LARGE)
    assert (drained(spool), spool.torn) == (values(0, 2), 1)


def test_a_segment_without_one_whole_event_is_removed(tmp_path: Path) -> None:
    lane = tmp_path / "000"
    lane.mkdir()
    (lane / f"{7:016d}.events").write_bytes(b"\1")
    (lane / "notes.events").write_bytes(b"somebody else's")
    spool = open_spool(tmp_path, LARGE)
    assert (spool.events, spool.torn, segments(tmp_path)) == (0, 1, [lane / "notes.events"])
    spool.append(values(0, 1))
    assert (lane / f"{8:016d}.events").exists(), "a name is not used twice"


def test_a_segment_that_somebody_deleted_or_damaged_is_counted_and_holds_nothing_up(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, LARGE)
    for first in (0, 2, 4):
        spool.append(values(first, 2))
        spool.oldest()
        spool._seal()
    gone, damaged, _ = segments(tmp_path)
    gone.unlink()
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    assert spool.oldest() == ([], 2)
    assert spool.remove_oldest() == 0
    assert spool.oldest() == (values(2, 1), 1)
    assert spool.remove_oldest() == 1
    assert spool.oldest() == (values(4, 2), 0)
    assert spool.events == 2


def test_two_who_share_a_folder_have_a_lane_each_and_neither_sees_the_others(tmp_path: Path) -> None:
    first, second = open_spool(tmp_path, LARGE), open_spool(tmp_path, LARGE)
    first.append(values(0, 1))
    second.append(values(1, 1))
    assert open_left_behind(tmp_path, LARGE) is None
    assert (drained(first), drained(second)) == (values(0, 1), values(1, 1))


def test_what_a_process_left_behind_is_found_by_another_and_by_one_only(tmp_path: Path) -> None:
    first, second = open_spool(tmp_path, LARGE), open_spool(tmp_path, LARGE)
    second.append(values(0, 2))
    crash(second)
    found = open_left_behind(tmp_path, LARGE)
    assert found is not None
    assert open_left_behind(tmp_path, LARGE) is None
    assert drained(found) == values(0, 2)
    assert first.events == 0


def test_what_the_disk_refuses_is_not_there_and_said_and_the_next_append_may_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = open_spool(tmp_path, LARGE)
    spool.append(values(0, 1))

    def half(file: int, data: bytes) -> None:
        os.write(file, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(spools, "_write_all", half)
        assert spool.append(values(1, 2)) == 0
        assert "No space left on device" in spool.trouble
        assert spool.append(values(1, 2)) == 0
    assert (spool.append(values(1, 2)), spool.trouble) == (2, "")
    crash(spool)
    spool = open_spool(tmp_path, LARGE)
    assert (drained(spool), spool.torn) == (values(0, 3), 0)


def test_a_folder_in_which_nothing_can_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"):
        open_spool(tmp_path / "file", LARGE)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 7)),
        st.tuples(st.just("ack"), st.just(0)),
        st.tuples(st.just("crash"), st.just(0)),
        st.tuples(st.just("tear"), st.integers(1, 40)),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(1, 4))
def test_after_any_appends_acknowledgements_and_crashes_what_is_there_is_what_was_not_acknowledged(
    steps: list[tuple[str, int]], segment_events: int
) -> None:
    folder = Path(tempfile.mkdtemp())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spools, "SEGMENT_EVENTS", segment_events)
        # Durability is the disk's; the order and the bounds of what is read are tried here.
        patch.setattr(os, "fsync", lambda file: None)
        spool, held, made = open_spool(folder, LARGE), list[bytes](), 0
        for step, number in steps:
            if step == "append":
                assert spool.append(values(made, number)) == number
                held += values(made, number)
                made += number
            elif step == "ack" and spool.events:
                sent, lost = spool.oldest()
                assert (sent, lost) == (held[: len(sent)], 0)
                assert 0 < len(sent) <= segment_events
                assert spool.remove_oldest() == len(sent)
                del held[: len(sent)]
            elif step in ("crash", "tear"):
                crash(spool)
                if step == "tear" and (files := segments(folder)):
                    left = max(0, files[-1].stat().st_size - number)
                    os.truncate(files[-1], left)
                    lot = held[len(held) - spool._segments[-1].events :]
                    ends = [sum(FRAME_BYTES + len(value) for value in lot[: end + 1]) for end in range(len(lot))]
                    torn = sum(end > left for end in ends)
                    del held[len(held) - torn :]
                spool = open_spool(folder, LARGE)
            assert spool.events == len(held)
        assert drained(spool) == held
        spool.close()
    shutil.rmtree(folder)
