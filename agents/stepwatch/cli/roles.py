"""`stepwatch correlate|store|ingest`: one role in the foreground, as containers and services run it."""

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


def ingest(data: Data = None) -> None:
    """Run the role that takes events over HTTP.

    And answers how fresh a proof is. Who may ask it says `stepwatch token`.
    """
    from stepwatch.cli.target import connect_role
    from stepwatch.ingest.serve import main

    settings = connect_role(data)
    if data is not None:
        settings = settings.model_copy(update={"data": data})
    raise typer.Exit(main(settings))
