"""`stepwatch up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from stepwatch.agents.errors import EXIT_INTERRUPTED, EXIT_OK
from stepwatch.cli.screen import counted, paint, say, shown

if TYPE_CHECKING:
    from stepwatch.cli.stack import Stack


def up(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Data folder, kept over restarts; default: STEPWATCH_DATA.")
    ] = None,
    policies: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Publish the policy files of this folder.")
    ] = None,
) -> None:
    """Run everything on this machine until Ctrl-C.

    Kafka, ClickHouse and every role, with the data kept over restarts.

    Exit status 130 after Ctrl-C, 0 after SIGTERM; 2 where the policies are refused; 3 where a server cannot be had.
    """
    from stepwatch.cli.stack import Stack

    stack = Stack(data, policies=policies, notices=_print_notice)
    # Until the stack waits for signals itself, SIGTERM must not leave it half started.
    signal.signal(signal.SIGTERM, _stopped_early)
    say("starting Kafka, ClickHouse and the roles ...")
    stack.start()
    try:
        waiting = stack.wait_ready()
        for line in _introduction(stack, data):
            print(line, flush=True)
        for words in waiting:
            say(f"not ready yet: {words}")
    except BaseException:
        stack.stop()
        raise
    signalled = stack.run()
    say("stopped; the data stays in " + str(stack.folder.path))
    raise typer.Exit(EXIT_INTERRUPTED if signalled == signal.SIGINT else EXIT_OK)


def _stopped_early(number: int, frame: FrameType | None) -> NoReturn:
    raise typer.Exit(EXIT_OK)


def _print_notice(line: str) -> None:
    # The role made every value safe; here its lines only pass.
    print(line, flush=True)


def _introduction(stack: Stack, data: Path | None) -> list[str]:
    """What runs where, and what to type next."""
    where = "" if data is None else f" --data {shlex.quote(str(data))}"
    health = [port for role in ("correlate", "store", "notify") if (port := stack.settings.web_port(role))]
    entries = [
        ("console", stack.console_url),
        ("Kafka", stack.kafka.bootstrap),
        (
            "ClickHouse",
            f"{stack.clickhouse.url}  database {stack.clickhouse.database}, user {stack.clickhouse.reader_user}",
        ),
        ("health", "  ".join(f"http://127.0.0.1:{port}/readyz" for port in health) or "not served"),
        ("events", f"{stack.ingest_url}/v1/events        (token: stepwatch token create --help)"),
        ("data, logs", str(stack.folder.path)),
        ("policies", _policies_in_words(stack, where)),
        ("send", f"stepwatch send{where} EVENTS.jsonl        (or --from okta, --from cloudtrail)"),
        ("ask", f'stepwatch sql{where} "select verdict, count() from audit_current group by verdict"'),
        ("stop", "Ctrl-C"),
    ]
    return [f"{paint(name.ljust(10), 'bold')}  {shown(text)}" for name, text in entries]


def _policies_in_words(stack: Stack, where: str) -> str:
    if stack.published:
        digests = ", ".join(digest[:12] for digest in stack.published)
        return f"published {counted(len(stack.published), 'set')}: {digests}"
    if stack.policies_known:
        return "the sets that were applied before"
    return f"none yet: stepwatch policy apply{where} FILE..."
