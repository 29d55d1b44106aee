"""`stepwatch alerts`: what is open, one alert with its past, and what a person decides about it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.asking import Bootstrap
from stepwatch.cli.errors import Misused
from stepwatch.cli.screen import say
from stepwatch.cli.who import named

if TYPE_CHECKING:
    from stepwatch.agents.alert_log import AlertState

commands = typer.Typer(no_args_is_help=True, help="Alerts: list, show, acknowledge, resolve, note, mute.")
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of a running `stepwatch up`.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it; the first characters are enough.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who decides; default: the user of this system.")]
Why = Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; kept in the alert's history.")]
Seen = Annotated[
    int | None, typer.Option(min=1, metavar="VERSION", help="The version that you looked at; default: the last.")
]
Wait = Annotated[float, typer.Option("--wait", min=0, metavar="SECONDS", help="How long to wait for the effect.")]
WAIT_S = 15.0
_ALL = "all"
_TEXT_MAX = 4000


@commands.command("list")
def list_(
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE", help="open, acknowledged, resolved or all; may be repeated; default: not resolved."
        ),
    ] = None,
    severity: Annotated[
        list[str] | None, typer.Option(metavar="SEVERITY", help="low, medium, high or critical; may be repeated.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(metavar="TENANT", help="Only of this tenant.")] = None,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Only of this kind.")] = None,
    policy: Annotated[str | None, typer.Option(metavar="ID", help="Only of this policy.")] = None,
    subject: Annotated[str | None, typer.Option(metavar="SUBJECT", help="Only about this subject.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only those that changed since: 2h, 7d, or an RFC 3339 time.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="At most so many; 0: all.")] = 50,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """List alerts, the severest and then the newest first.

    Read from ClickHouse, and where that is away from Kafka; standard error says which. Exit status 0; 3 where neither
    answers.
    """
    from stepwatch.agents.alert_log import STATES, WantedAlerts
    from stepwatch.cli.alerts_found import find_alerts
    from stepwatch.cli.alerts_show import show_list
    from stepwatch.cli.since import since_us
    from stepwatch.cli.target import connect, quiet_logs
    from stepwatch.notifiers.notices import SEVERITIES

    states = _one_of("--state", state or STATES[:2], (*STATES, _ALL))
    wanted = WantedAlerts(
        states=() if _ALL in states else states,
        severities=_one_of("--severity", severity or (), SEVERITIES),
        tenant=tenant,
        kind=kind,
        policy=policy,
        subject=subject,
        since_us=None if since is None else since_us(since),
    )
    settings = connect(data, bootstrap, as_reader=True)
    quiet_logs(settings)
    show_list(find_alerts(settings, wanted, limit), as_json=as_json)


@commands.command()
def show(alert_id: Id, as_json: AsJson = False, bootstrap: Bootstrap = None, data: Data = None) -> None:
    """Show an alert and its history.

    Each change of its state, and each decision with who took it, when and why. Exit status 0; 2 where no alert, or more
    than one, begins so; 3 where neither ClickHouse nor Kafka answers.
    """
    from stepwatch.cli.alerts_found import find_alert
    from stepwatch.cli.alerts_show import show_alert
    from stepwatch.cli.target import connect, quiet_logs

    settings = connect(data, bootstrap, as_reader=True)
    quiet_logs(settings)
    alert, history, where = find_alert(settings, alert_id)
    show_alert(alert, history, where, as_json=as_json)


@commands.command()
def ack(
    alert_id: Id,
    by: By = None,
    note: Why = "",
    seen: Seen = None,
    wait: Wait = WAIT_S,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """Say that somebody has an alert in hand.

    It covers what had joined the alert up to the version that was looked at. Returns when the new state is read back.
    Exit status 0; 1 where nothing changed; 2 where not one alert begins so; 3 where Kafka does not answer.
    """
    _decide("acknowledge", alert_id, by, note, seen, wait, as_json, bootstrap, data)


@commands.command()
def resolve(
    alert_id: Id,
    by: By = None,
    note: Why = "",
    seen: Seen = None,
    wait: Wait = WAIT_S,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """Say that an alert is dealt with.

    It opens again only for an action that it did not have. Returns when the new state is read back; exit status as of
    `ack`.
    """
    _decide("resolve", alert_id, by, note, seen, wait, as_json, bootstrap, data)


@commands.command()
def note(
    alert_id: Id,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is to be known about it.")],
    by: By = None,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """Write a word into an alert's history; its state stays.

    Exit status 0; 2 where no alert, or more than one, begins so; 3 where Kafka does not answer.
    """
    if not text.strip():
        raise Misused("the note is empty: write what is to be known about the alert")
    _decide("note", alert_id, by, text, None, 0, as_json, bootstrap, data)


@commands.command()
def mute(
    alert_id: Id,
    until: Annotated[str, typer.Option(metavar="TIME", help="Until when: 2h, 1d, or an RFC 3339 time.")],
    reason: Annotated[str, typer.Option(metavar="WORDS", help="Why; kept with it.")],
    by: By = None,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """Keep alerts like this one quiet for a time: of its kind, its policy and its subject.

    A `stepwatch notify mute` of that; `notify mutes` lists it, `notify unmute` ends it. The alerts themselves stay.
    Exit status 0; 2 where not one alert begins so; 3 where Kafka does not answer.
    """
    from stepwatch.cli import notify
    from stepwatch.cli.alerts_found import find_standing
    from stepwatch.cli.target import connect, quiet_logs

    who = named(by)
    settings = connect(data, bootstrap)
    quiet_logs(settings)
    alert = find_standing(settings, alert_id).alert
    notify.mute(conditions_like(alert), until, reason, None, who, bootstrap, data)


def conditions_like(alert: AlertState) -> list[str]:
    """Conditions by which alerts of the same kind, policy and subject are meant, or only this one."""
    from stepwatch.notifiers.mutes import match_like

    said = match_like(alert).model_dump(exclude_defaults=True)
    return [f"{name}={value}" for name, (value,) in said.items()]


def _decide(
    decision: str,
    alert_id: str,
    by: str | None,
    note: str,
    seen: int | None,
    wait_s: float,
    as_json: bool,
    bootstrap: str | None,
    data: Path | None,
) -> None:
    from stepwatch.agents.responding import build_response, refusal_of, respond
    from stepwatch.cli.alerts_found import find_standing
    from stepwatch.cli.alerts_show import show_facts
    from stepwatch.cli.target import connect, quiet_logs

    who = named(by)
    if len(note) > _TEXT_MAX:
        raise Misused(f"--note has {len(note):,} characters: expected at most {_TEXT_MAX:,}")
    settings = connect(data, bootstrap)
    quiet_logs(settings)
    standing = find_standing(settings, alert_id)
    alert = standing.alert
    if refused := refusal_of(alert, decision):
        say(f"{alert['alert_id']}: {refused}")
        raise typer.Exit(EXIT_PROBLEM)
    if seen is not None and seen > alert["version"]:
        raise Misused(f"--seen {seen}: the alert is at version {alert['version']}, so nobody has seen that one yet")
    now_us = time.time_ns() // 1000
    response = build_response(alert, decision, who, note, seen or alert["version"], now_us)
    effect = asyncio.run(respond(settings, standing, response, wait_s))
    if as_json:
        print(json.dumps({**effect.alert, "response": response.model_dump()}, ensure_ascii=False))
    else:
        show_facts(effect.alert)
    if not effect.done:
        say(f"{alert['alert_id']}: {effect.words}")
        raise typer.Exit(EXIT_PROBLEM)
    said = "noted" if decision == "note" else effect.alert["state"] if wait_s else "written, and not waited for"
    say(f"{alert['alert_id']}: {said}, by {who}")


def _one_of(option: str, values: list[str] | tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if value not in allowed:
            raise Misused(f"{option} {value}: expected one of {', '.join(allowed)}")
    return tuple(values)
