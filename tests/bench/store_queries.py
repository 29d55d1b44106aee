"""`python -m tests.bench.store_queries`: how fast ClickHouse answers, takes rows, and how many bytes it keeps.

1. Every question of the book about the last 30 days of a year: median and p95 of its runs, and the rows it read.
2. A subject's timeline and an action by its id, each time another one.
3. Rows as workers write them into the tables: rows/s, and rows/s for a core's worth of the server's CPU.
4. Bytes a row, column by column, of up to 200,000 rows of the last month.
5. What other codecs would make of the widest columns: bytes, CPU to write, time to read.

By default of 1 million audit rows. The aims are those for 20 million: `--rows 20000000`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from clickhouse_connect.driver.client import Client

from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.store.answers import ask
from stepwatch.store.loader import Loader
from stepwatch.store.migrate import migrate
from stepwatch.store.querybook import Question, questions
from tests.bench.figures import percentile
from tests.bench.ground import heading, say
from tests.bench.store_bytes import bytes_by_column, codec_costs
from tests.bench.tables import END, clickhouse, fill, owner_of
from tests.bench.watch import cpu_s

NOW = datetime.fromisoformat(END).replace(tzinfo=UTC)
LAST_MONTH = "2026-12-01"
RUNS = 20
QUESTION_MS_MAX, TIMELINE_MS_MAX, ACTION_MS_MAX = 1000, 100, 50
"""Aims at 20 million rows, p95."""
INSERT_ROWS_S_MIN = 80_000
"""Aim: audit rows a second and core, both tables filled and on the disk."""
_BATCH = 20_000
_ACTED = """
SELECT tenant, subject, session, resource_id, source, action_id, verification
FROM audit_latest WHERE verdict = 'verified' AND time >= {since:DateTime64(6, 'UTC')}
ORDER BY cityHash64(action_id) LIMIT {runs:UInt32}
"""


class Took(NamedTuple):
    """What one question took; of its runs.

    Attributes:
        cpu_ms: of the server, the mean; tells more than the clock where the machine has other work.
        read: the most rows that the server scanned for it.
        rows: the most rows of an answer.
    """

    name: str
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    read: int
    rows: int


class Inserted(NamedTuple):
    """Part 3; rows a second.

    Attributes:
        rows_s: by the clock, from one client that waits for each answer.
        rows_s_core: for each second of CPU of the server.
    """

    rows: int
    rows_s: float
    rows_s_core: float


def samples(client: Client, runs: int) -> list[dict[str, str]]:
    """As many verified actions of the last 30 days, each as what the questions have to be told."""
    names = ("tenant", "subject", "session", "resource_id", "source", "action_id", "proof")
    rows = client.query(_ACTED, {"since": "2026-12-02 00:00:00", "runs": runs}).result_rows
    return [dict(zip(names, map(str, row), strict=True)) for row in rows]


def measure_question(
    client: Client, server: EmbeddedClickHouse, question: Question, told: Sequence[dict[str, str]]
) -> Took:
    """Ask once for each sample. One subject only where the question demands one, all tenants where it lets us."""
    required = {one.name for one in question.parameters if one.required}
    optional = {"tenant"} if required else set()
    took, read, rows = [], 0, 0
    process = [psutil.Process(server.pid)]
    before_s = cpu_s(process)
    for sample in told:
        known = {key: value for key, value in sample.items() if key in required | optional and key in _names(question)}
        values = question.bind({**known, **_more(question)}, NOW)
        begun = time.perf_counter()
        answer = ask(client, question, values)
        took.append((time.perf_counter() - begun) * 1000)
        read, rows = max(read, answer.rows_read), max(rows, len(answer.rows))
    cpu_ms = (cpu_s(process) - before_s) / len(told) * 1000
    return Took(question.name, percentile(took, 50), percentile(took, 95), cpu_ms, read, rows)


def _names(question: Question) -> set[str]:
    return {one.name for one in question.parameters}


def _more(question: Question) -> dict[str, str]:
    return {"known": "payments.payout.approve,never"} if question.name == "policies_never_fired" else {}


def measure_inserts(client: Client, server: EmbeddedClickHouse, source: str, rows: int) -> Inserted:
    """Insert rows of the year once more as the role does, into tables of their own that are dropped afterwards."""
    columns = ", ".join(
        name for (name,) in client.query(
            "SELECT name FROM system.columns WHERE database = {db:String} AND table = 'audit' AND default_kind = ''",
            {"db": source},
        ).result_rows
    )  # fmt: skip
    content = client.raw_query(f"SELECT {columns} FROM {source}.audit LIMIT {rows}", fmt="JSONEachRow")
    lines = bytes(content).splitlines()
    database = f"{source}_inserts"
    migrate(client, database)
    loader, process = Loader(client), [psutil.Process(server.pid)]
    before_s, begun = cpu_s(process), time.perf_counter()
    for first in range(0, len(lines), _BATCH):
        if loader.load("audit", lines[first : first + _BATCH]).refusals:
            raise RuntimeError("ClickHouse refused a row of the year")
    took_s, used_s = time.perf_counter() - begun, cpu_s(process) - before_s
    client.command(f"DROP DATABASE {database} SYNC")
    client.database = source
    return Inserted(len(lines), len(lines) / took_s, len(lines) / used_s)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows))


def _judged(value: float, aim: float, better: Callable[[float, float], bool]) -> str:
    return "yes" if better(value, aim) else f"NO (aim {aim:,.0f})"


def _question_rows(found: Sequence[Took]) -> list[list[str]]:
    aims = {"subject_timeline": TIMELINE_MS_MAX, "action_history": ACTION_MS_MAX}
    return [
        [
            f"`{one.name}`", f"{one.p50_ms:.0f}", f"{one.p95_ms:.0f}", f"{one.cpu_ms:.0f}",
            f"{one.read:,}", f"{one.rows:,}",
            _judged(one.p95_ms, aims.get(one.name, QUESTION_MS_MAX), float.__lt__),
        ]
        for one in sorted(found, key=lambda one: -one.p95_ms)
    ]  # fmt: skip


def run(server: EmbeddedClickHouse, options: argparse.Namespace) -> None:
    """Measure, and print each part when it is done."""
    client = owner_of(server)
    database = f"{server.database}_run_year"
    begun = time.perf_counter()
    fill(client, database, options.rows)
    say(f"filled in {time.perf_counter() - begun:.0f} s")
    wanted = [one for name, one in questions().items() if not options.only or name in options.only]
    told = samples(client, options.runs)
    say(f"asking {len(wanted)} questions, {options.runs} times each")
    found = [measure_question(client, server, one, told) for one in wanted]
    print(f"{options.rows:,} audit rows in a year\n")
    print(
        table(["question", "p50 ms", "p95 ms", "CPU ms", "rows read", "rows", "aim met"], _question_rows(found)),
        flush=True,
    )
    if options.only:
        return
    say("inserting")
    put = measure_inserts(client, server, database, min(options.rows, 200_000))
    met = _judged(put.rows_s_core, INSERT_ROWS_S_MIN, float.__gt__)
    print(f"\ninserted {put.rows:,} rows: {put.rows_s:,.0f}/s, {put.rows_s_core:,.0f}/s a core; aim met: {met}\n")
    say("weighing")
    for name in ("audit", "audit_latest", "authentications"):
        kept = bytes_by_column(client, name, LAST_MONTH)
        apart = kept.pop("event_data", 0.0)
        print(f"`{name}`: {sum(kept.values()):.1f} bytes a row, and {apart:.1f} of event_data\n")
        print(table(["column", "bytes a row"], [[column, f"{size:.2f}"] for column, size in kept.items()]), "\n")
    costs = codec_costs(client, psutil.Process(server.pid), database, min(options.rows, 200_000))
    print(table(["column", "codec", "bytes a row", "us CPU/row to write", "ms to read a million"], costs), flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.store_queries", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="audit rows of the year (default 1,000,000)")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each question (default {RUNS})")
    parser.add_argument("--only", action="append", metavar="QUESTION", help="no more than this question; repeatable")
    parser.add_argument("--folder", type=Path, help="where the server's data goes (default: a temporary folder)")
    options = parser.parse_args()
    with clickhouse(options.folder) as server:
        run(server, options)
    print(f"\n{heading()}")


if __name__ == "__main__":
    main()
