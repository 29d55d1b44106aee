"""`stepwatch doctor`: is all well, and with `--account`: is every record accounted for?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepwatch.agents.errors import EXIT_AWAY, EXIT_PROBLEM, RoleError
from stepwatch.cli.asking import Bootstrap
from stepwatch.cli.screen import columns_of, counted, paint, say, shown, table, width, wrapped

if TYPE_CHECKING:
    from stepwatch.agents.account import Account
    from stepwatch.agents.checks import Check
    from stepwatch.agents.settings import Settings

_COLUMNS = (
    ("audit", "audit"),
    ("evidence", "evidence"),
    ("heartbeats", "heartbeat"),
    ("dead letters", "dead_letter"),
    ("duplicates", "duplicate"),
    ("skipped", "skipped"),
    ("moved", "moved"),
    ("responses", "response"),
    ("waiting", "waiting"),
    ("unchecked", "unchecked"),
)
"""Heading, and what a record became."""


def doctor(
    with_account: Annotated[
        bool, typer.Option("--account", help="Account for every record that was read, from Kafka alone.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    bootstrap: Bootstrap = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")] = None,
) -> None:
    """Say whether all is well, and what to do where it is not.

    A line for each of: Kafka, topics, policies, the roles, transactions, the clock, events left unjudged by a fault of
    ours, ClickHouse; and of this machine: the roles' pages, the disk, the files of secrets, the routing file, the
    dead-man's beat. With --account instead: every record that was read must have become exactly one thing, partition by
    partition, and be counted so in the state. Both only read, beside running workers.

    Exit status 0; 1 where something is wrong; 3 where a server does not answer.
    """
    from stepwatch.cli.target import connect, quiet_logs

    settings = connect(data, bootstrap)
    quiet_logs(settings)
    if with_account:
        _account(settings, as_json=as_json)
    else:
        _check_up(settings, data, as_json=as_json)


def _local(settings: Settings, data: Path | None) -> Iterator[Check]:
    """ClickHouse, and what is to be looked at on this machine."""
    from stepwatch.agents.checkup import check_clickhouse
    from stepwatch.agents.surroundings import (
        ROLES,
        check_deadman,
        check_disk,
        check_page,
        check_routes,
        check_secrets,
    )
    from stepwatch.cli.target import data_folder
    from stepwatch.embedded import ports

    yield check_clickhouse(settings)
    folder = data_folder(data, settings)
    chosen = ports.chosen(folder) if folder.is_owned() else {}
    for role in ROLES:
        tls = role == "ingest" and settings.ingest_tls_cert is not None
        host = settings.ingest_host if role == "ingest" else settings.web_host
        # Where `stepwatch up` runs it has chosen the ports, and the role must be there.
        if (port := chosen.get(f"{role}_web")) is not None:
            yield check_page(role, ports.HOST, port, expected=True, tls=tls)
        elif (port := settings.web_port(role)) is not None:
            yield check_page(role, host, port, expected=False, tls=tls)
    yield check_disk(settings)
    yield from check_secrets(settings)
    yield check_routes(settings)
    yield check_deadman(settings)


def _check_up(settings: Settings, data: Path | None, *, as_json: bool) -> None:
    from stepwatch.agents.checkup import LOOK_S, check_up, trouble_with_kafka

    checks: list[Check] = []

    async def run() -> None:
        def tell_waiting() -> None:
            say(f"looking at the roles for {LOOK_S:.0f} s")

        async for check in check_up(settings, time.time_ns() // 1000, tell_waiting):
            checks.append(check)
            _show_check(check, as_json=as_json)

    try:
        asyncio.run(run())
    except RoleError as error:
        # Kafka stopped answering meanwhile: what does not need it is looked at all the same.
        checks.append(trouble_with_kafka(error))
        _show_check(checks[-1], as_json=as_json)
    for check in _local(settings, data):
        checks.append(check)
        _show_check(check, as_json=as_json)
    wrong = [check for check in checks if check.do]
    if wrong:
        say(counted(len(wrong), "problem"))
        raise typer.Exit(EXIT_AWAY if any(check.away for check in wrong) else EXIT_PROBLEM)


def _show_check(check: Check, *, as_json: bool) -> None:
    if as_json:
        row = {"check": check.name, "ok": not check.do, "words": check.words, "do": check.do}
        print(json.dumps(row, ensure_ascii=False), flush=True)
        return
    room = width()
    said = paint("ok     ", "green") if not check.do else paint("problem", "red")
    words = f"{check.name}: {check.words}" + (f". Do: {check.do}" if check.do else "")
    first, *rest = wrapped(shown(words), None if room is None else room - 9, "").split("\n")
    print(f"{said}  {first}", flush=True)
    for more in rest:
        print(" " * 9 + more, flush=True)


def _account(settings: Settings, *, as_json: bool) -> None:
    from stepwatch.agents.account import account

    accounts = asyncio.run(account(settings))
    problems = [words for one in accounts for words in one.problems]
    if as_json:
        for one in accounts:
            print(json.dumps(_row(one), ensure_ascii=False))
    else:
        _show_table(accounts, settings.prefix)
        for words in [words for one in accounts for words in one.notes]:
            say(f"cannot be checked: {words}" if "cannot" not in words else words)
    for words in problems:
        say(words)
    total = sum(one.tally.records for one in accounts)
    if problems:
        say(
            f"{counted(total, 'record')} in, and not every one is exactly one thing: "
            f"{counted(len(problems), 'problem')}"
        )
        raise typer.Exit(EXIT_PROBLEM)
    say(f"{counted(total, 'record')} in, every one accounted for exactly once")


def _row(one: Account) -> dict[str, Any]:
    tally = one.tally
    return {
        "partition": tally.partition,
        "topic": tally.topic,
        "begin": tally.begin,
        "position": tally.position,
        "records_in": tally.records,
        **tally.counts,
        "difference": one.difference,
        "missing": tally.missing.first,
        "doubled": tally.doubled.first,
        "strays": tally.strays.first,
        "lost_moves": one.lost[:20],
        "since": tally.since,
        "state": dict(one.kept),
        "problems": one.problems,
        "notes": one.notes,
    }


def _show_table(accounts: list[Account], prefix: str) -> None:
    header = ["partition", "topic", "records in", *(heading for heading, _ in _COLUMNS), "difference"]
    numbers = [
        [one.tally.records, *(one.tally.counts[what] for _, what in _COLUMNS), one.difference] for one in accounts
    ]
    numbers.append([sum(column) for column in zip(*numbers, strict=True)])
    names = [(str(one.tally.partition), one.tally.topic.removeprefix(prefix)) for one in accounts]
    names.append(("all", ""))
    rows = [[*name, *(f"{count:,}" for count in counts)] for name, counts in zip(names, numbers, strict=True)]
    room = width()
    kept = range(len(header))
    if room is not None and sum(columns_of([header, *rows], [room] * len(header))) + 2 * len(header) > room:
        # On a narrow terminal what is 0 everywhere says nothing.
        kept_ones = [index for index in kept if index in (0, 1, 2, len(header) - 1) or rows[-1][index] != "0"]
        header, rows = [header[i] for i in kept_ones], [[row[i] for i in kept_ones] for row in rows]
    print(table(header, rows, right=set(range(2, len(header))), whole=set(range(len(header)))))
