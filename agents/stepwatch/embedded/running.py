"""The addresses and passwords of servers that another process runs, for commands beside `stepwatch up`."""

from __future__ import annotations

from dataclasses import dataclass

from stepwatch.embedded import clickhouse_files, ports
from stepwatch.embedded.errors import EmbeddedError
from stepwatch.embedded.folder import DataFolder


@dataclass(frozen=True, slots=True)
class Running:
    """Where the servers of a data folder answer, and who may enter."""

    bootstrap: str
    url: str
    user: str
    password: str
    reader_user: str
    reader_password: str
    database: str


def running(folder: DataFolder) -> Running:
    """What runs on a data folder, whoever owns it.

    Raises:
        EmbeddedError: nothing runs there.
    """
    chosen = ports.chosen(folder)
    if not folder.is_owned() or not {"kafka", "clickhouse"} <= set(chosen):
        raise EmbeddedError(
            "not_running",
            f"nothing runs on {folder.path}: start it with `stepwatch up --data {folder.path}`, "
            "or say where your own Kafka and ClickHouse are.",
            retriable=True,
        )
    known = clickhouse_files.passwords(folder.path / "clickhouse")
    return Running(
        bootstrap=f"{ports.HOST}:{chosen['kafka']}",
        url=f"http://{ports.HOST}:{chosen['clickhouse']}",
        user=clickhouse_files.OWNER,
        password=known.owner,
        reader_user=clickhouse_files.READER,
        reader_password=known.reader,
        database=clickhouse_files.DATABASE,
    )
