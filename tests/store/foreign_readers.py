"""Tools that are not ours ask ClickHouse as the user `analyst`: clickhouse-connect, curl, SQLAlchemy, JDBC."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import clickhouse_connect
import pytest

from stepwatch.embedded import jars
from tests.servers import ClickHouseSettings

JDBC = "com.clickhouse:clickhouse-jdbc:0.10.0+org.slf4j:slf4j-nop:2.0.17"
ASKING = Path(__file__).with_name("foreign") / "Asking.java"


class Asked(NamedTuple):
    """A query with values for its parameters: texts, and lists of texts."""

    name: str
    sql: str
    values: dict[str, Any]


class Read(NamedTuple):
    """An answer: names of the columns, and rows whose values the tool may have made its own types of."""

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Refused(Exception):
    """ClickHouse refused the query; the message has its words."""


Reader = Callable[[ClickHouseSettings, Sequence[Asked]], list[Read]]


def as_parameter(value: Any) -> str:
    """A value as HTTP and JDBC carry it: a list in ClickHouse's own form."""
    if isinstance(value, str):
        return value
    return "[" + ",".join("'" + one.replace("\\", "\\\\").replace("'", "\\'") + "'" for one in value) + "]"


def by_clickhouse_connect(to: ClickHouseSettings, asked: Sequence[Asked]) -> list[Read]:
    client = clickhouse_connect.get_client(
        host=to.host, port=to.port, database=to.database, username=to.reader_user, password=to.reader_password
    )
    try:
        answers = [client.query(one.sql, parameters=one.values) for one in asked]
    except Exception as error:
        raise Refused(str(error)) from error
    finally:
        client.close()
    return [Read(tuple(one.column_names), [tuple(row) for row in one.result_rows]) for one in answers]


def by_curl(to: ClickHouseSettings, asked: Sequence[Asked]) -> list[Read]:
    """The parameters in the address, the query as the body; the password where `ps` does not show it."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl here")
    answers = []
    for one in asked:
        url = {"database": to.database, "default_format": "JSONCompact"}
        url |= {f"param_{name}": as_parameter(value) for name, value in one.values.items()}
        command = [curl, "--silent", "--config", "-", "--data-binary", one.sql, to.url + "/"]
        for name, value in url.items():
            command += ["--url-query", f"{name}={value}"]
        login = f'user = "{to.reader_user}:{to.reader_password}"\n'
        done = subprocess.run(command, input=login, capture_output=True, text=True, timeout=120, check=True)
        if "DB::Exception" in done.stdout:
            raise Refused(done.stdout)
        said = json.loads(done.stdout)
        names = tuple(column["name"] for column in said["meta"])
        answers.append(Read(names, [tuple(row) for row in said["data"]]))
    return answers


def by_sqlalchemy(to: ClickHouseSettings, asked: Sequence[Asked]) -> list[Read]:
    """clickhouse-connect's dialect; `exec_driver_sql` hands query and parameters on as they are."""
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="no SQLAlchemy: pip install 'clickhouse-connect[sqlalchemy]'")
    login = sqlalchemy.engine.URL.create(
        "clickhousedb", to.reader_user, to.reader_password, to.host, to.port, to.database
    )
    engine = sqlalchemy.create_engine(login)
    answers = []
    try:
        with engine.connect() as connection:
            for one in asked:
                rows = connection.exec_driver_sql(one.sql, one.values)
                answers.append(Read(tuple(rows.keys()), [tuple(row) for row in rows.fetchall()]))
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise Refused(str(error)) from error
    finally:
        engine.dispose()
    return answers


def by_jdbc(to: ClickHouseSettings, asked: Sequence[Asked]) -> list[Read]:
    """ClickHouse's own driver, fetched once; skips where nothing can compile forty lines, or it cannot be had."""
    java = shutil.which("java")
    if java is None or shutil.which("javac") is None:
        pytest.skip("no JDK here: a Java runtime alone does not run a source file")
    lines = [
        "\t".join([one.name, *map(_encoded, (one.sql, *_flat(one.values)))]) for one in asked
    ]  # fmt: skip
    done = subprocess.run(
        [java, "-cp", _jdbc_jars(), str(ASKING), f"jdbc:clickhouse:{to.url}/{to.database}", to.reader_user],
        input="\n".join(lines) + "\n",
        env={**os.environ, "PASSWORD": to.reader_password},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode:
        raise Refused(done.stderr)
    return [_read_block(block) for block in done.stdout.split("\n\n") if block.strip("\n")]


def _flat(values: dict[str, Any]) -> list[str]:
    return [text for name, value in values.items() for text in (name, as_parameter(value))]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _read_block(block: str) -> Read:
    head, *rows = block.lstrip("\n").split("\n")
    cells = [
        tuple(None if cell == "~" else base64.b64decode(cell).decode() for cell in row.split("\t")) for row in rows
    ]
    return Read(tuple(head.split("\t")[1:]), cells)


def _jdbc_jars() -> str:
    """The driver's class path, in the user's cache after the first time."""
    import jgo

    try:
        built = jgo.build(JDBC, cache_dir=jars.cache_dir() / "jdbc")
    except Exception as error:
        pytest.skip(f"the JDBC driver cannot be had: {str(error).splitlines()[0][:200]}")
    return os.pathsep.join(str(jar) for jar in [*built.class_path_jars, *built.module_path_jars])


READERS: dict[str, Reader] = {
    "clickhouse-connect": by_clickhouse_connect,
    "curl": by_curl,
    "sqlalchemy": by_sqlalchemy,
    "jdbc": by_jdbc,
}
