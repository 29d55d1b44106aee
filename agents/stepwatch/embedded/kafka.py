"""Apache Kafka itself, one KRaft node on loopback, started from its own jars."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from stepwatch.embedded import jars, ports
from stepwatch.embedded.children import Child, spawn, tail
from stepwatch.embedded.errors import EmbeddedError
from stepwatch.embedded.folder import DataFolder

USUAL_PORT = 9092
_START_S = 60.0
_STOP_S = 15.0
_PORT_TRIES = 3

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
# Below the working directory, so that no character of the folder's name needs escaping here.
log.dirs=data

# One node: everything that is usually replicated lies once.
num.partitions=4
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# A misspelt topic is an error, not a new topic.
auto.create.topics.enable=false
# Kafka's own default, said aloud. The topic of dead letters takes 64 KiB more, by its own setting; raising
# this for all topics would let in events whose dead letters no longer fit.
message.max.bytes=1048588

group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# After kill -9 the controller refuses the broker until its old session ends: 1.5 s instead of 9.
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
# The default buffer is a quarter of the heap that we give.
log.cleaner.dedupe.buffer.size=33554432
"""

_JAVA_FLAGS = (
    "-Xmx512m",
    "-Xms64m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)


class EmbeddedKafka:
    """One broker on the data folder's `kafka/`. `bootstrap` and `pid` are known after `start()`.

    Args:
        folder: owned by this process (`with folder.lock():`).
        port: this port and no other; None: the one of last time, 9092, or another free one.
        properties: server properties that replace the written ones or come on top, at each start anew. `{port}` and
            `{controller}` in a value stand for the two ports: further listeners are `listeners` with these two in it.
            The listener on `{port}` stays PLAINTEXT: `start()` asks there whether the broker answers.
        format_arguments: further words for `StorageTool format`, once, on a new folder: `("--add-scram", "...")`.
    """

    name = "kafka"

    def __init__(
        self,
        folder: DataFolder,
        *,
        port: int | None = None,
        properties: Mapping[str, str] | None = None,
        format_arguments: Sequence[str] = (),
    ) -> None:
        self._folder = folder
        self._wanted = port
        self._properties = dict(properties or {})
        self._format_arguments = list(format_arguments)
        self._port = 0
        self._child: Child | None = None
        self._classpath = ""

    def __repr__(self) -> str:
        return f"<EmbeddedKafka {self.bootstrap if self._child else 'not started'}>"

    @property
    def bootstrap(self) -> str:
        """`127.0.0.1:PORT`."""
        if not self._port:
            raise EmbeddedError("not_started", "Kafka has no address before start().")
        return f"{ports.HOST}:{self._port}"

    @property
    def pid(self) -> int:
        """Process id of the last start."""
        if self._child is None:
            raise EmbeddedError("not_started", "Kafka has no process before start().")
        return self._child.pid

    @property
    def log(self) -> Path:
        return self._folder.logs / "kafka.log"

    def ended(self) -> int | None:
        """Exit status of the last start, or None while it runs."""
        return self._child.ended() if self._child else None

    def start(self) -> None:
        """Start it and return when it answers; nothing happens if it runs already.

        Raises:
            EmbeddedError: Java or a jar cannot be had, the port is taken, or it does not come up.
        """
        if self._child is not None and self._child.ended() is None:
            return
        inherit = self._folder.inherited()
        home = self._folder.make("kafka")
        self._folder.make("logs")
        self._classpath = jars.classpath()
        for left in range(_PORT_TRIES - 1, -1, -1):
            config = self._configure(home)
            if not (home / "data" / "meta.properties").exists():
                self._format(home, config)
            # Native parts are unpacked here; a kill leaves them behind.
            shutil.rmtree(home / "tmp", ignore_errors=True)
            self._folder.make("kafka", "tmp")
            said_before = self.log.stat().st_size if self.log.exists() else 0
            self._child = spawn(
                [*self._java(home), "kafka.Kafka", str(config)], log=self.log, cwd=home, inherit=inherit
            )
            if self._answers_in_time():
                return
            said = self.log.read_bytes()[said_before:] if self.log.exists() else b""
            if left and b"Address already in use" in said:
                continue  # somebody took the port between our look and Kafka's
            raise self._failed(self._child)

    def stop(self) -> None:
        """Stop it cleanly; killed if that takes longer than 15 s."""
        if self._child is not None:
            self._child.stop(_STOP_S)

    def kill(self) -> None:
        """kill -9."""
        if self._child is not None:
            self._child.kill()

    def _configure(self, home: Path) -> Path:
        self._port = ports.choose(self._folder, "kafka", USUAL_PORT, wanted=self._wanted)
        controller = ports.choose(self._folder, "kafka_controller", None)
        config = home / "server.properties"
        config.write_text(_server_properties(self._properties, self._port, controller))
        return config

    def _java(self, home: Path) -> list[str]:
        return [
            str(jars.java()),
            *_JAVA_FLAGS,
            f"-Djava.io.tmpdir={home / 'tmp'}",
            "-cp",
            self._classpath,
        ]

    def _format(self, home: Path, config: Path) -> None:
        cluster = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "A", 1)
        done = subprocess.run(
            [
                *self._java(home),
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster,
                "-c",
                str(config),
                *self._format_arguments,
            ],
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_START_S,
            check=False,
        )
        if done.returncode != 0:
            raise EmbeddedError(
                "kafka_failed",
                f"Kafka's folder {home / 'data'} could not be made ready: "
                f"{(done.stderr or done.stdout).strip()[-500:] or f'status {done.returncode}'}",
            )

    def _answers_in_time(self) -> bool:
        assert self._child is not None
        deadline = time.monotonic() + _START_S
        while self._child.ended() is None and time.monotonic() < deadline:
            # Another broker may have taken the port between our look and Kafka's, and answers in its stead.
            if answers(ports.HOST, self._port) and _listens(self._child.pid, self._port):
                return True
            time.sleep(0.03)
        return False

    def _failed(self, child: Child) -> EmbeddedError:
        status = child.ended()
        what = f"did not answer in {_START_S:.0f} s" if status is None else f"ended with status {status}"
        child.kill()
        return EmbeddedError(
            "kafka_failed",
            f"Kafka {what}. Its last words, from {self.log}:\n{tail(self.log)}",
            retriable=status is None,
        )


def _server_properties(further: Mapping[str, str], port: int, controller: int) -> str:
    """The text of `server.properties`; of a key that is written twice Kafka takes the last."""
    lines = [f"{key}={value}" for key, value in further.items()]
    return (
        _PROPERTIES.format(port=port, controller=controller)
        + "\n".join(lines).replace("{port}", str(port)).replace("{controller}", str(controller))
        + "\n"
    )


def _listens(pid: int, port: int) -> bool:
    """Whether it is this process that listens on the port."""
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.NoSuchProcess:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in connections)


def answers(host: str, port: int, timeout_s: float = 5.0) -> bool:
    """Whether a Kafka broker answers there: it says which requests it knows only once it serves them."""
    client = b"stepwatch"
    request = struct.pack(">hhih", 18, 0, 1, len(client)) + client  # ApiVersions, version 0, correlation 1
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            head = b""
            while len(head) < 10:
                more = connection.recv(10 - len(head))
                if not more:
                    return False
                head += more
    except OSError:
        return False
    _, correlation, error = struct.unpack(">iih", head)
    return bool(correlation == 1 and error == 0)
