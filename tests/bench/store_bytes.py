"""Bytes a row of the tables, column by column, and what other codecs would make of them."""

from __future__ import annotations

import time

import psutil
from clickhouse_connect.driver.client import Client

from tests.bench.watch import cpu_s

CODECS = ("LZ4", "ZSTD(1)", "ZSTD(3)", "ZSTD(6)")
OF_NUMBERS = ("Delta(8), LZ4", "Delta(8), ZSTD(1)", "DoubleDelta, ZSTD(1)", "T64, ZSTD(1)", "ZSTD(1)")
TRIED = {
    "event_data": CODECS,
    "action_id": CODECS,
    "session": CODECS,
    "subject": CODECS,
    "verification": CODECS,
    "nearest_miss": CODECS,
    "time": OF_NUMBERS,
    "kafka_offset": OF_NUMBERS,
}
"""Column of `audit` -> the codecs that are compared; all of them lose nothing."""
_SIZES = """
SELECT column, sum(column_data_compressed_bytes) / {rows:UInt64} AS bytes FROM system.parts_columns
WHERE active AND database = currentDatabase() AND table = {table:String} GROUP BY column ORDER BY bytes DESC
"""


def bytes_by_column(client: Client, table: str, since: str) -> dict[str, float]:
    """Compressed bytes a row of each column, the widest first, of a table's rows since a day once they are merged.

    They are written once more: a small part keeps all columns in one file, and does not say what each of them takes.
    """
    client.command(f"CREATE TABLE weighed AS {table}")
    client.command("ALTER TABLE weighed MODIFY SETTING min_bytes_for_wide_part = 0")
    client.command(
        f"INSERT INTO weighed SELECT * FROM {table} WHERE time >= '{since}' LIMIT 200000 "
        "SETTINGS min_insert_block_size_rows = 40000"
    )
    client.command("OPTIMIZE TABLE weighed FINAL")
    rows = client.query("SELECT count() FROM weighed").result_rows[0][0]
    found = client.query(_SIZES, {"rows": rows, "table": "weighed"}).result_rows
    client.command("DROP TABLE weighed SYNC")
    return {str(name): float(size) for name, size in found}


def codec_costs(client: Client, server: psutil.Process, database: str, rows: int) -> list[list[str]]:
    """Write a column of `audit`, in that table's order, once with each codec, and read it again.

    Args:
        client: of the owner, `database` selected, before and after.
        server: ClickHouse's process.
        database: holds `audit`.
        rows: how many.

    Returns:
        Column, codec, bytes a row, microseconds of CPU a row to write, milliseconds to read a million.
    """
    scratch = f"{database}_codecs"
    client.command(f"CREATE DATABASE IF NOT EXISTS {scratch}")
    asked = "SELECT name, type FROM system.columns WHERE table = 'audit' AND database = {db:String}"
    kinds = {str(name): str(kind) for name, kind in client.query(asked, {"db": database}).result_rows}
    found: list[list[str]] = []
    client.database = scratch
    for column, codecs in TRIED.items():
        client.command(f"CREATE TABLE source (c {kinds[column]}) ENGINE = Memory")
        client.command(
            f"INSERT INTO source SELECT {column} FROM (SELECT {column}, tenant, subject, time FROM {database}.audit "
            f"LIMIT {rows}) ORDER BY tenant, subject, time"
        )
        for codec in codecs:
            found.append([column, codec, *_cost(client, server, kinds[column], codec)])
        client.command("DROP TABLE source SYNC")
    client.command(f"DROP DATABASE {scratch} SYNC")
    client.database = database
    return found


def _cost(client: Client, server: psutil.Process, kind: str, codec: str) -> list[str]:
    client.command(
        f"CREATE TABLE tried (c {kind} CODEC({codec})) ENGINE = MergeTree ORDER BY tuple() "
        "SETTINGS min_bytes_for_wide_part = 0"
    )
    before_s = cpu_s([server])
    client.command("INSERT INTO tried SELECT c FROM source SETTINGS max_threads = 1")
    wrote_s = cpu_s([server]) - before_s
    client.command("OPTIMIZE TABLE tried FINAL")
    rows, size = client.query(
        "SELECT sum(rows), sum(column_data_compressed_bytes) FROM system.parts_columns "
        "WHERE active AND database = currentDatabase() AND table = 'tried'"
    ).result_rows[0]
    begun = time.perf_counter()
    client.command("SELECT max(cityHash64(c)) FROM tried SETTINGS max_threads = 1")
    read_s = time.perf_counter() - begun
    client.command("DROP TABLE tried SYNC")
    return [f"{size / rows:.2f}", f"{wrote_s / rows * 1e6:.2f}", f"{read_s / rows * 1e9:.0f}"]
