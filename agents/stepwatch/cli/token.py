"""`stepwatch token create|list|revoke`: who may use the ingest API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.errors import Misused
from stepwatch.cli.screen import say, shown

commands = typer.Typer(no_args_is_help=True, help="Create, list and revoke tokens of the ingest API.")
Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Data folder that holds them; default: STEPWATCH_TOKENS_FILE or that set."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What you call it: who has it.")]


@commands.command()
def create(
    name: Name,
    tenant: Annotated[list[str], typer.Option(metavar="TENANT", help="A tenant it is for; '*': all. May be repeated.")],
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE", help="In whose name it may post, `*` is any run of characters. May be repeated."
        ),
    ] = None,
    may: Annotated[
        list[str] | None, typer.Option(metavar="RIGHT", help="post (default), read or respond. May be repeated.")
    ] = None,
    expires: Annotated[str, typer.Option(metavar="AGE", help="After how long it ends, like 90d; default: never.")] = "",
    data: Data = None,
) -> None:
    """Create a token; its secret is shown once.

    The secret alone is on standard output. It is kept nowhere: only its hash is.
    """
    from stepwatch.ingest.tokens import create_token

    path = _path(data)
    rights = may or ["post"]
    secret = create_token(path, name, tenants=tenant, sources=source or [], may=rights, expires_in_us=_age_us(expires))
    print(secret)
    say(f"written to {path} as a hash; the secret is not shown again")


@commands.command("list")
def list_tokens(data: Data = None) -> None:
    """List the tokens.

    One a line, separated by tabs: name, state, rights, tenants, sources, when it was created, when it ends.
    """
    from stepwatch.ingest.tokens import read_tokens, wall_clock_us

    now_us = wall_clock_us()
    tokens = read_tokens(_path(data))
    for token in tokens:
        lists = (",".join(said) or "-" for said in (token.may, token.tenants, token.sources))
        ends = token.revoked_at or token.expires_at or "never"
        print("\t".join(map(shown, (token.name, token.state(now_us), *lists, token.created_at, ends))))
    if not tokens:
        say("no token yet: stepwatch token create NAME --tenant TENANT --source SOURCE")


@commands.command()
def revoke(name: Name, data: Data = None) -> None:
    """Revoke a token; it opens nothing from the next request on.

    Exit status 1 where no live token is called so.
    """
    from stepwatch.ingest.tokens import revoke_token

    if not revoke_token(_path(data), name):
        say(f"no live token is called {name!r}: `stepwatch token list` shows them")
        raise typer.Exit(EXIT_PROBLEM)
    say(f"revoked {name}")


def _path(data: Path | None) -> Path:
    from stepwatch.cli.target import data_folder, read_settings

    settings = read_settings()
    if data is None and settings.tokens_file is not None:
        return settings.tokens_path
    return data_folder(data, settings).path / "tokens.json"


def _age_us(text: str) -> int | None:
    from pydantic_core import PydanticCustomError

    from stepwatch.schemas.policy import parse_duration

    if not text:
        return None
    try:
        age_us = parse_duration(text)
    except PydanticCustomError as error:
        raise Misused(f"--expires {text}: {error.message()}") from None
    if age_us == 0:
        raise Misused(f"--expires {text}: expected more than 0")
    return age_us
