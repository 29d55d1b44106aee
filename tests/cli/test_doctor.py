"""`stepwatch doctor`: each thing that can be wrong has its line with what to do, and its exit status."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from stepwatch.agents.checkup import LOOK_S
from stepwatch.agents.clients import close_client, open_producer
from stepwatch.agents.settings import Settings
from stepwatch.agents.surroundings import ROLES
from stepwatch.embedded.ports import any_free
from tests.cli.console import NOBODY, Finished, on_terminal, run
from tests.live.harness import produce
from tests.live.road import Role, Town, new_road, now_us, play, until_judged
from tests.servers import ClickHouseSettings
from tests.shell.output_roles import send


def doctor(settings: Settings, folder: Path, *words: str, **env: str) -> Finished:
    """`stepwatch doctor`, against this Kafka and this ClickHouse."""
    return run(folder, "doctor", *words, timeout=120, **environment(settings), **env)


def environment(settings: Settings) -> dict[str, str]:
    password = settings.secret("clickhouse_password")
    return {
        "STEPWATCH_PREFIX": settings.prefix,
        "STEPWATCH_PARTITIONS": str(settings.partitions),
        "STEPWATCH_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "STEPWATCH_CLICKHOUSE_URL": settings.clickhouse_url,
        "STEPWATCH_CLICKHOUSE_USER": settings.clickhouse_user,
        "STEPWATCH_CLICKHOUSE_DATABASE": settings.clickhouse_database,
        **{port_of(role): str(settings.web_port(role) or 0) for role in ROLES},
        **({"STEPWATCH_CLICKHOUSE_PASSWORD": password} if password else {}),
    }


def port_of(role: str) -> str:
    """The variable that says on which port a role shows its page."""
    return "STEPWATCH_INGEST_PORT" if role == "ingest" else f"STEPWATCH_{role.upper()}_WEB_PORT"


def checks(said: Finished) -> dict[str, dict[str, Any]]:
    """The lines of `--json` by the name of the check; of two the one that is wrong."""
    found: dict[str, dict[str, Any]] = {}
    for row in said.rows:
        if found.get(row["check"], {}).get("ok", True):
            found[row["check"]] = row
    return found


def wrong(said: Finished) -> set[str]:
    """The names of the checks that found a problem."""
    return {row["check"] for row in said.rows if not row["ok"]}


def test_the_account_of_a_kafka_that_is_away_is_a_sentence_with_exit_status_three(tmp_path: Path) -> None:
    said = run(tmp_path, "doctor", "--account", "--bootstrap", NOBODY, STEPWATCH_START_TIMEOUT_MS="0")
    assert said.status == 3
    assert said.err.startswith(f"no answer from Kafka at {NOBODY}")


def test_where_kafka_is_away_all_else_is_looked_at_all_the_same(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2")
    secret.chmod(0o644)
    ports = {port_of(role): "1" for role in ROLES}
    said = run(
        tmp_path,
        *("doctor", "--json", "--bootstrap", NOBODY),
        STEPWATCH_START_TIMEOUT_MS="0",
        STEPWATCH_CLICKHOUSE_URL=f"http://{NOBODY}",
        STEPWATCH_KAFKA_SASL_PASSWORD_FILE=str(secret),
        STEPWATCH_DEADMAN_URL_FILE=str(tmp_path / "none"),
        STEPWATCH_NOTIFY_ROUTES=str(tmp_path / "none.yaml"),
        **ports,
    )
    assert said.status == 3
    pages = [f"{role} page" for role in ROLES]
    names = ["Kafka", "ClickHouse", *pages, "disk", "secrets", "secrets", "routes", "dead-man"]
    assert [row["check"] for row in said.rows] == names
    assert wrong(said) == {"Kafka", "ClickHouse", "secrets", "routes", "dead-man"}
    assert said.rows[0]["words"].startswith(f"no answer from Kafka at {NOBODY}")
    assert said.rows[0]["do"].startswith("start it, or set STEPWATCH_KAFKA_BOOTSTRAP")
    assert "hunter2" not in said.out + said.err


@pytest.mark.live
def test_a_system_that_is_well_has_only_good_lines(kafka: str, clickhouse: ClickHouseSettings, tmp_path: Path) -> None:
    async def begin() -> tuple[Settings, list[Role]]:
        settings = await new_road(
            kafka,
            tmp_path,
            clickhouse_url=clickhouse.url,
            clickhouse_user=clickhouse.user,
            clickhouse_password=clickhouse.password,
            clickhouse_database=clickhouse.database,
            correlate_web_port=any_free(),
            store_web_port=0,
            notify_web_port=0,
            ingest_port=any_free(),
        )
        roles = [Role(settings, tmp_path / role, role) for role in ROLES]
        await play(settings, Town(1, now_us()), 300)
        await until_judged(settings)
        return settings, roles

    settings, roles = asyncio.run(begin())
    said = until_well(lambda: doctor(settings, tmp_path, "--json"))
    assert [row for row in said.rows if not row["ok"]] == []
    groups = [role for role in ROLES if role != "ingest"]
    names = ["Kafka", "topics", "policies", *groups, "transactions", "clock", "bugs", "ClickHouse"]
    names += ["correlate page", "ingest page", "disk", "secrets", "routes", "dead-man"]
    assert [row["check"] for row in said.rows] == names
    # On a terminal: a line for each, and nothing that the terminal is too narrow for.
    lines = on_terminal(tmp_path, "doctor", **environment(settings)).splitlines()
    assert sum(line.startswith("\x1b[32mok") for line in lines) == len(names)
    for role in roles:
        assert role.stop() == 0


def until_well(look: Callable[[], Finished]) -> Finished:
    """What is said once all is well; roles note their places every few seconds."""
    for _ in range(12):
        said = look()
        if said.status == 0:
            break
    return said


@pytest.mark.live
def test_each_thing_that_is_wrong_has_its_line_and_what_to_do(kafka: str, tmp_path: Path) -> None:
    async def begin() -> Settings:
        settings = await new_road(kafka, tmp_path, clickhouse_url=f"http://{NOBODY}")
        await produce(settings, settings.topics.actions, 0, [(b"x", b"{")] * 7)
        return settings

    settings = asyncio.run(begin())
    said = doctor(settings, tmp_path, "--json")
    found = checks(said)
    assert wrong(said) == {"policies", "correlate", "ClickHouse"}
    assert said.status == 3, "a server is away"
    assert "no set is in force" in found["policies"]["words"]
    assert "stepwatch policy apply" in found["policies"]["do"]
    assert f"7 offsets behind, and has noted no progress for {LOOK_S:.0f} s" in found["correlate"]["words"]
    assert "stepwatch correlate" in found["correlate"]["do"]
    assert "no answer from ClickHouse" in found["ClickHouse"]["words"]
    assert "3 problems" in said.err


@pytest.mark.live
def test_a_topic_that_is_not_as_it_must_be_is_named_with_its_repair(kafka: str, tmp_path: Path) -> None:
    async def begin() -> Settings:
        settings = await new_road(kafka, tmp_path, clickhouse_url=f"http://{NOBODY}")
        admin = AIOKafkaAdminClient(**settings.kafka_client_options())
        await admin.start()
        try:
            await admin.delete_topics([settings.topics.evidence])
        finally:
            await admin.close()
        return settings

    settings = asyncio.run(begin())
    found = checks(doctor(settings, tmp_path, "--json"))
    assert found["topics"]["words"] == f"{settings.topics.evidence}: does not exist"
    assert found["topics"]["do"] == "run `stepwatch topics create`"


@pytest.mark.live
def test_a_transaction_that_hangs_is_named_with_its_coordinates(kafka: str, tmp_path: Path) -> None:
    async def story() -> tuple[Settings, Finished]:
        settings = await new_road(kafka, tmp_path, clickhouse_url=f"http://{NOBODY}")
        producer = await open_producer(
            settings, transactional_id=f"{settings.prefix}hanging", transaction_timeout_ms=120_000
        )
        try:
            await producer.begin_transaction()
            await (await producer.send(settings.topics.audit, b"{}", b"x", partition=1))
            said = await asyncio.to_thread(doctor, settings, tmp_path, "--json")
            await producer.abort_transaction()
        finally:
            await close_client(producer)
        return settings, said

    settings, said = asyncio.run(story())
    found = checks(said)
    assert f"{settings.topics.audit}-1@0" in found["transactions"]["words"]
    assert "stepwatch correlate" in found["transactions"]["do"]


@pytest.mark.live
def test_an_event_that_was_not_judged_is_a_problem_while_a_verdict_on_it_could_still_help(
    kafka: str, tmp_path: Path
) -> None:
    settings = asyncio.run(new_road(kafka, tmp_path, clickhouse_url=f"http://{NOBODY}"))

    def letter(time: str) -> Any:
        said = {"error": "bug", "field": "", "topic": settings.topics.actions, "partition": "0", "offset": "3"}
        headers = [(name, value.encode()) for name, value in {**said, "time": time, "detail": "KeyError: 'x'"}.items()]
        return (settings.topics.dead_letters, 1, b"x", json.dumps({}).encode(), headers)

    from stepwatch.schemas.times import DAY_US, format_time

    send(settings, [letter(format_time(now_us() - 2 * DAY_US))])
    assert "bugs" not in wrong(doctor(settings, tmp_path, "--json"))
    send(settings, [letter(format_time(now_us()))])
    found = checks(doctor(settings, tmp_path, "--json"))
    assert not found["bugs"]["ok"]
    assert "1 within 1 d were NOT judged, by a fault of ours: 1@2; 1 older" in found["bugs"]["words"]
    assert "stepwatch dead-letters show 1@2" in found["bugs"]["do"]


@pytest.mark.live
def test_the_account_of_a_topic_that_is_not_there_is_a_sentence(kafka: str, tmp_path: Path) -> None:
    said = run(tmp_path, "doctor", "--account", "--bootstrap", kafka, STEPWATCH_PREFIX="nobody.")
    assert said.status == 2
    assert "nobody.actions: does not exist" in said.err
