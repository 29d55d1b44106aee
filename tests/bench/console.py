"""`python -m tests.bench.console`: how long the console's pages take beside a year of audit rows.

Time of the server: from the request to the whole answer, in its own process, without a network. Each page is asked for
at the end of the year, each time about another subject and action. Pages that read Kafka are not among them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from clickhouse_connect.driver.client import Client

from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.streams.sets import PolicySets, build_set
from tests.bench.figures import percentile
from tests.bench.ground import heading, say
from tests.bench.store_queries import samples, table
from tests.bench.tables import END, clickhouse, fill, owner_of
from tests.web.console.pages import Site

PAGE_MS_MAX = 200
"""Aim at a million audit rows."""
_POLICY = """
version: 1
policies:
  - {id: payout-approve, match: {sensitivity: [high, critical]}, require: {amr_any: [hwk, otp], max_age: 5m}}
"""


class Took(NamedTuple):
    """What one page took, ms, and the size of its largest answer."""

    name: str
    p50_ms: float
    p95_ms: float
    size_bytes: int


def measure(client: Client, server: EmbeddedClickHouse, folder: Path, runs: int) -> list[Took]:
    """Ask for each page so often.

    Args:
        client: with the year selected.
        server: whose year it is.
        folder: for the console's own files.
        runs: of each page.
    """
    site = Site(
        folder,
        clickhouse_url=server.url,
        clickhouse_user=server.user,
        clickhouse_password=server.password,
        clickhouse_database=client.database,
    )
    site.now_us = int(datetime.fromisoformat(END).replace(tzinfo=UTC).timestamp()) * 1_000_000
    site.console.sets = PolicySets([build_set([("p.yaml", _POLICY)], None)])
    browser = site.signed_in()
    told = samples(client, runs)
    found = []
    for name, paths in _pages(told).items():
        took, size = [], 0
        for path in paths:
            # Many open pages share an answer for 3 s; here each asks anew.
            site.console.tables._recent.clear()
            begun = time.perf_counter()
            answer = browser.get(path)
            took.append((time.perf_counter() - begun) * 1000)
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.status_code}: {answer.text[:500]}")
            size = max(size, len(answer.content))
        found.append(Took(name, percentile(took, 50), percentile(took, 95), size))
    site.console.tables.close()
    return found


def _pages(told: list[dict[str, str]]) -> dict[str, list[str]]:
    def each(path: str, **names: str) -> list[str]:
        return [f"{path}?{urlencode({name: one[column] for name, column in names.items()})}" for one in told]

    def same(path: str) -> list[str]:
        return [path] * len(told)

    return {
        "overview": same("/"),
        "overview, 30 d": same("/?range=30d"),
        "alerts": same("/alerts"),
        "an action": each("/action", tenant="tenant", source="source", id="action_id"),
        "a subject, 24 h": each("/subject", tenant="tenant", subject="subject"),
        "a subject, 30 d": [f"{one}&span=30d" for one in each("/subject", tenant="tenant", subject="subject")],
        "search, newest": same("/search"),
        "search, a subject in 90 d": [f"{one}&since=90d" for one in each("/search", subject="subject")],
        "search, a resource in 30 d": [f"{one}&since=30d" for one in each("/search", resource_id="resource_id")],
        "search, unverified in 90 d": same("/search?verdict=unverified&since=90d"),
        "policies, 30 d": same("/policies"),
        "a policy, 30 d": same("/policy?id=payout-approve"),
        "sources": same("/sources"),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.console", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="audit rows of the year (default 1,000,000)")
    parser.add_argument("--runs", type=int, default=20, help="of each page (default 20)")
    options = parser.parse_args()
    with clickhouse(None) as server, tempfile.TemporaryDirectory() as folder:
        client = owner_of(server)
        fill(client, f"{server.database}_run_year", options.rows)
        say(f"asking for each page {options.runs} times")
        found = measure(client, server, Path(folder), options.runs)
    print(f"{options.rows:,} audit rows in a year\n")
    rows = [
        [one.name, f"{one.p50_ms:.0f}", f"{one.p95_ms:.0f}", f"{one.size_bytes / 1000:.0f}",
         "yes" if one.p95_ms < PAGE_MS_MAX else f"NO (aim {PAGE_MS_MAX})"]
        for one in found
    ]  # fmt: skip
    print(table(["page", "p50 ms", "p95 ms", "KB", "aim met"], rows))
    print(f"\n{heading()}")


if __name__ == "__main__":
    main()
