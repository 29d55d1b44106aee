"""What every measurement stands on: servers in a folder that is gone afterwards, and the machine in words."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stepwatch.embedded import ports
from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.jars import KAFKA_VERSION
from stepwatch.embedded.kafka import EmbeddedKafka


@dataclass(frozen=True, slots=True)
class Ground:
    """Running servers, and a folder for logs, policies and files.

    Attributes:
        clickhouse: None where it was not asked for.
    """

    folder: Path
    kafka: EmbeddedKafka
    clickhouse: EmbeddedClickHouse | None


@contextmanager
def servers(
    inside: Path | None = None, *, clickhouse: bool = False, properties: Mapping[str, str] | None = None
) -> Iterator[Ground]:
    """Start Kafka, and ClickHouse where asked, on free ports; both are dead and their data gone afterwards.

    Args:
        inside: the folder in which theirs is made; None: the system's for temporary files.
        clickhouse: whether to start that one too.
        properties: of the broker, beside those of the product.
    """
    # Of topics that are a moment old its clients complain until every broker thread knows them.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="stepwatch-bench-", dir=inside, ignore_cleanup_errors=True) as name:
        data = DataFolder(Path(name) / "servers")
        with data.lock():
            kafka = EmbeddedKafka(data, port=ports.any_free(), properties=properties)
            tables = EmbeddedClickHouse(data, port=ports.any_free()) if clickhouse else None
            say("starting Kafka" + (" and ClickHouse" if clickhouse else ""))
            try:
                kafka.start()
                if tables is not None:
                    tables.start()
                yield Ground(Path(name), kafka, tables)
            finally:
                kafka.kill()
                if tables is not None:
                    tables.kill()


def say(words: str) -> None:
    """Tell whoever waits what is going on: to standard error, the table goes to standard output."""
    print(words, file=sys.stderr, flush=True)


def heading() -> str:
    """When, where, with what and by which command: what a figure is worth nothing without."""
    command = f"python -m {_module()} {' '.join(sys.argv[1:])}".rstrip()
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {machine()}\n{versions()}\ncommand: `{command}`"


def machine() -> str:
    """The machine in words, and how busy it is."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return f"{cores} cores shared with the servers, {_processor()}, {platform.system()} {platform.machine()}{load}"


def versions() -> str:
    """Versions of what the figures depend on."""
    named = ("stepwatch", "aiokafka", "msgspec", "faust-streaming", "clickhouse-connect")
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in named)
    native = "with" if importlib.util.find_spec("stepwatch.streams._native") else "without"
    return f"Python {platform.python_version()}, {packages}, Kafka {KAFKA_VERSION}; {native} the native core"


def _module() -> str:
    main = sys.modules["__main__"].__spec__
    return "tests.bench" if main is None else main.name.removesuffix(".__main__")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"
