"""Real Kafka and real ClickHouse, started, used, killed and started again."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError, UnknownTopicOrPartitionError

from stepwatch.embedded import ports
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.http import ask
from stepwatch.embedded.kafka import EmbeddedKafka
from stepwatch.schemas.topics import DEAD_LETTER_BYTES_MAX
from tests.servers import ClickHouseServer, ClickHouseSettings, KafkaServer

pytestmark = pytest.mark.live


async def make_topic(bootstrap: str, name: str, config: dict[str, str] | None = None) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=config or {})])
    finally:
        await admin.close()


async def send(bootstrap: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=4_000_000) as producer:
        await producer.send_and_wait(topic, value, partition=0)


async def read(bootstrap: str, topic: str) -> bytes | None:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        value: bytes | None = (await asyncio.wait_for(consumer.getone(), 20)).value
        return value


async def round_trip(bootstrap: str, topic: str) -> bytes | None:
    await make_topic(bootstrap, topic)
    await send(bootstrap, topic, b"signed in")
    return await read(bootstrap, topic)


def connect(to: ClickHouseSettings, *, reader: bool = False) -> Any:
    return clickhouse_connect.get_client(
        host=to.host,
        port=to.port,
        username=to.reader_user if reader else to.user,
        password=to.reader_password if reader else to.password,
        database=to.database,
    )


def test_kafka_takes_a_record_and_gives_it_back(kafka: str) -> None:
    assert asyncio.run(round_trip(kafka, "there-and-back")) == b"signed in"


def test_kafka_keeps_records_over_a_kill_and_is_back_in_seconds(kafka_server: KafkaServer) -> None:
    asyncio.run(round_trip(kafka_server.bootstrap, "survivor"))
    before = kafka_server.bootstrap
    kafka_server.kill()
    started = time.monotonic()
    kafka_server.start()
    assert time.monotonic() - started < 20  # 9 s and more if the old broker's session were waited for, on top
    assert kafka_server.bootstrap == before
    assert asyncio.run(read(before, "survivor")) == b"signed in"


def test_kafka_makes_no_topic_by_itself(kafka: str) -> None:
    async def ask_twice() -> list[int]:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            return [(await admin.describe_topics(["misspelt"]))[0]["error_code"] for _ in range(2)]
        finally:
            await admin.close()

    assert asyncio.run(ask_twice()) == [UnknownTopicOrPartitionError.errno] * 2


def test_the_dead_letters_take_more_than_any_other_topic(kafka: str) -> None:
    larger = b"x" * (DEAD_LETTER_BYTES_MAX - 200)

    async def try_both() -> None:
        await make_topic(kafka, "input")
        await make_topic(kafka, "dead", {"max.message.bytes": str(DEAD_LETTER_BYTES_MAX)})
        await send(kafka, "dead", larger)
        with pytest.raises(MessageSizeTooLargeError):
            await send(kafka, "input", larger)

    asyncio.run(try_both())


def test_clickhouse_takes_a_row_and_gives_it_back(clickhouse: ClickHouseSettings) -> None:
    with connect(clickhouse) as client:
        client.command("CREATE TABLE there (id UInt64, at DateTime64(6)) ENGINE = ReplacingMergeTree ORDER BY id")
        client.command("CREATE VIEW back AS SELECT id FROM there FINAL")
        client.raw_insert("there", insert_block=b'{"id": 7, "at": "2026-11-24T09:15:02.120Z"}', fmt="JSONEachRow")
        assert client.query("SELECT id FROM back").result_rows == [(7,)]
    with connect(clickhouse, reader=True) as client:
        assert client.query("SELECT id FROM back").result_rows == [(7,)]


def test_clickhouse_keeps_rows_over_a_kill(clickhouse_server: ClickHouseServer, clickhouse: ClickHouseSettings) -> None:
    with connect(clickhouse) as client:
        client.command("CREATE TABLE survivor (id UInt64) ENGINE = MergeTree ORDER BY id")
        client.command("INSERT INTO survivor SELECT number FROM numbers(1000)")
    clickhouse_server.kill()
    clickhouse_server.start()
    assert clickhouse_server.url == clickhouse.url
    with connect(clickhouse) as client:
        assert client.query("SELECT count() FROM survivor").result_rows == [(1000,)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id UInt64) ENGINE = MergeTree ORDER BY id",
        "DROP DATABASE stepwatch",
        "SELECT * FROM system.processes",
        "SELECT count() FROM url('http://127.0.0.1:1/', 'RawBLOB')",
        "SELECT count() FROM file('passwords.json', 'RawBLOB')",
        "SELECT 1 SETTINGS max_memory_usage = 0",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SELECT 1 SETTINGS max_result_rows = 0",
        "SELECT 1 SETTINGS readonly = 0",
    ],
)
def test_a_reader_only_reads(clickhouse: ClickHouseSettings, statement: str) -> None:
    answer = ask(clickhouse.port, statement, (clickhouse.reader_user, clickhouse.reader_password), host=clickhouse.host)
    assert answer.status != 200, answer.text
    assert answer.code != 0, answer.text


@pytest.mark.parametrize("login", [("default", ""), ("default", "x"), ("", ""), ("stepwatch", ""), ("analyst", "")])
def test_nobody_enters_without_a_password(clickhouse: ClickHouseSettings, login: tuple[str, str]) -> None:
    assert ask(clickhouse.port, "SELECT 1", login, host=clickhouse.host).status in {401, 403, 500, 503}


def test_the_passwords_are_readable_by_their_owner_only(
    clickhouse: ClickHouseSettings, data_folder: DataFolder
) -> None:
    for name in ("passwords.json", "users.xml", "config.xml"):
        assert (data_folder.path / "clickhouse" / name).stat().st_mode & 0o777 == 0o600
    assert clickhouse.password not in (data_folder.path / "clickhouse" / "users.xml").read_text()


def test_a_start_whose_port_another_broker_took_meanwhile_does_not_take_its_answer_for_its_own(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, real = int(kafka.split(":")[1]), ports.choose
    looks: list[str] = []

    def choose(folder: DataFolder, name: str, usual: int, *, wanted: int | None = None) -> int:
        looks.append(name)
        # At the first look the port was still free: the other broker came between the look and Kafka's own.
        return taken if looks.count("kafka") == 1 and name == "kafka" else real(folder, name, usual, wanted=wanted)

    monkeypatch.setattr(ports, "choose", choose)
    folder = DataFolder(tmp_path / "data")
    with folder.lock():
        server = EmbeddedKafka(folder)
        try:
            server.start()
            assert server.bootstrap != kafka
            assert asyncio.run(round_trip(server.bootstrap, "mine")) == b"signed in"
        finally:
            server.stop()
