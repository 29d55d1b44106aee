"""`stepwatch notify`: the role that tells who is on call; its routing file checked and tried, mutes, reasons."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.asking import Bootstrap
from stepwatch.cli.errors import Misused
from stepwatch.cli.screen import say, shown
from stepwatch.cli.who import named

if TYPE_CHECKING:
    from stepwatch.agents.settings import Settings
    from stepwatch.notifiers.mutes import Mute
    from stepwatch.notifiers.routing import Routes

commands = typer.Typer(invoke_without_command=True)
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")]
File = Annotated[Path | None, typer.Option("--routes", metavar="FILE", help="Routing file; default: as set.")]
Reason = Annotated[str, typer.Option(metavar="WORDS", help="Why; kept with it.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who decided it; default: who you are here.")]


@commands.callback()
def notify(context: typer.Context, data: Data = None) -> None:
    """Run the role that tells who is on call; with a further word: see below.

    Without a routing file (STEPWATCH_NOTIFY_ROUTES): two lines on standard output for each change of an alert.
    """
    if context.invoked_subcommand is not None:
        return
    from stepwatch.agents.notify import main
    from stepwatch.cli.target import connect_role

    raise typer.Exit(main(connect_role(data)))


@commands.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The routing file.")],
) -> None:
    """Check a routing file.

    Its form, its names, and that each secret can be read; nothing is sent. Exit status 0; 2 where something is wrong,
    with a line for each complaint.
    """
    from stepwatch.notifiers.routing import load_routes

    routes = load_routes(file)
    routes.open_receivers()
    for number, route in enumerate(routes.routes):
        to = ", ".join(route.to) or "nobody"
        on = " and on" if route.goes_on else ""
        print(shown(f"route {number}: {route.match.words} -> {to}{on}"))
    for mute in routes.mutes:
        print(shown(f"mute: {mute.words}"))
    print(f"ok: {len(routes.channels)} channels, {len(routes.routes)} routes, {len(routes.mutes)} mutes")


@commands.command("test")
def fire(
    channel: Annotated[str | None, typer.Option(metavar="NAME", help="Only this one; default: all.")] = None,
    file: File = None,
) -> None:
    """Ring for a test.

    A trigger that says that nothing has happened, then its resolution, to each channel; prints what each receiver
    answered. Exit status 0; 1 where one did not take it; 2 where the file is wrong.
    """
    from stepwatch.cli.notify_shows import ring
    from stepwatch.cli.target import read_settings

    routes = _routes(read_settings(), file)
    if channel is not None and channel not in routes.channels:
        raise Misused(f"--channel {channel}: no such channel; there are {', '.join(routes.channels)}")
    failed = asyncio.run(ring(routes, [channel] if channel is not None else list(routes.channels)))
    if failed:
        say(f"not taken by {', '.join(failed)}: an alert would not have arrived there")
        raise typer.Exit(EXIT_PROBLEM)


@commands.command()
def explain(
    alert_id: Annotated[str, typer.Argument(metavar="ID", help="Of an alert, or of many in one: al_, st_, dg_...")],
    file: File = None,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """Say why an alert went where it went.

    Which route, which channels, what kept it quiet, and what each channel was told when; of a storm or a digest its
    alerts too. Read from Kafka. Exit status 0; 1 where there is no such alert; 3 where Kafka does not answer.
    """
    from stepwatch.cli.notify_shows import find_alert, show_why

    settings = _connect(data, bootstrap)
    routes = _routes(settings, file)
    ledger = asyncio.run(find_alert(settings, alert_id))
    if ledger.alert is None:
        say(f"{shown(alert_id)}: no such alert in {settings.topics.alerts}; `stepwatch alerts list` shows those there")
        raise typer.Exit(EXIT_PROBLEM)
    show_why(routes, ledger)


@commands.command()
def mute(
    match: Annotated[
        list[str],
        typer.Option(
            metavar="FIELD=PATTERN", help="What to keep quiet, e.g. policy=payout-*; again for a further condition."
        ),
    ],
    until: Annotated[str, typer.Option(metavar="TIME", help="Until when: 2h, 1d, or an RFC 3339 time.")],
    reason: Reason,
    begins: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="A maintenance window: from then on; default: now.")
    ] = None,
    by: By = None,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """Keep alerts quiet for a time.

    Alerts that match ring nowhere until it ends; then those still open do. What was told before is still taken back.
    It is on record who did it, and why. Exit status 0; 2 where it cannot be read; 3 where Kafka does not answer.
    """
    from stepwatch.agents.controls import write_mute

    said = _mute(match, begins, until, reason, named(by))
    settings = _connect(data, bootstrap)
    asyncio.run(write_mute(settings, said))
    print(shown(f"{said.id}: {said.words}"))


@commands.command()
def mutes(
    every: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    file: File = None,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """List the mutes: of the routing file, and by command. Exit status 0; 3 where Kafka does not answer."""
    from stepwatch.cli.notify_shows import find_mutes, show_mutes

    settings = _connect(data, bootstrap)
    of_file = _routes(settings, file).mutes if file is not None or settings.notify_routes is not None else ()
    show_mutes(of_file, asyncio.run(find_mutes(settings)), every=every)


@commands.command()
def unmute(
    mute_id: Annotated[str, typer.Argument(metavar="ID", help="As `mutes` shows it.")],
    by: By = None,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """End a mute now. Exit status 0; 1 where there is no such mute, or it is over; 3 where Kafka does not answer."""
    import time

    from stepwatch.agents.controls import write_mute
    from stepwatch.cli.notify_shows import find_mutes
    from stepwatch.notifiers.mutes import ended

    who, settings = named(by), _connect(data, bootstrap)
    now_us = time.time_ns() // 1000
    found = {mute.id: mute for mute in asyncio.run(find_mutes(settings)) if mute.until > now_us}.get(mute_id)
    if found is None:
        say(
            f"{shown(mute_id)}: no such mute is in force; `stepwatch notify mutes` lists them, and those of a routing "
            "file are ended there"
        )
        raise typer.Exit(EXIT_PROBLEM)
    over = ended(found, who, now_us)
    asyncio.run(write_mute(settings, over))
    print(shown(f"{over.id}: {over.words}"))


@commands.command()
def enable(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name in the routing file.")],
    reason: Reason,
    by: By = None,
    file: File = None,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """Send to a channel again, after its receiver had asked for nothing more (410), or had refused what it was sent.

    What waits is sent at once, and what was refused before is tried once more. Exit status 0; 2 where there is no such
    channel; 3 where Kafka does not answer.
    """
    import time

    from stepwatch.agents.controls import write_switch
    from stepwatch.notifiers.ledger import Switch
    from stepwatch.schemas.times import format_time

    who, settings = named(by), _connect(data, bootstrap)
    routes = _routes(settings, file)
    if channel not in routes.channels:
        raise Misused(f"{channel}: no such channel; there are {', '.join(routes.channels)}")
    now = format_time(time.time_ns() // 1000)
    asyncio.run(write_switch(settings, Switch(channel, False, reason, who, now)))
    print(f"{channel}: enabled")


def _connect(data: Path | None, bootstrap: str | None) -> Settings:
    from stepwatch.cli.target import connect, quiet_logs

    settings = connect(data, bootstrap)
    quiet_logs(settings)
    return settings


def _routes(settings: Settings, file: Path | None) -> Routes:
    from stepwatch.notifiers.routing import load_routes

    path = file or settings.notify_routes
    if path is None:
        raise Misused("no routing file: name it with --routes, or set STEPWATCH_NOTIFY_ROUTES")
    return load_routes(path)


def _mute(match: list[str], begins: str | None, until: str, reason: str, by: str) -> Mute:
    import time
    import uuid

    from pydantic import ValidationError

    from stepwatch.notifiers.mutes import FIELDS, Mute
    from stepwatch.schemas.times import format_time

    conditions: dict[str, list[str]] = {}
    for condition in match:
        field, equals, pattern = condition.partition("=")
        if not equals or not pattern or field not in FIELDS:
            raise Misused(f"--match {condition}: expected FIELD=PATTERN, FIELD one of {', '.join(FIELDS)}")
        conditions.setdefault(field, []).append(pattern)
    said = {
        "match": conditions,
        "from": _moment("--from", begins or "0s"),
        "until": _moment("--until", until),
        "reason": reason,
        "by": by,
        "made": format_time(time.time_ns() // 1000),
        "id": f"mu_{uuid.uuid4().hex[:12]}",
    }
    try:
        return Mute.model_validate(said)
    except ValidationError as refused:
        raise Misused("; ".join(error["msg"] for error in refused.errors(include_url=False))) from None


def _moment(option: str, text: str) -> str:
    """A time, or so long from now, as RFC 3339."""
    import time

    from stepwatch.schemas.policy import parse_duration
    from stepwatch.schemas.times import format_time, parse_time

    if parse_time(text) is not None:
        return text
    try:
        return format_time(time.time_ns() // 1000 + parse_duration(text))
    except ValueError:
        raise Misused(
            f"{option} {text}: expected a duration like 2h or 1d, or a time like 2026-11-24T09:00:00Z"
        ) from None
