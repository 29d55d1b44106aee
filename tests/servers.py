"""Real servers for the tests: the embedded ones, or containers with `STEPWATCH_TEST_DOCKER=1`.

Fixtures, one pair of servers for the whole session:
    kafka               the bootstrap address, a string
    clickhouse          how to connect, a ClickHouseSettings; the database is there and empty
    kafka_server, clickhouse_server
                        the servers: `kill()` is kill -9, `stop()` a clean stop, `start()` starts again on the
                        same data and address. A test that ends one must start it again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import pytest

from stepwatch.embedded import ports
from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.http import ask
from stepwatch.embedded.kafka import EmbeddedKafka, answers

__all__ = ["clickhouse", "clickhouse_server", "data_folder", "kafka", "kafka_server"]

KAFKA_IMAGE = "apache/kafka:4.3.1"
CLICKHOUSE_IMAGE = "clickhouse/clickhouse-server:26.9"
_START_S = 120.0
S = TypeVar("S", bound="Server")


class Server(Protocol):
    """What a test may do to a server."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


class KafkaServer(Server, Protocol):
    @property
    def bootstrap(self) -> str: ...


class ClickHouseServer(Server, Protocol):
    user: str
    reader_user: str
    database: str

    @property
    def url(self) -> str: ...
    @property
    def password(self) -> str: ...
    @property
    def reader_password(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ClickHouseSettings:
    """How to connect: `user` may do everything with the database, `reader_user` only read it."""

    url: str
    host: str
    port: int
    user: str
    password: str
    reader_user: str
    reader_password: str
    database: str


def settings_of(server: ClickHouseServer) -> ClickHouseSettings:
    """The settings of a started server."""
    at = urlsplit(server.url)
    assert at.hostname is not None
    assert at.port is not None
    return ClickHouseSettings(
        url=server.url,
        host=at.hostname,
        port=at.port,
        user=server.user,
        password=server.password,
        reader_user=server.reader_user,
        reader_password=server.reader_password,
        database=server.database,
    )


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    """The folder of the session's embedded servers, owned by this process."""
    folder = DataFolder(tmp_path_factory.mktemp("servers"))
    with folder.lock():
        yield folder


@pytest.fixture(scope="session")
def kafka_server(request: pytest.FixtureRequest) -> Iterator[KafkaServer]:
    server: KafkaServer
    if _docker():
        server = KafkaInDocker()
    else:
        # A port of its own: tests of another checkout may run at the same time.
        server = EmbeddedKafka(request.getfixturevalue("data_folder"), port=ports.any_free())
    yield from _running(server)


@pytest.fixture(scope="session")
def clickhouse_server(request: pytest.FixtureRequest) -> Iterator[ClickHouseServer]:
    server: ClickHouseServer
    if _docker():
        server = ClickHouseInDocker()
    else:
        server = EmbeddedClickHouse(request.getfixturevalue("data_folder"), port=ports.any_free())
    yield from _running(server)


@pytest.fixture(scope="session")
def kafka(kafka_server: KafkaServer) -> str:
    return kafka_server.bootstrap


@pytest.fixture(scope="session")
def clickhouse(clickhouse_server: ClickHouseServer) -> ClickHouseSettings:
    return settings_of(clickhouse_server)


def _running(server: S) -> Iterator[S]:
    server.start()
    try:
        yield server
    finally:
        if isinstance(server, _InDocker):
            server.container.stop()
        else:
            server.kill()


def _docker() -> bool:
    if os.environ.get("STEPWATCH_TEST_DOCKER") != "1":
        return False
    from testcontainers.core.docker_client import DockerClient

    try:
        DockerClient().client.ping()
    except Exception as error:
        pytest.fail(f"STEPWATCH_TEST_DOCKER=1, but Docker does not answer: {error}", pytrace=False)
    return True


class _InDocker:
    """One container that keeps its address and its files over kill and start."""

    def __init__(self, image: str, inside: int) -> None:
        from testcontainers.core.container import DockerContainer

        # A fixed port: a mapped one changes when the container starts again.
        self.port = ports.any_free()
        self.container = DockerContainer(image).with_bind_ports(inside, self.port)
        self._made = False

    @property
    def host(self) -> str:
        return str(self.container.get_container_host_ip())

    def start(self) -> None:
        if self._made:
            self.container.get_wrapped_container().start()
        else:
            self.container.start()
            self._made = True
        deadline = time.monotonic() + _START_S
        while not self.answers():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.container.image} did not answer: {self.container.get_logs()}")
            time.sleep(0.1)

    def stop(self) -> None:
        self.container.get_wrapped_container().stop()

    def kill(self) -> None:
        wrapped = self.container.get_wrapped_container()
        wrapped.reload()
        if wrapped.status == "running":
            wrapped.kill()

    def answers(self) -> bool:
        raise NotImplementedError


class KafkaInDocker(_InDocker):
    """Apache Kafka's own image with the settings of the embedded broker."""

    def __init__(self) -> None:
        super().__init__(KAFKA_IMAGE, 9092)
        host = os.environ.get("TESTCONTAINERS_HOST_OVERRIDE", ports.HOST)
        self.container.with_envs(
            KAFKA_NODE_ID="1",
            KAFKA_PROCESS_ROLES="broker,controller",
            KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093",
            KAFKA_LISTENERS="CLIENT://0.0.0.0:9092,INSIDE://localhost:9094,CONTROLLER://localhost:9093",
            KAFKA_ADVERTISED_LISTENERS=f"CLIENT://{host}:{self.port},INSIDE://localhost:9094",
            KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="CLIENT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
            KAFKA_INTER_BROKER_LISTENER_NAME="INSIDE",
            KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
            KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
            KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS="4",
            KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
            KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
            KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS="4",
            KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR="1",
            KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR="1",
            KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
            KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
            KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS="1000",
            KAFKA_BROKER_SESSION_TIMEOUT_MS="1500",
            KAFKA_BROKER_HEARTBEAT_INTERVAL_MS="300",
        )

    @property
    def bootstrap(self) -> str:
        return f"{self.host}:{self.port}"

    def answers(self) -> bool:
        return answers(self.host, self.port)


class ClickHouseInDocker(_InDocker):
    """ClickHouse's own image, with the embedded server's two users."""

    user = EmbeddedClickHouse.user
    reader_user = EmbeddedClickHouse.reader_user
    database = EmbeddedClickHouse.database
    password = "owner-in-a-test"
    reader_password = "reader-in-a-test"

    def __init__(self) -> None:
        super().__init__(CLICKHOUSE_IMAGE, 8123)
        self.container.with_envs(
            CLICKHOUSE_USER=self.user,
            CLICKHOUSE_PASSWORD=self.password,
            CLICKHOUSE_DB=self.database,
            CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT="1",
        )

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        super().start()
        for statement in (
            f"CREATE USER IF NOT EXISTS {self.reader_user} IDENTIFIED BY '{self.reader_password}' "
            "SETTINGS readonly = 2",
            f"GRANT SELECT ON {self.database}.* TO {self.reader_user}",
        ):
            answer = ask(self.port, statement, (self.user, self.password), host=self.host)
            assert answer.status == 200, answer.text

    def answers(self) -> bool:
        return ask(self.port, "SELECT 1", (self.user, self.password), host=self.host).text == "1\n"
