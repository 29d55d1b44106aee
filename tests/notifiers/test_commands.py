"""The command that a message gives is one that runs, and shows the evidence."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import click
import pytest
import typer
from clickhouse_connect.driver.client import Client

from stepwatch.cli.main import app
from stepwatch.notifiers.delivery import Step
from stepwatch.notifiers.messages import build_message
from stepwatch.store.migrate import migrate
from tests.notifiers.told import examples, of_pattern, shown
from tests.servers import ClickHouseSettings
from tests.store.conftest import emptied, settings_of
from tests.store.rows import alert, at, audit, evidence, load, select

KEY = "al_0123456789abcdef0123456789abcdef"


@pytest.fixture
def db(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    with emptied(clickhouse) as client:
        migrate(client, settings_of(clickhouse).clickhouse_database)
        yield client


def query_of(command: str) -> str:
    """What `stepwatch sql` is asked."""
    program, name, query = shlex.split(command)
    assert (program, name) == ("stepwatch", "sql")
    return query


def test_every_command_of_a_message_is_one_of_stepwatch() -> None:
    for name, message in examples():
        command: Any = typer.main.get_command(app)
        words = shlex.split(message.command)
        assert words[0] == "stepwatch", name
        for word in words[1:]:
            if isinstance(command, click.Group):
                command = command.commands[word]
        assert not isinstance(command, click.Group), name


@pytest.mark.live
def test_the_command_shows_the_action_and_its_verdict_and_no_other(db: Client) -> None:
    load(db, "audit", audit("a1", session="s-81", event_data="{}"), audit("a2"), audit("a1", subject="bob"))
    load(db, "authentications", evidence("e1"))
    load(db, "alerts", alert(1, alert_id=KEY, actions=["a1"]), alert(2, alert_id=KEY, actions=["a1"]))
    rows = select(db, query_of(build_message(shown(), Step.TRIGGER).command))
    assert [(row[0], row[1], row[3], row[4], row[5], row[6], row[8]) for row in rows] == [
        ("acme", "alice", "action", "payments.payout.approve", "unverified (no_step_up)", "s-81", "a1")
    ]


@pytest.mark.live
def test_the_command_shows_the_authentications_of_a_pattern(db: Client) -> None:
    anchors = [evidence(f"e{n}", type="stepup.failed", time=at(f"09:14:0{n}")) for n in (1, 2)]
    load(db, "authentications", *anchors, evidence("e3"))
    load(db, "alerts", alert(1, alert_id=KEY, kind="otp_guessing", actions=["e1", "e2"]))
    rows = select(db, query_of(build_message(of_pattern("otp_guessing"), Step.TRIGGER).command))
    assert [(row[3], row[4], row[8]) for row in rows] == [
        ("authentication", "stepup.failed", "e1"),
        ("authentication", "stepup.failed", "e2"),
    ]
