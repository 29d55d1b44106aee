"""Alerts from the console: found in both stores alike, decided on by people, and what they decided is read back."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from stepwatch.agents.settings import Settings
from stepwatch.notifiers.mutes import read_mute
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import format_time
from tests.cli.console import NOBODY, Finished, run
from tests.live.harness import environment, produce, read, until
from tests.live.road import Role, new_road, now_us, query
from tests.servers import ClickHouseSettings

pytestmark = pytest.mark.live


def alerts(settings: Settings, folder: Path, *words: str, **env: str) -> Finished:
    """`stepwatch alerts`, with these settings and no others."""
    said = {name: value for name, value in environment(settings).items() if name.startswith("STEPWATCH_")}
    return run(folder, "alerts", *words, **{**said, **env})


TENANT = f"alerts-{os.getpid()}"
"""The tables are shared with other tests, whose alerts must not stand beside ours."""


async def act(settings: Settings, subject: str, action_id: str) -> None:
    """A payout that nobody proved."""
    event = {
        "specversion": "1.0",
        "id": action_id,
        "source": "/app",
        "type": "stepwatch.action.performed",
        "time": format_time(now_us()),
        "subject": subject,
        "data": {
            "tenant": TENANT,
            "session": "s1",
            "action": "payments.payout.approve",
            "resource": {"type": "payout", "id": "po-1", "sensitivity": "critical"},
        },
    }
    key = subject_key(TENANT, subject)
    partition = partition_of(key, settings.partitions)
    await produce(settings, settings.topics.actions, partition, [(key, json.dumps(event).encode())])
    beat = {"id": action_id, "source": "/idp", "type": "stepwatch.heartbeat", "time": format_time(now_us())}
    for number in range(settings.partitions):
        await produce(settings, settings.topics.authentications, number, [(b"", json.dumps(beat).encode())])


async def until_alerted(settings: Settings, *subjects: str, count: int = 1) -> dict[str, str]:
    """Subject -> id of its alert, once each has one of so many actions."""

    async def alerted() -> dict[str, str] | None:
        rows = [json.loads(record.value) for record in await read(settings, settings.topics.alerts) if record.value]
        found = {row["subject"]: row["alert_id"] for row in rows if row["count"] >= count}
        return found if set(subjects) <= set(found) else None

    found: dict[str, str] = await until(alerted, words="the alerts")
    return found


def test_a_person_acknowledges_notes_and_resolves_with_kafka_alone(kafka: str, tmp_path: Path) -> None:
    async def begin() -> tuple[Settings, Role, dict[str, str]]:
        settings = await new_road(kafka, tmp_path, clickhouse_url=f"http://{NOBODY}")
        role = Role(settings, tmp_path / "log", "correlate")
        for subject in ("user-1", "user-2"):
            await act(settings, subject, f"po-of-{subject}")
        return settings, role, await until_alerted(settings, "user-1", "user-2")

    settings, role, ids = asyncio.run(begin())
    mine = ids["user-1"]

    listed = alerts(settings, tmp_path, "list", "--json", "--subject", "user-1")
    assert [row["alert_id"] for row in listed.rows] == [mine]
    assert "from Kafka's" in listed.err
    assert "no answer from ClickHouse" in listed.err

    said = alerts(settings, tmp_path, "ack", mine[:12], "--by", "rosa", "--note", "calling her", "--json")
    assert (said.status, said.rows[0]["state"]) == (0, "acknowledged"), said.err
    again = alerts(settings, tmp_path, "ack", mine, "--by", "bob")
    assert again.status == 1
    assert f"{mine}: it is acknowledged already" in again.err
    noted = alerts(settings, tmp_path, "note", mine, "she is on a train", "--by", "rosa")
    assert (noted.status, noted.err.splitlines()[-1]) == (0, f"{mine}: noted, by rosa")
    done = alerts(settings, tmp_path, "resolve", mine, "--note", "it was her")
    assert done.status == 0
    assert f"{mine}: resolved, by " in done.err

    shown = alerts(settings, tmp_path, "show", mine, "--json").rows[0]
    assert (shown["state"], shown["resolved_by"]) == ("resolved", "person")
    history = [(step["what"], step["result"].split()[-1], step["by"], step["note"]) for step in shown["history"]]
    assert [step for step in history if step[0] == "decision"][:2] == [
        ("decision", "acknowledge", "rosa", "calling her"),
        ("decision", "note", "rosa", "she is on a train"),
    ]
    assert [step[1] for step in history if step[0] == "change"] == ["open", "acknowledged", "person"]

    assert "resolved already by person" in alerts(settings, tmp_path, "resolve", mine).err
    muted = alerts(settings, tmp_path, "mute", ids["user-2"], "--until", "2h", "--reason", "load test", "--by", "rosa")
    assert muted.status == 0, muted.err
    (record,) = asyncio.run(read(settings, settings.topics.notifications))
    mute = read_mute(record.value)
    assert (mute.by, mute.reason, mute.match.subject) == ("rosa", "load test", ["user-2"])
    unknown = alerts(settings, tmp_path, "show", "al_ffff00000")
    assert (unknown.status, "no alert's id begins so" in unknown.err) == (2, True)
    keys = {record.key for record in asyncio.run(read(settings, settings.topics.responses))}
    assert keys == {subject_key(TENANT, "user-1")}
    assert role.stop() == 0


def test_a_decision_does_not_cover_what_joined_since_and_says_so(kafka: str, tmp_path: Path) -> None:
    async def begin() -> tuple[Settings, Role, str]:
        settings = await new_road(kafka, tmp_path, clickhouse_url=f"http://{NOBODY}")
        role = Role(settings, tmp_path / "log", "correlate")
        await act(settings, "user-1", "first")
        await until_alerted(settings, "user-1")
        await act(settings, "user-1", "second")
        return settings, role, (await until_alerted(settings, "user-1", count=2))["user-1"]

    settings, role, alert_id = asyncio.run(begin())
    said = alerts(settings, tmp_path, "resolve", alert_id, "--seen", "1", "--wait", "12", "--json")
    assert (said.status, said.rows[0]["state"]) == (1, "open")
    assert "since version 1, which you saw, something has joined it" in said.err
    too_new = alerts(settings, tmp_path, "resolve", alert_id, "--seen", "99")
    assert (too_new.status, "nobody has seen that one yet" in too_new.err) == (2, True)
    role.kill()
    waited = alerts(settings, tmp_path, "resolve", alert_id, "--wait", "1")
    assert waited.status == 1
    assert "Kafka has it, but no worker has read it within 1 s" in waited.err


async def stored(settings: Settings) -> bool:
    """Whether the tables have three alerts, one of them with a second version, and one decision."""
    wanted = f"SELECT count() FROM alert_history WHERE tenant = '{TENANT}' AND subject LIKE 'user-_'"
    try:
        return list(query(settings, wanted)[0].values()) == [5]
    except Exception:  # the store has not made the tables yet
        return False


def from_both(settings: Settings, folder: Path, *words: str) -> list[Any]:
    """What ClickHouse and Kafka both say."""
    by_clickhouse = alerts(settings, folder, *words, "--json")
    by_kafka = alerts(settings, folder, *words, "--json", STEPWATCH_CLICKHOUSE_URL=f"http://{NOBODY}")
    assert "from ClickHouse" in by_clickhouse.err
    assert "from Kafka" in by_kafka.err
    assert by_clickhouse.rows == by_kafka.rows
    return by_clickhouse.rows


def test_clickhouse_and_kafka_tell_the_same_alerts_and_the_same_history(
    kafka: str, clickhouse: ClickHouseSettings, tmp_path: Path
) -> None:
    async def begin() -> tuple[Settings, list[Role], dict[str, str]]:
        settings = await new_road(
            kafka,
            tmp_path,
            clickhouse_url=clickhouse.url,
            clickhouse_user=clickhouse.user,
            clickhouse_password=clickhouse.password,
            clickhouse_database=clickhouse.database,
            store_web_port=0,
        )
        roles = [Role(settings, tmp_path / role, role) for role in ("correlate", "store")]
        for subject in ("user-1", "user-2", "user-3"):
            await act(settings, subject, f"po-of-{subject}")
        return settings, roles, await until_alerted(settings, "user-1", "user-2", "user-3")

    settings, roles, ids = asyncio.run(begin())
    assert alerts(settings, tmp_path, "resolve", ids["user-2"], "--by", "rosa", "--note", "it was her").status == 0

    asyncio.run(until(lambda: stored(settings), words="the rows in ClickHouse"))

    def listed(*words: str) -> set[str]:
        return {row["subject"] for row in from_both(settings, tmp_path, "list", "--tenant", TENANT, *words)}

    assert listed() == {"user-1", "user-3"}
    assert listed("--state", "resolved", "--policy", "payout") == {"user-2"}
    every = ("--state", "all", "--severity", "critical", "--since", "1h", "--kind", "unverified_action")
    assert listed(*every) == {"user-1", "user-2", "user-3"}
    assert listed("--state", "all", "--severity", "low") == set()
    history = from_both(settings, tmp_path, "show", ids["user-2"])[0]["history"]
    assert [(step["what"], step["by"], step["note"]) for step in history if step["what"] == "decision"] == [
        ("decision", "rosa", "it was her")
    ]
    for role in roles:
        assert role.stop() == 0
