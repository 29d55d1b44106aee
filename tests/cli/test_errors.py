"""Every error a sentence that says what to do, with the exit status of STYLE section 3 and no traceback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.console import NOBODY, payout, run, write_events

KAFKA = {"STEPWATCH_KAFKA_BOOTSTRAP": NOBODY, "STEPWATCH_START_TIMEOUT_MS": "200"}
NO_KAFKA = f"no answer from Kafka at {NOBODY}"
TABLE: dict[str, tuple[list[str], dict[str, str], int, str]] = {
    "send without Kafka": (["send", "events.jsonl"], KAFKA, 3, NO_KAFKA),
    "send to another Kafka": (
        ["send", "--bootstrap", NOBODY, "events.jsonl"],
        {"STEPWATCH_START_TIMEOUT_MS": "200"},
        3,
        NO_KAFKA,
    ),
    "topics check without Kafka": (["topics", "check"], KAFKA, 3, NO_KAFKA),
    "topics create without Kafka": (["topics", "create"], KAFKA, 3, NO_KAFKA),
    "policy apply without Kafka": (["policy", "apply", "policy.yaml"], KAFKA, 3, NO_KAFKA),
    "sql without ClickHouse": (
        ["sql", "select 1"],
        {"STEPWATCH_CLICKHOUSE_URL": f"http://{NOBODY}"},
        3,
        f"no answer from ClickHouse at http://{NOBODY}",
    ),
    "sql at no address": (["sql", "select 1"], {"STEPWATCH_CLICKHOUSE_URL": "clickhouse"}, 2, "expected http://"),
    "sql without a query": (["sql", " ; "], {}, 2, "no query"),
    "nothing runs there": (["sql", "--data", "none", "select 1"], {}, 3, "stepwatch up --data"),
    "a setting of another type": (["topics", "check"], {"STEPWATCH_PARTITIONS": "four"}, 2, "STEPWATCH_PARTITIONS: "),
    "settings that contradict": (
        ["topics", "check"],
        {"STEPWATCH_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"},
        2,
        "STEPWATCH_KAFKA_SASL_USERNAME is needed",
    ),
    "up without policies in the folder": (["up", "--policies", "none"], {}, 2, "none holds no policy file"),
    "up in no folder": (["up", "--data", "policy.yaml/x"], {}, 3, "cannot be made"),
    "an unknown command": (["gess"], {}, 2, "No such command"),
}


@pytest.mark.parametrize(("args", "env", "status", "words"), TABLE.values(), ids=TABLE)
def test_an_error_is_a_sentence_with_the_right_status(
    tmp_path: Path, args: list[str], env: dict[str, str], status: int, words: str
) -> None:
    write_events(tmp_path / "events.jsonl", payout("a-1", "10:00:00"))
    (tmp_path / "policy.yaml").write_text("version: 1\npolicies: []\n")
    done = run(tmp_path, *args, **env)
    assert (done.status, done.out) == (status, "")
    assert words in done.err
    assert "Traceback" not in done.err


def test_a_password_that_is_no_setting_is_not_repeated(tmp_path: Path) -> None:
    done = run(tmp_path, "topics", "check", STEPWATCH_PARTITIONS="x", STEPWATCH_KAFKA_SASL_PASSWORD="hush")
    assert "hush" not in done.err + done.out


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


@pytest.mark.parametrize("role", ["correlate", "store", "notify"])
def test_a_role_whose_port_is_taken_says_which_setting_to_change(tmp_path: Path, role: str, taken: int) -> None:
    name = f"STEPWATCH_{role.upper()}_WEB_PORT"
    done = run(tmp_path, role, **KAFKA, **{name: str(taken)})
    assert done.status == 2
    assert f"set {name} to a free port" in done.err
    assert "Traceback" not in done.err


def test_a_role_without_kafka_ends_with_three(tmp_path: Path) -> None:
    done = run(tmp_path, "notify", **KAFKA, STEPWATCH_NOTIFY_WEB_PORT="0")
    assert done.status == 3
    assert NO_KAFKA in done.err


def test_an_error_that_nobody_foresaw_is_a_sentence_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stepwatch.cli.errors import exit_of

    assert exit_of(RuntimeError("?")) is None
    assert exit_of(ModuleNotFoundError("No module", name="chdb.dbapi")) == (
        2,
        "the package chdb is not installed; this command needs it: pip install 'stepwatch[embedded]'",
    )
    assert exit_of(FileNotFoundError(2, "No such file", "x.pem")) == (2, "x.pem: No such file")
