"""`stepwatch console`: the pages in a browser, and who may sign in to them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.screen import say, shown, table

if TYPE_CHECKING:
    from stepwatch.agents.settings import Settings

commands = typer.Typer(
    invoke_without_command=True, help="Show alerts, actions and the health of the watcher in a browser."
)
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the user.")]


@commands.callback()
def console(context: typer.Context, data: Data = None) -> None:
    """Show alerts, actions and the health of the watcher in a browser.

    Prints its address; and where nobody has a password yet, which is for one machine and its owner, a token. Exit
    status 0 after SIGTERM, 130 after Ctrl-C; 2 where a setting is wrong; 3 where a server cannot be reached.
    """
    if context.invoked_subcommand is not None:
        context.obj = data
        return
    from stepwatch.cli.target import connect_role
    from stepwatch.console.serve import main

    raise typer.Exit(main(_of_folder(connect_role(data), data), lambda line: print(line, flush=True)))


@commands.command()
def passwd(
    name: Name,
    role: Annotated[str, typer.Option(help="viewer, responder or admin.")] = "viewer",
    tenant: Annotated[list[str] | None, typer.Option(help="Whose data is shown; again for more; * for all.")] = None,
    data: Data = None,
) -> None:
    """Let somebody sign in, or change their password, role and tenants; their sessions end.

    The password is asked for, or read from standard input where that is no terminal. Exit status 0; 2 where something
    is refused.
    """
    from stepwatch.console.users import set_user

    path = _settings(data).console_users_path
    is_new = set_user(path, name, _password(), role, tenant or [])
    say(f"{shown(name)}: {'added' if is_new else 'changed'}, {role}, tenants {', '.join(tenant or [])}; in {path}")


@commands.command()
def users(data: Data = None) -> None:
    """List who may sign in. Exit status 0; 2 where the password file cannot be used."""
    from stepwatch.console.users import read_users

    path = _settings(data).console_users_path
    found = read_users(path)
    if found:
        rows = [(user.name, user.role, ", ".join(user.tenants)) for user in found.values()]
        print(table(("NAME", "ROLE", "TENANTS"), [tuple(map(shown, row)) for row in rows]))
    else:
        say(f"nobody: {path} is not there, so the console prints a token when it starts")


@commands.command()
def remove(name: Name, data: Data = None) -> None:
    """Let somebody in no more; their sessions end at once. Exit status 0; 1 where there is no such user."""
    from stepwatch.console.users import remove_user

    if not remove_user(_settings(data).console_users_path, name):
        say(f"{shown(name)}: no such user; `stepwatch console users` lists them")
        raise typer.Exit(EXIT_PROBLEM)
    say(f"{shown(name)}: removed")


def _settings(data: Path | None) -> Settings:
    from stepwatch.cli.target import read_settings

    return _of_folder(read_settings(), data)


def _of_folder(settings: Settings, data: Path | None) -> Settings:
    return settings if data is None else settings.model_copy(update={"data": data})


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
