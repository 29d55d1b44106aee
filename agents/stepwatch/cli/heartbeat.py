"""`stepwatch heartbeat`: the sign that a feed is alive, for cron and for whoever has no library of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepwatch.cli.asking import Bootstrap


def heartbeat(
    source: Annotated[str, typer.Option("--source", metavar="NAME", help="The feed, as policies list it.")],
    complete_to: Annotated[
        str | None, typer.Option(metavar="TIME", help="It has delivered everything up to then; default: up to now.")
    ] = None,
    every: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Go on, one in each; default: one, and that is all.")
    ] = None,
    bootstrap: Bootstrap = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")] = None,
) -> None:
    """Say that a feed is alive, and has delivered everything up to a time.

    Send it only after the feed's events were acknowledged: a heartbeat makes `unverified` fair. It goes to every
    partition of the authentications.

    Exit status 0 once Kafka has acknowledged it; 2 where an option is not as it must be; 3 where Kafka does not answer.
    With --every it goes on until Ctrl-C (130) or SIGTERM (0).
    """
    from stepwatch.cli.heartbeat_run import Asked, run

    status = run(Asked(source, complete_to, every, bootstrap, data))
    if status:
        raise typer.Exit(status)
