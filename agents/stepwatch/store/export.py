"""Tables and answers as files: Parquet or CSV, in parts by day, each whole or not there.

The folder of an export holds its parts and `manifest.json`, which says what was asked and which parts are whole: their
rows, bytes and SHA-256. A part is written under another name, flushed to the disk and then renamed, so a run that was
broken off leaves no half one; the same command goes on after the last whole part. All files are readable by their owner
only: names and addresses are in them.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.client import Client

from stepwatch.store.answers import reading, streaming
from stepwatch.store.cells import safe_in_sql
from stepwatch.store.querybook import Question, clickhouse_time

MANIFEST: Final = "manifest.json"
FORMATS: Final = {"parquet": "Parquet", "csv": "CSVWithNames"}
"""Ours -> ClickHouse's."""
_PIECE_BYTES = 1024 * 1024
_PARQUET_END = b"PAR1"


class Table(NamedTuple):
    """A table that can be exported: the column that its days go by, and the order of its rows."""

    time: str
    order: str


TABLES: Final = {
    "audit_current": Table("time", "tenant, time, subject, source, action_id"),
    "audit": Table("time", "tenant, subject, time, source, action_id, revision"),
    "authentications": Table("time", "tenant, subject, time, source, event_id"),
    "alerts": Table("updated_at", "tenant, alert_id, version"),
    "dead_letters": Table("time", "tenant, time, kafka_topic, kafka_partition, kafka_offset"),
}
_FINAL = {"audit", "authentications", "alerts", "dead_letters"}
"""These hold a redelivered row twice until it is merged; the others are views that do not."""


class ExportRefused(Exception):
    """The folder holds another export, or an answer came broken; the message says what to do."""

    code = "export_refused"
    retriable = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported.

    Attributes:
        name: of the table or the question.
        fmt: a key of `FORMATS`.
        tenant: empty for all.
        since, until: from the one on, and before the other; UTC.
        question, values: of a query of the book with its parameters; None and empty for a table.
        database: whose tables.
    """

    name: str
    fmt: str
    tenant: str
    since: datetime
    until: datetime
    database: str
    question: Question | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def said(self) -> dict[str, Any]:
        """The same as the manifest has it: what makes two exports one."""
        period = {"since", "until"}
        return {
            "what": "table" if self.question is None else "query",
            "name": self.name,
            "format": self.fmt,
            "tenant": self.tenant,
            "since": clickhouse_time(self.since),
            "until": clickhouse_time(self.until),
            "database": self.database,
            "parameters": {name: value for name, value in sorted(self.values.items()) if name not in period},
        }


class Part(NamedTuple):
    """A part of an export: the name of its file, and which times it holds."""

    file: str
    since: datetime
    until: datetime


class Done(NamedTuple):
    """A part that is whole.

    Attributes:
        rows: how many the server counted after it was written.
        was_there: it was whole before this run.
    """

    file: str
    rows: int
    size: int
    was_there: bool


def parts_of(wanted: Wanted) -> list[Part]:
    """One part a day (UTC); of a question, whose answer is one, a single part."""
    if wanted.question is not None:
        return [Part(f"{wanted.name}.{wanted.fmt}", wanted.since, wanted.until)]
    parts, begin = [], wanted.since
    while begin < wanted.until:
        midnight = datetime.combine(begin.date() + timedelta(days=1), datetime.min.time(), UTC)
        end = min(midnight, wanted.until)
        parts.append(Part(f"{wanted.name}-{begin.date()}.{wanted.fmt}", begin, end))
        begin = end
    return parts


def manifest_of(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder; None where it has none.

    Raises:
        ExportRefused: it cannot be read.
    """
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        manifest = json.loads(text)
        assert isinstance(manifest["export"], dict)
        assert isinstance(manifest["parts"], dict)
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise ExportRefused(f"{folder / MANIFEST} is no manifest of an export: name another folder") from error
    return dict(manifest)


def export(client: Client, wanted: Wanted, folder: Path) -> Iterator[Done]:
    """Write the parts that are not whole yet, one after the other.

    Args:
        client: with the database selected.
        wanted: what.
        folder: made where it is missing.

    Raises:
        ExportRefused: the folder holds another export, or a part came broken.
        OSError: a file cannot be written.
        Exception: whatever the client raises; parts that are whole stay.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    manifest = manifest_of(folder) or {"export": wanted.said(), "parts": {}}
    if manifest["export"] != wanted.said():
        raise ExportRefused(
            f"{folder} holds another export ({_differing(manifest['export'], wanted.said())}): name another folder"
        )
    columns = _columns(client, wanted)
    for part in parts_of(wanted):
        known = manifest["parts"].get(part.file)
        if known and _is_whole(folder / part.file, known):
            yield Done(part.file, known["rows"], known["bytes"], was_there=True)
            continue
        written = _write(client, wanted, part, columns, folder / part.file)
        manifest["parts"][part.file] = written
        with _whole_file(folder / MANIFEST) as file:
            file.write(json.dumps(manifest, ensure_ascii=False, indent=1).encode() + b"\n")
        yield Done(part.file, written["rows"], written["bytes"], was_there=False)


def _differing(there: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    name = next(key for key in asked if there.get(key) != asked[key])
    return f"{name}: {there.get(name)!r}, not {asked[name]!r}"


def _is_whole(path: Path, known: Mapping[str, Any]) -> bool:
    with suppress(OSError):
        return bool(path.stat().st_size == known["bytes"])
    return False


def _source(wanted: Wanted, part: Part) -> tuple[str, dict[str, Any]]:
    """The rows of a part as a query, and its parameters."""
    if wanted.question is not None:
        return wanted.question.sql, dict(wanted.values)
    table = TABLES[wanted.name]
    values = {
        "tenant": wanted.tenant,
        "since": clickhouse_time(part.since),
        "until": clickhouse_time(part.until),
    }
    final = " FINAL" if wanted.name in _FINAL else ""
    return (
        f"SELECT * FROM {wanted.name}{final} WHERE ({{tenant:String}} = '' OR tenant = {{tenant:String}}) "
        f"AND {table.time} >= {{since:DateTime64(6, 'UTC')}} AND {table.time} < {{until:DateTime64(6, 'UTC')}} "
        f"ORDER BY {table.order}",
        values,
    )


def _columns(client: Client, wanted: Wanted) -> str:
    return selected(client, *_source(wanted, parts_of(wanted)[0]), wanted.fmt)


def selected(client: Client, sql: str, values: Mapping[str, Any], fmt: str) -> str:
    """What to select from a query for a file: every column as it is, or in CSV with its texts made safe."""
    described = json.loads(reading(client, f"DESCRIBE ({sql})", values, "JSONCompact", {}))["data"]
    names = [(f"`{name}`", kind) for name, kind, *_ in described]
    if fmt != "csv":
        return ", ".join(name for name, _ in names)
    return ", ".join(f"{safe_in_sql(name, kind)} AS {name}" for name, kind in names)


def _write(client: Client, wanted: Wanted, part: Part, columns: str, path: Path) -> dict[str, Any]:
    """Write a part and say what is in it."""
    sql, values = _source(wanted, part)
    before = _count(client, sql, values)
    digest, size, end = hashlib.sha256(), 0, b""
    with _whole_file(path) as file:
        stream = streaming(client, f"SELECT {columns} FROM ({sql}) AS part", values, FORMATS[wanted.fmt])
        try:
            while piece := stream.read(_PIECE_BYTES):
                file.write(piece)
                digest.update(piece)
                size += len(piece)
                end = (end + piece)[-len(_PARQUET_END) :]
        finally:
            stream.close()
        if wanted.fmt == "parquet" and end != _PARQUET_END:
            raise ExportRefused(
                f"{part.file}: the answer of ClickHouse ends before its end: run the same command again"
            )
    after = _count(client, sql, values)
    return {
        "rows": after,
        "bytes": size,
        "sha256": digest.hexdigest(),
        "since": clickhouse_time(part.since),
        "until": clickhouse_time(part.until),
        "made_at": clickhouse_time(datetime.now(UTC)),
        # Rows came while it was written: more evidence, more actions. Only a period that has closed stands still.
        "moved": before != after,
    }


def _count(client: Client, sql: str, values: Mapping[str, Any]) -> int:
    return int(json.loads(reading(client, f"SELECT count() FROM ({sql})", values, "JSONCompact", {}))["data"][0][0])


@contextmanager
def _whole_file(path: Path) -> Iterator[Any]:
    """A file that is there under its name when it is whole, on the disk, and readable by its owner only."""
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def yesterday_end(now: datetime) -> datetime:
    """The end of the last whole day (UTC)."""
    today: date = now.astimezone(UTC).date()
    return datetime.combine(today, datetime.min.time(), UTC)
