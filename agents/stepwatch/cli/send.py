"""`stepwatch send`: a file of events, or another product's log, into the topics."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.lines import AS_THEY_ARE, Converted, adapter_of, open_lines
from stepwatch.cli.screen import counted, say

if TYPE_CHECKING:
    from stepwatch.cli.sending import Sent


def send(
    file: Annotated[str, typer.Argument(metavar="FILE", help="One event a line; - is standard input.")],
    source: Annotated[
        str, typer.Option("--from", metavar="SOURCE", help="Whose log it is: okta, cloudtrail, or stepwatch.")
    ] = AS_THEY_ARE,
    bootstrap: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Kafka; default: as set.")] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")] = None,
) -> None:
    """Send a file of events into the topics.

    Each is checked first, keyed by its canonical subject, and acknowledged by Kafka. Sending a file again changes
    nothing: copies of an event count once. Exit status 0; 1 where a line was rejected (the others are sent); 3
    where Kafka does not answer.
    """
    from stepwatch.cli.sending import send_lines
    from stepwatch.cli.target import connect, quiet_logs

    adapter = adapter_of(source)
    settings = connect(data, bootstrap)
    quiet_logs(settings)
    with open_lines(file) as opened:
        lines = Converted(opened, adapter)
        sent = asyncio.run(send_lines(settings, lines, reject=say))
    _tell(sent, lines, settings.kafka_bootstrap)
    if sent.rejected:
        raise typer.Exit(EXIT_PROBLEM)


def _tell(sent: Sent, lines: Converted, bootstrap: str) -> None:
    parts = [counted(sent.actions, "action"), counted(sent.authentications, "authentication event")]
    if sent.heartbeats:
        parts.append(counted(sent.heartbeats, "heartbeat"))
    print(f"sent {', '.join(parts)} to {bootstrap}")
    for words in lines.skips_in_words():
        say(words)
    if sent.newer:
        say(f"{counted(sent.newer, 'event')} of a type that only a newer Stepwatch knows: not sent")
    if not sent.policies_known:
        say(
            "no policy set is in force yet, so aliases are unknown: apply one (`stepwatch policy apply`), then send "
            "the file again"
        )
    if sent.late:
        say(
            f"{counted(sent.late, 'action')} happened longer ago than `accept_late` of the policies: the verdict will "
            "be blind (too_late). Judge old logs with `stepwatch replay`"
        )
    if sent.rejected:
        say(f"{counted(sent.rejected, 'line')} rejected, each named above; everything else was sent")
