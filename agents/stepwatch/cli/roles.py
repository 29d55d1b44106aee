"""`stepwatch correlate|store|notify`: one role in the foreground, as containers and services run it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")]


def correlate(
    policies: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Publish the policy files of this folder first.")
    ] = None,
    data: Data = None,
) -> None:
    """Run the role that judges.

    Events in; verdicts, evidence, alerts and dead letters out.
    """
    from stepwatch.agents.correlate import main
    from stepwatch.cli.target import connect_role

    settings = connect_role(data)
    if policies is not None:
        settings = settings.model_copy(update={"policies_dir": policies})
    raise typer.Exit(main(settings))


def store(data: Data = None) -> None:
    """Run the role that fills ClickHouse."""
    from stepwatch.agents.store import main
    from stepwatch.cli.target import connect_role

    raise typer.Exit(main(connect_role(data)))


def notify(data: Data = None) -> None:
    """Run the role that tells who is on call.

    Two lines on standard output for each change of an alert.
    """
    from stepwatch.agents.notify import main
    from stepwatch.cli.target import connect_role

    raise typer.Exit(main(connect_role(data)))
