"""`stepwatch topics create|check`: the topics, as contract section 2 has them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.asking import Bootstrap
from stepwatch.cli.screen import counted, say, shown

commands = typer.Typer(no_args_is_help=True, help="Create the topics, or check that they are as they must be.")
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")]


@commands.command()
def create(bootstrap: Bootstrap = None, data: Data = None) -> None:
    """Create or repair the topics.

    Creates what is missing and sets what is set otherwise; deletes nothing, moves nothing. Exit status 0; 2 where
    something is wrong that no command can repair; 3 where Kafka does not answer.
    """
    from stepwatch.agents.topics import create_topics
    from stepwatch.cli.target import connect, quiet_logs

    settings = connect(data, bootstrap)
    quiet_logs(settings)
    done = asyncio.run(create_topics(settings))
    for line in done:
        print(shown(line))
    if not done:
        print(f"nothing to do: {counted(len(settings.topics.specs()), 'topic')} as they must be")


@commands.command()
def check(bootstrap: Bootstrap = None, data: Data = None) -> None:
    """Say what is wrong with the topics.

    With the command that repairs it. Exit status 0; 1 where something is wrong; 3 where Kafka does not answer.
    """
    from stepwatch.agents.topics import check_topics
    from stepwatch.cli.target import connect, quiet_logs

    settings = connect(data, bootstrap)
    quiet_logs(settings)
    problems = asyncio.run(check_topics(settings))
    for problem in problems:
        print(shown(problem))
    if problems:
        say(f"{counted(len(problems), 'problem')}; a worker refuses to start until they are repaired")
        raise typer.Exit(EXIT_PROBLEM)
    print(f"ok: {counted(len(settings.topics.specs()), 'topic')} at {settings.kafka_bootstrap}")
