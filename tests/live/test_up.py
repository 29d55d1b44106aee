"""`stepwatch up`, and the commands that talk to what it runs: one stack, used as a person would."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from stepwatch.agents.settings import Settings
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.running import running
from stepwatch.schemas.keys import partition_of
from tests.cli.console import COMMAND, Finished, environment, run, write_events
from tests.live.harness import read

pytestmark = pytest.mark.live
T = TypeVar("T")

PARTITIONS = 2
POLICY = """\
version: 1
defaults: {grace: 1s}
identities: [{subject: alice, aliases: ["alice@corp.example"]}]
policies:
  - id: payout
    match: {action: ["payments.payout.*"]}
    require: {amr_any: [hwk]}
"""


class Up:
    """A running `stepwatch up` on a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out, self.err = folder / "up.out", folder / "up.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*COMMAND, "up", "--data", "data", "--policies", "policies"],
                cwd=folder,
                env=self.env(),
                stdout=out,
                stderr=err,
            )
        until(lambda: "Ctrl-C" in self.out.read_text() or self.process.poll() is not None, "up")
        assert self.process.poll() is None, self.err.read_text()

    def env(self) -> dict[str, str]:
        return environment(self.folder, STEPWATCH_PARTITIONS=str(PARTITIONS))

    def run(self, *args: str, **env: str) -> Finished:
        """A command beside it."""
        return run(self.folder, *args, **{"STEPWATCH_PARTITIONS": str(PARTITIONS), **env})

    def sql(self, query: str) -> list[dict[str, Any]]:
        done = self.run("sql", "--data", "data", "--json", query)
        assert done.status == 0, done.err
        return done.rows

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


def until(what: Callable[[], T], words: str, seconds: float = 60) -> T:
    give_up = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < give_up, f"{words} did not come true in {seconds} s"
        time.sleep(0.2)
    return value


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    (folder / "policies").mkdir()
    (folder / "policies" / "one.yaml").write_text(POLICY)
    stack = Up(folder)
    try:
        yield stack
    finally:
        if stack.process.poll() is None:
            stack.stop(signal.SIGTERM)
            stack.process.kill()


def event(kind: str, id: str, *, ago_s: float = 1.0, subject: str = "alice", **data: Any) -> dict[str, Any]:
    """One event that happened so many seconds ago."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": "/app",
        "type": f"stepwatch.{kind}",
        "time": (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat(),
        "subject": subject,
        "data": {"session": "s1", **data},
    }


def payout(id: str, **more: Any) -> dict[str, Any]:
    return event("action.performed", id, action="payments.payout.approve", **more)


def verdicts(up: Up, *ids: str) -> dict[str, str]:
    listed = ", ".join(f"'{id}'" for id in ids)
    rows = up.sql(f"select action_id, subject, verdict, reason from audit_current where action_id in ({listed})")
    return {row["action_id"]: f"{row['subject']} {row['verdict']} {row['reason']}" for row in rows}


def test_up_says_where_everything_is_and_what_to_type_next(up: Up) -> None:
    said = up.out.read_text()
    found = running(DataFolder(up.folder / "data"))
    for words in (found.bootstrap, found.url, "/readyz", "published 1 set", "stepwatch sql --data data", "Ctrl-C"):
        assert words in said
    (link,) = re.findall(r"http://127\.0\.0\.1:\d+/sign-in\?token=[\w-]+", said)
    with urllib.request.urlopen(link, timeout=10) as page:
        assert b"Sign in" in page.read()
    assert up.err.read_text() == "starting Kafka, ClickHouse and the roles ...\n"


def test_what_is_sent_is_judged_stored_and_told(up: Up) -> None:
    file = write_events(
        up.folder / "sent.jsonl",
        event("stepup.verified", "v-1", ago_s=5, subject="alice@corp.example", amr=["hwk"]),
        payout("a-1"),
        payout("a-2", subject="mallory"),
        payout("a-3", subject="mallory", ago_s=3 * 86_400),
    )
    done = up.run("send", "--data", "data", str(file))
    assert (done.status, done.out.split(" to ")[0]) == (0, "sent 3 actions, 1 authentication event")
    assert "1 action happened longer ago than `accept_late`" in done.err
    expected = {
        "a-1": "alice verified step_up",
        "a-2": "mallory unverified no_step_up",
        "a-3": "mallory blind too_late",
    }
    until(lambda: verdicts(up, *expected) == expected, "the verdicts")
    until(lambda: "mallory: payments.payout.approve: not verified" in up.out.read_text(), "the alert on the screen")
    # Sent again, nothing changes: an event counts once.
    assert up.run("send", "--data", "data", str(file)).status == 0
    assert verdicts(up, *expected) == expected
    assert up.sql("select count() as n from audit where action_id = 'a-1'") == [{"n": 1}]


def test_a_line_that_is_no_event_is_named_and_the_others_are_sent(up: Up) -> None:
    file = write_events(
        up.folder / "mixed.jsonl",
        payout("b-1"),
        "",
        "{not json",
        event("action.performed", "b-2", action=12),
        event("thing.new", "b-3"),
        payout("b-4"),
    )
    done = up.run("send", "--data", "data", str(file))
    assert (done.status, done.out.split(" to ")[0]) == (1, "sent 2 actions, 0 authentication events")
    lines = done.err.splitlines()
    assert lines[0].startswith("line 3: json: ")
    assert lines[1].startswith("line 4: data.action: ")
    assert lines[1].endswith("(id b-2)")
    assert "of a type that only a newer Stepwatch knows" in done.err
    assert "2 lines rejected" in lines[-1]
    until(lambda: set(verdicts(up, "b-1", "b-2", "b-4")) == {"b-1", "b-4"}, "the others")


def test_records_are_keyed_by_canonical_subject_and_heartbeats_go_everywhere(up: Up) -> None:
    file = write_events(
        up.folder / "keys.jsonl",
        payout("k-1", subject="alice@corp.example"),
        payout("k-2", subject="józef"),
        event("heartbeat", "k-3"),
    )
    bootstrap = running(DataFolder(up.folder / "data")).bootstrap
    # By address, as for any other Kafka.
    assert up.run("send", "--bootstrap", bootstrap, str(file)).status == 0
    settings = Settings(kafka_bootstrap=bootstrap, partitions=PARTITIONS)
    topics = settings.topics
    records = asyncio.run(read(settings, topics.actions))
    by_id = {json.loads(r.value)["id"]: (r.key.decode(), r.partition) for r in records}
    for id, key in (("k-1", "default/alice"), ("k-2", "default/józef")):
        assert by_id[id] == (key, partition_of(key.encode(), PARTITIONS))
    beats = [r for r in asyncio.run(read(settings, topics.authentications)) if json.loads(r.value)["id"] == "k-3"]
    assert sorted(record.partition for record in beats) == list(range(PARTITIONS))
    assert all(json.loads(r.value) == json.loads(file.read_text().splitlines()[2]) for r in beats)


def test_the_tables_can_be_asked_and_not_changed(up: Up) -> None:
    table = up.run("sql", "--data", "data", "select 1 as one, 'x' as text")
    assert (table.status, table.out, table.err) == (0, "one  text\n  1  x\n", "1 row\n")
    assert up.run("sql", "--data", "data", "select 1, 'a,b' format CSV;").out == '1,"a,b"\n'
    hostile = up.run("sql", "--data", "data", "select '\\x1b[2J' as x")
    assert hostile.out == "x\n\\x1b[2J\n"
    for query in ("drop table audit", "insert into audit (tenant) values ('x')", "selec 1", "select * from nowhere"):
        done = up.run("sql", "--data", "data", query)
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith("ClickHouse refuses the query")


def test_policies_are_published_once_and_topics_are_as_they_must_be(up: Up) -> None:
    again = up.run("policy", "apply", "--data", "data", "policies")
    assert (again.status, again.out) == (0, "")
    assert "the latest one already" in again.err
    assert up.run("topics", "check", "--data", "data").out.startswith("ok: 10 topics at ")
    wrong = up.run("topics", "check", "--data", "data", STEPWATCH_PARTITIONS="8")
    assert wrong.status == 1
    assert "has 2 partitions, must have 8: set STEPWATCH_PARTITIONS=2" in wrong.out
    other = {"STEPWATCH_PREFIX": "other."}
    assert up.run("topics", "check", "--data", "data", **other).status == 1
    assert "run `stepwatch topics create`" in up.run("send", "--data", "data", "sent.jsonl", **other).err
    assert up.run("topics", "create", "--data", "data", **other).status == 0
    assert "nothing to do" in up.run("topics", "create", "--data", "data", **other).out


def test_a_second_start_on_the_same_folder_says_who_has_it(up: Up) -> None:
    done = up.run("up", "--data", "data")
    assert done.status == 3
    assert f"is in use by process {up.process.pid}" in done.err


def test_a_role_that_dies_is_started_again(up: Up) -> None:
    before = until(lambda: _role(up, "store"), "the role")
    os.kill(before, signal.SIGKILL)
    until(lambda: "store runs again" in up.err.read_text(), "the restart")
    assert "store was ended by SIGKILL; starts again in 0.5 s" in up.err.read_text()
    file = write_events(up.folder / "after.jsonl", payout("d-1"))
    assert up.run("send", "--data", "data", str(file)).status == 0
    until(lambda: verdicts(up, "d-1"), "the verdict after the restart")


def test_ctrl_c_stops_all_and_a_new_start_has_the_data(up: Up) -> None:
    before = up.sql("select count() as n from audit_current")
    assert up.stop(signal.SIGINT) == 130
    assert "stopped; the data stays in" in up.err.read_text()
    assert not DataFolder(up.folder / "data").is_owned()
    again = Up(up.folder)
    try:
        assert again.sql("select count() as n from audit_current") == before
        assert "the sets that were applied before" in again.out.read_text()
    finally:
        assert again.stop(signal.SIGTERM) == 0


def _role(up: Up, role: str) -> int:
    """The process id of a role, by the tree below `up`."""
    import psutil

    for process in psutil.Process(up.process.pid).children(recursive=True):
        if process.cmdline()[-1:] == [role]:
            return process.pid
    return 0
