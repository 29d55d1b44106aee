"""`stepwatch dead-letters list|show|replay`: records that could not be taken, and the way back for them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.asking import Bootstrap
from stepwatch.cli.errors import Misused
from stepwatch.cli.screen import say

if TYPE_CHECKING:
    from stepwatch.agents.dead_letters import Wanted

commands = typer.Typer(no_args_is_help=True, help="Records that could not be taken: list, show, put back.")
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")]
Error = Annotated[
    str | None, typer.Option(metavar="ERROR", help="Only these: conflict, misrouted, bug, or the wrong field.")
]
Topic = Annotated[str | None, typer.Option(metavar="TOPIC", help="Only those that came from this input.")]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only those that arrived since: 2h, 7d, or an RFC 3339 time.")
]
Id = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it: partition@offset.")]


@commands.command("list")
def list_(
    error: Error = None,
    topic: Topic = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="At most so many, the newest; 0: all.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """List dead letters, the newest first.

    Each with its id, the time of its arrival, what is wrong, and where it came from. Read from Kafka, so it works
    without ClickHouse. Exit status 0; 3 where Kafka does not answer.
    """
    from stepwatch.cli.letters import collect, show_list
    from stepwatch.cli.target import connect, quiet_logs

    settings = connect(data, bootstrap)
    quiet_logs(settings)
    found = asyncio.run(collect(settings, _wanted(error, topic, since), limit))
    show_list(found, settings.prefix, as_json=as_json)


@commands.command()
def show(
    letter_id: Id,
    raw: Annotated[bool, typer.Option("--raw", help="Write the original bytes, and nothing else.")] = False,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """Show a dead letter.

    Its headers and its original bytes, made safe for a terminal and cut where they are long. Exit status 0; 2 where
    there is no such letter; 3 where Kafka does not answer.
    """
    from stepwatch.cli.letters import find, show_letter
    from stepwatch.cli.target import connect, quiet_logs

    settings = connect(data, bootstrap)
    quiet_logs(settings)
    letter, headers = asyncio.run(find(settings, letter_id))
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
        sys.stdout.flush()
        return
    show_letter(letter, headers)


@commands.command()
def replay(
    letter_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As `list` shows them.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, or all that the conditions leave.")] = False,
    file: Annotated[
        str | None, typer.Option(metavar="FILE", help="The repaired event, for one ID; - is standard input.")
    ] = None,
    error: Error = None,
    topic: Topic = None,
    since: Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and send nothing.")] = False,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """Put dead letters back.

    Each goes into the topic that it came from (an event in the wrong topic: into the right one), and counts from its
    new arrival. What would be a dead letter again is not sent. Putting one back twice does no harm: a copy changes
    nothing. Exit status 0; 1 where one was still wrong; 2 where there is no such letter; 3 where Kafka does not answer.
    """
    from stepwatch.cli.letters import put_back
    from stepwatch.cli.target import connect, quiet_logs

    ids = letter_ids or []
    conditions = (error, topic, since) != (None, None, None)
    if every == bool(ids):
        raise Misused("name the letters by their ids, or say --all; `stepwatch dead-letters list` shows the ids")
    if ids and conditions:
        raise Misused("--error, --topic and --since choose among --all; leave them out where ids are named")
    if file is not None and len(ids) != 1:
        raise Misused("--file is the repaired event of one letter: name one id")
    settings = connect(data, bootstrap)
    quiet_logs(settings)
    repaired = None if file is None else _repaired(file)
    told = asyncio.run(put_back(settings, ids or _wanted(error, topic, since), repaired, dry_run=dry_run, tell=print))
    say(told.words)
    if told.still_wrong:
        raise typer.Exit(EXIT_PROBLEM)


def _repaired(file: str) -> bytes:
    if file == "-":
        if sys.stdin is None:
            raise Misused("standard input is closed: name a file, or pipe the event in")
        return sys.stdin.buffer.read().strip()
    try:
        return Path(file).read_bytes().strip()
    except OSError as error:
        raise Misused(f"{file}: cannot be read: {error.strerror or error}") from error


def _wanted(error: str | None, topic: str | None, since: str | None) -> Wanted:
    from stepwatch.agents.dead_letters import Wanted
    from stepwatch.cli.since import since_us

    return Wanted(error, topic, None if since is None else since_us(since))
