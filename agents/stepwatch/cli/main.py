"""The console command `stepwatch`: what commands there are, and how one ends."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli import (
    alerts,
    console,
    dead_letters,
    demo,
    doctor,
    events,
    explain,
    export,
    heartbeat,
    identities,
    notify,
    policy,
    policy_apply,
    policy_diff,
    policy_history,
    policy_lint,
    query,
    rejudge,
    replay,
    report_cmd,
    roles,
    runs,
    screen,
    send,
    settings,
    sources,
    sql,
    token,
    topics,
    tune,
    up,
)
from stepwatch.cli.errors import exit_of
from stepwatch.cli.target import trace_wanted

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version as version_of

        print(f"stepwatch {version_of('stepwatch')}")
        raise typer.Exit


@app.callback()
def stepwatch(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    """Was this high-risk action done by somebody who had just proved who they are?

    Exit status: 0 ok, 1 found a problem, 2 usage or configuration, 3 a server cannot be reached, 130 interrupted.
    """


app.command()(demo.demo)
app.command()(replay.replay)
app.command()(explain.explain)
app.command()(rejudge.rejudge)
policy.commands.command("lint")(policy_lint.lint)
policy.commands.command("diff")(policy_diff.diff)
policy.commands.command("apply")(policy_apply.apply)
policy.commands.command("history")(policy_history.show_history)
policy.commands.command("show")(policy_history.show)
policy.commands.command("rollback")(policy_apply.rollback)
app.add_typer(policy.commands, name="policy")
app.add_typer(tune.commands, name="tune")
app.add_typer(identities.commands, name="identities")
app.command()(up.up)
app.command()(send.send)
app.command()(heartbeat.heartbeat)
app.add_typer(events.commands, name="events")
app.command()(sql.sql)
app.add_typer(query.commands, name="query")
app.command()(report_cmd.report)
app.command()(export.export)
app.add_typer(runs.commands, name="runs")
app.add_typer(sources.commands, name="sources")
app.add_typer(topics.commands, name="topics")
app.add_typer(alerts.commands, name="alerts")
app.add_typer(dead_letters.commands, name="dead-letters")
app.command()(doctor.doctor)
app.command()(roles.correlate)
app.command()(roles.store)
app.command()(roles.ingest)
app.add_typer(console.commands, name="console")
app.add_typer(token.commands, name="token")
app.add_typer(notify.commands, name="notify")
app.command()(settings.settings)


@app.command()
def version() -> None:
    """Show the version."""
    _show_version(True)


def main() -> None:
    """Run the command line of this process and end it with the exit status of STYLE section 3."""
    screen.prepare()
    try:
        app(prog_name="stepwatch")
    except Exception as error:
        if trace_wanted():
            traceback.print_exception(error)
        status, message = exit_of(error) or (EXIT_PROBLEM, _unforeseen(error))
        screen.say(message)
        sys.exit(status)


def _unforeseen(error: Exception) -> str:
    return (
        f"this should not have happened: {type(error).__name__}: {error}\n"
        "STEPWATCH_LOG_LEVEL=debug shows where; please report it with that"
    )


if __name__ == "__main__":
    main()
