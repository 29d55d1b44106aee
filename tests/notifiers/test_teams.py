"""Teams is told in a card in which no text is markup, shorter than it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepwatch.notifiers.delivery import Outcome, Step
from stepwatch.notifiers.sending import json_bytes
from stepwatch.notifiers.teams import MESSAGE_BYTES_MAX, build_card
from tests.notifiers.deliveries import HOSTILE, KEY, LONG, deliver, delivery, of_text, receiver, secret_file
from tests.notifiers.loopback import Says, loopback


def card_of(message: dict[str, Any]) -> dict[str, Any]:
    [attachment] = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card: dict[str, Any] = attachment["content"]
    return card


def texts(card: dict[str, Any]) -> list[str]:
    """The lines of a card."""
    return ["".join(run["text"] for run in block["inlines"]) for block in card["body"]]


def test_each_step_is_a_card_with_the_alerts_id(tmp_path: Path) -> None:
    with loopback(Says(202, b"")) as server:
        teams = receiver(type="teams", url_file=secret_file(tmp_path, f"{server.url}/workflows/secret?sig=s"))
        answers = deliver(teams, *(delivery(step) for step in Step))
    assert {answer.outcome for answer in answers} == {Outcome.DELIVERED}
    assert {got.path for got in server.got} == {"/workflows/secret?sig=s"}
    cards = [card_of(got.json) for got in server.got]
    heads = [texts(card)[0].split(":")[0] for card in cards]
    assert heads == ["OPENED critical", "CHANGED critical", "ACKNOWLEDGED critical", "RESOLVED"]
    assert all(f"alert: {KEY}" in texts(card) for card in cards)


def test_a_card_says_what_is_missing_what_to_do_and_where_to_look() -> None:
    card = card_of(build_card(delivery()))
    assert texts(card)[1:3] == [
        "the last proof was too old; nearest: security key tap 42 s too old",
        "do: https://runbooks.acme.example/payout · owner payments-oncall",
    ]
    assert [(action["title"], action["type"]) for action in card["actions"]] == [
        ("Runbook", "Action.OpenUrl"),
        ("Console", "Action.OpenUrl"),
    ]


def test_all_text_stands_in_runs_which_teams_reads_as_text() -> None:
    card = card_of(build_card(of_text(HOSTILE)))
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert {run["type"] for block in card["body"] for run in block["inlines"]} == {"TextRun"}
    assert all(line.isprintable() for line in texts(card))
    assert card["actions"] == []


@pytest.mark.parametrize("text", [LONG, HOSTILE * 1000, '"' * 10_000, "x"])
def test_a_card_of_any_text_is_shorter_than_teams_takes(text: str) -> None:
    message = build_card(of_text(text))
    assert len(json_bytes(message)) <= MESSAGE_BYTES_MAX
    assert len(card_of(message)["body"]) > 3


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"1", Outcome.DELIVERED),
        (b"delivery failed with error: Microsoft Teams endpoint returned HTTP error 429", Outcome.RETRY),
        (b"delivery failed with error: Microsoft Teams endpoint returned HTTP error 413", Outcome.REFUSED),
        (b"delivery failed with error: Microsoft Teams endpoint returned HTTP error 403", Outcome.RETRY),
    ],
)
def test_what_a_connector_refuses_with_200_is_no_success(body: bytes, outcome: Outcome, tmp_path: Path) -> None:
    with loopback(Says(200, body)) as server:
        teams = receiver(type="teams", url_file=secret_file(tmp_path, server.url + "/x"))
        assert deliver(teams, delivery())[0].outcome is outcome
