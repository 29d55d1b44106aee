"""Producers that are not ours: librdkafka, Kafka's own client in Java, kafkajs; each with its own partitioner."""

from __future__ import annotations

import os
import shutil
import subprocess
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Producer

from stepwatch.embedded import jars
from stepwatch.schemas.keys import partition_of

FOREIGN = Path(__file__).with_name("foreign")
KAFKAJS = "kafkajs@2.2.4"
Partitioner = Callable[[bytes, int], int]


class Sent(NamedTuple):
    """One record as a producer is given it."""

    topic: str
    key: str
    value: str


class Client(NamedTuple):
    """A producer, and the partition that it puts a key into."""

    send: Callable[[str, list[Sent], Path], None]
    partitioner: Partitioner


def by_crc32(key: bytes, partitions: int) -> int:
    """librdkafka's `consistent_random`, of a key."""
    return zlib.crc32(key) % partitions


def send_by_librdkafka(bootstrap: str, records: list[Sent], tmp: Path, **options: str) -> None:
    """Send with nothing set but the address and these options."""
    failed: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap, **options})
    for record in records:
        producer.produce(record.topic, record.value, record.key, on_delivery=lambda error, _: failed.append(error))
    assert producer.flush(30) == 0
    assert set(failed) == {None}


def send_by_librdkafka_as_java(bootstrap: str, records: list[Sent], tmp: Path) -> None:
    """The same, with the partitioner that schemas/README.md names."""
    send_by_librdkafka(bootstrap, records, tmp, partitioner="murmur2_random")


def send_by_java(bootstrap: str, records: list[Sent], tmp: Path) -> None:
    """Kafka's own client, of the jars of the embedded broker; skips where nothing can compile its ten lines."""
    java = shutil.which("java")
    if java is None or shutil.which("javac") is None:
        pytest.skip("no JDK here: a Java runtime alone does not run a source file")
    _run([java, "-cp", jars.classpath(), str(FOREIGN / "Producer.java"), bootstrap], records)


def send_by_node(bootstrap: str, records: list[Sent], tmp: Path) -> None:
    """kafkajs, fetched by npm; skips where there is no Node, or where the index has no answer."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no Node here: it needs node and npm")
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(tmp), KAFKAJS]
    done = subprocess.run(install, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        pytest.skip(f"{KAFKAJS} cannot be had from the package index: {done.stderr[-300:]}")
    quiet = {"NODE_PATH": str(tmp / "node_modules"), "KAFKAJS_NO_PARTITIONER_WARNING": "1"}
    _run([node, str(FOREIGN / "producer.js"), bootstrap], records, quiet)


def _run(command: list[str], records: list[Sent], env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        input="".join("\t".join(record) + "\n" for record in records),
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


CLIENTS = {
    "librdkafka": Client(send_by_librdkafka, by_crc32),
    "librdkafka-murmur2": Client(send_by_librdkafka_as_java, partition_of),
    "java": Client(send_by_java, partition_of),
    "node": Client(send_by_node, partition_of),
}
