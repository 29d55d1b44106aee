"""`stepwatch events check|example|generate|schema`: for who writes a producer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.actions_file import ActionsFile, use_actions
from stepwatch.cli.asking import Bootstrap
from stepwatch.cli.lines import AS_THEY_ARE

commands = typer.Typer(no_args_is_help=True, help="Check, show and make events: for who writes a producer.")


@commands.command()
def check(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE|DIR|-", help="One event a line, or JSON arrays; plain or gzipped; - is a pipe."),
    ],
    policy: Annotated[
        list[Path] | None, typer.Option("--policy", metavar="FILE", help="Say too what these policies cannot use.")
    ] = None,
    source: Annotated[
        str, typer.Option("--from", metavar="SOURCE", help="Whose log it is, by `sources list`; or stepwatch.")
    ] = AS_THEY_ARE,
    actions: ActionsFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each finding, a line each.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings too.")] = False,
) -> None:
    """Say what is wrong with events, and what is right but of no use.

    An error is what the worker would make a dead letter of, and `replay` a rejected line, with the same field. A
    warning is an event that is taken and yet hardly does what its producer meant: --policy finds more of them.

    Exit status 0, with warnings too; 1 where there is an error; 2 where the file cannot be read or a policy is refused.
    """
    from stepwatch.cli.events_check import Asked, check_file

    use_actions(actions, source)
    errors, warnings = check_file(Asked(file, policy or [], source, as_json))
    if errors or (strict and warnings):
        raise typer.Exit(EXIT_PROBLEM)


@commands.command()
def example(
    kind: Annotated[str, typer.Argument(metavar="[TYPE]", help="`action.performed`, `stepup.verified`, ...")] = "",
    listed: Annotated[bool, typer.Option("--list", help="List the types, and what each says.")] = False,
) -> None:
    """Show a full example of a type of event, with a time of now and a new id.

    The event goes to standard output, so that it can be piped into `send -`; what each of its fields means, and who
    needs it, to standard error.
    """
    from stepwatch.cli.events_example import list_types, show_example

    if listed:
        list_types()
    else:
        show_example(kind)


@commands.command()
def generate(
    rate: Annotated[float, typer.Option(metavar="N", min=0.001, max=1e6, help="Events per second.")] = 200.0,
    people: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="How many people.")] = 500,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed and start: the same events.")] = 1,
    duration: Annotated[str | None, typer.Option(metavar="DURATION", help="For how long; default 1h.")] = None,
    count: Annotated[int | None, typer.Option(metavar="N", min=1, help="Or how many events.")] = None,
    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Time of the first event, RFC 3339; default: so that it ends now."),
    ] = None,
    to: Annotated[str, typer.Option("--to", metavar="kafka|-", help="Where they go; - is standard output.")] = "-",
    bootstrap: Bootstrap = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")] = None,
) -> None:
    """Make the events of a bank at work: logins, step-ups, payouts with and without proof, attacks, heartbeats.

    People work by day, each in sessions of their own; a few forget their proof, some proofs come late, now and then
    somebody is worn down by prompts. They fit the policies of `deploy/policies`. To standard output it is as quick as
    it goes, one event a line; to Kafka it sends at that rate, each event when its time has come.

    Exit status 0; 2 where options contradict each other; 3 where Kafka does not answer; 130 after Ctrl-C.
    """
    from stepwatch.cli.events_generate import Asked, run

    status = run(Asked(rate, people, seed, duration, count, start, to, bootstrap, data))
    if status:
        raise typer.Exit(status)


@commands.command()
def schema(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="A type of event, `event` (any), `policy` or `asyncapi`.")
    ] = "",
    listed: Annotated[bool, typer.Option("--list", help="List the names.")] = False,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="DIR", help="Write all of them into a folder instead.")
    ] = None,
) -> None:
    """Show the JSON Schema of a type of event or of policy files, or the AsyncAPI document of all topics."""
    from stepwatch.cli.events_schema import list_schemas, show_schema, write_schemas

    if listed:
        list_schemas()
    elif into is not None:
        write_schemas(into)
    else:
        show_schema(name)
