"""One owner for each data folder, and the ports that it remembers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepwatch.embedded import ports
from stepwatch.embedded.errors import EmbeddedError, FolderTaken
from stepwatch.embedded.folder import DataFolder, default_data_dir
from stepwatch.embedded.kafka import EmbeddedKafka

OWN = """
import sys, time
from stepwatch.embedded.folder import DataFolder
with DataFolder(sys.argv[1]).lock():
    print("owned", flush=True)
    time.sleep(60)
"""


def test_a_second_owner_is_told_who_has_the_folder_and_since_when(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWN, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "owned\n"
        with pytest.raises(FolderTaken) as refused, DataFolder(tmp_path).lock():
            pass
        owner.kill()
    words = str(refused.value)
    assert f"process {owner.pid} " in words
    assert f"since {time.strftime('%Y-')}" in words
    assert f"kill {owner.pid}" in words
    assert (refused.value.code, refused.value.exit_status) == ("folder_taken", 3)


def test_a_folder_whose_owner_was_killed_is_free_at_once(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWN, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "owned\n"
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    with DataFolder(tmp_path).lock() as folder:
        assert folder.owner()["pid"] == os.getpid()


def test_a_folder_that_was_given_back_can_be_owned_again(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    for _ in range(2):
        with folder.lock():
            pass


def test_no_server_starts_on_a_folder_that_nobody_owns(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"with folder\.lock\(\)"):
        EmbeddedKafka(DataFolder(tmp_path)).start()


def test_a_data_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(EmbeddedError, match="Give another one with --data"),
        DataFolder(tmp_path / "file").lock(),
    ):
        pass


def test_the_data_folder_is_closed_to_other_users(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "data").lock() as folder:
        assert folder.path.stat().st_mode & 0o077 == 0


def test_the_environment_names_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEPWATCH_DATA", str(tmp_path / "here"))
    assert default_data_dir() == tmp_path / "here"
    monkeypatch.delenv("STEPWATCH_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / "stepwatch"


def test_a_port_that_is_taken_gives_another_one_which_is_kept(tmp_path: Path) -> None:
    with DataFolder(tmp_path).lock() as folder, socket.create_server((ports.HOST, 0)) as taken:
        usual = taken.getsockname()[1]
        chosen = ports.choose(folder, "kafka", usual)
        assert chosen != usual
        taken.close()
        assert ports.choose(folder, "kafka", usual) == chosen


def test_two_listeners_of_one_folder_never_get_one_port(tmp_path: Path) -> None:
    usual = ports.any_free()
    with DataFolder(tmp_path).lock() as folder:
        assert ports.choose(folder, "kafka", usual) != ports.choose(folder, "clickhouse", usual)


def test_a_free_port_is_another_each_time_and_none_that_an_outgoing_connection_may_take() -> None:
    free = [ports.any_free() for _ in range(20)]
    assert len(set(free)) == 20
    with socket.create_server((ports.HOST, 0)) as server, socket.create_connection(server.getsockname()) as outgoing:
        assert max(free) < min(32_768, outgoing.getsockname()[1])


def test_servers_that_look_at_once_for_a_port_that_nobody_expects_get_two(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "1").lock() as one, DataFolder(tmp_path / "2").lock() as other:
        assert ports.choose(one, "kafka_controller", None) != ports.choose(other, "kafka_controller", None)


def test_a_wanted_port_that_is_taken_is_refused_in_words(tmp_path: Path) -> None:
    with DataFolder(tmp_path).lock() as folder, socket.create_server((ports.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"port {port} .* is taken by another process") as refused:
            ports.choose(folder, "kafka", 9092, wanted=port)
    assert refused.value.code == "port_taken"


@pytest.mark.parametrize("content", ["", "[]", '{"kafka": "x"}', '{"kafka": null}'])
def test_a_damaged_note_of_ports_is_written_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "ports.json").write_text(content)
    with DataFolder(tmp_path).lock() as folder:
        chosen = ports.choose(folder, "kafka", ports.any_free())
        assert ports.choose(folder, "kafka", 1) == chosen
