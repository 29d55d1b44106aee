"""`stepwatch send`: a file of events, or another product's log, into the topics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepwatch.cli.actions_file import ActionsFile, use_actions
from stepwatch.cli.asking import Bootstrap
from stepwatch.cli.lines import AS_THEY_ARE


def send(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE|DIR|-", help="One event a line, or JSON arrays; plain or gzipped; - is a pipe."),
    ],
    source: Annotated[
        str, typer.Option("--from", metavar="SOURCE", help="Whose log it is: okta, cloudtrail, ..., or stepwatch.")
    ] = AS_THEY_ARE,
    actions: ActionsFile = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is added, across rotation.")] = False,
    heartbeat: Annotated[
        str, typer.Option(metavar="DURATION", help="With --follow: between two heartbeats of a feed; 0s: none.")
    ] = "30s",
    lag: Annotated[
        str, typer.Option(metavar="DURATION", help="With --follow: by how much the product writes its log late.")
    ] = "0s",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the events instead, one a line; needs no Kafka.")
    ] = False,
    rate: Annotated[float | None, typer.Option(metavar="N", min=0.001, help="Events per second at most.")] = None,
    rebase: Annotated[
        bool, typer.Option("--rebase", help="For trials: move all times so that the newest event is now.")
    ] = False,
    positions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="How far was sent; default: in the data folder.")
    ] = None,
    bootstrap: Bootstrap = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")] = None,
) -> None:
    """Send a file of events, or another product's log, into the topics.

    Each event is checked first, keyed by its canonical subject, and acknowledged by Kafka. Sending a file again within
    about two days of its events changes nothing: copies count once. Later they are new events, and too late. A `send`
    that was cut off goes on where Kafka's acknowledgements end, and that of a folder takes what has come since. With
    --follow heartbeats say that the feed is alive, once all that is there was acknowledged.

    Exit status 0; 1 where a line was rejected, or a file of a folder is damaged (all else is sent); 2 where the file
    cannot be read; 3 where Kafka does not answer; 130 after Ctrl-C. A --follow ends by Ctrl-C with 130, by SIGTERM
    with 0.
    """
    from stepwatch.cli.send_run import Asked, run

    use_actions(actions, source)
    status = run(
        Asked(
            file=file,
            source=source,
            follow=follow,
            heartbeat=heartbeat,
            lag=lag,
            dry_run=dry_run,
            rate=rate,
            rebase=rebase,
            positions=positions,
            bootstrap=bootstrap,
            data=data,
        )
    )
    if status:
        raise typer.Exit(status)
