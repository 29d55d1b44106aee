"""Slack is told in blocks in which no value is markup, within its limits; a bot edits its own message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwatch.notifiers.delivery import Outcome, Receiver, Step
from stepwatch.notifiers.fit import utf16_units
from stepwatch.notifiers.slack import (
    BLOCKS_MAX,
    FIELD_UNITS_MAX,
    FIELDS_MAX,
    HEADER_UNITS_MAX,
    SECTION_UNITS_MAX,
    build_content,
)
from tests.notifiers.deliveries import HOSTILE, KEY, LONG, deliver, delivery, of_text, receiver, secret_file
from tests.notifiers.loopback import Got, Loopback, Says, loopback

ALL_BLOCKS_UNITS_MAX = 13_000
"""Beyond it `msg_blocks_too_long` was met (slackapi/bolt-js issue 2509)."""


def texts(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each text object of a message with the kind of its block."""
    for block in content["blocks"]:
        for text in [block["text"]] if "text" in block else block["fields"]:
            yield block["type"] if "text" in block else "field", text


def test_a_webhook_is_posted_a_message_for_each_step_with_the_alerts_id(tmp_path: Path) -> None:
    with loopback(Says(200, b"ok")) as server:
        slack = receiver(type="slack", url_file=secret_file(tmp_path, f"{server.url}/services/T0/B0/secret"))
        answers = deliver(slack, *(delivery(step) for step in Step))
    assert {answer.outcome for answer in answers} == {Outcome.DELIVERED}
    assert {got.path for got in server.got} == {"/services/T0/B0/secret"}
    heads = [got.json["text"].split(":")[0] for got in server.got]
    assert heads == ["OPENED critical", "CHANGED critical", "ACKNOWLEDGED critical", "RESOLVED"]
    assert all(KEY in got.body.decode() for got in server.got)


def test_a_message_says_what_happened_what_is_missing_and_what_to_do() -> None:
    content = build_content(delivery())
    said = [text["text"] for _, text in texts(content)]
    assert said[0] == "OPENED critical: alice: payments.payout.approve on payout po_991: not verified"
    assert said[1].split("\n") == [
        "the last proof was too old; nearest: security key tap 42 s too old",
        "do: https://runbooks.acme.example/payout · owner payments-oncall",
    ]
    assert "nearest proof: security key tap 42 s too old" in said
    assert said[-1].startswith(
        "<https://runbooks.acme.example/payout|Runbook> · <https://stepwatch.acme.example/alerts/"
    )


def test_no_value_is_markup_or_calls_anybody() -> None:
    content = build_content(of_text(HOSTILE))
    assert {text["type"] for _, text in texts(content)} == {"plain_text"}
    assert "<" not in json.dumps(content)
    assert "&lt;!channel&gt;" in content["text"]
    assert "\\x0d\\x0a" in content["text"]
    assert content["mrkdwn"] is False


def test_an_address_cannot_end_its_link() -> None:
    address = "https://a.example/<|>&x"
    link = build_content(delivery(runbook=address))["blocks"][-1]["text"]["text"]
    assert link.startswith("<https://a.example/%3C%7C%3E&amp;x|Runbook>")


def test_what_is_no_web_address_is_no_link() -> None:
    content = build_content(delivery(runbook="javascript:alert(1)"))
    assert "javascript" not in content["blocks"][-1]["text"]["text"]


@pytest.mark.parametrize("text", [LONG, "&" * 50_000, HOSTILE * 1000])
def test_blocks_of_any_text_stay_within_slacks_limits(text: str) -> None:
    content = build_content(of_text(text))
    limits = {"header": HEADER_UNITS_MAX, "section": SECTION_UNITS_MAX, "field": FIELD_UNITS_MAX}
    sizes = [(kind, utf16_units(piece["text"])) for kind, piece in texts(content)]
    assert [(kind, size) for kind, size in sizes if size > limits[kind]] == []
    assert sum(size for _, size in sizes) < ALL_BLOCKS_UNITS_MAX
    assert len(content["blocks"]) <= BLOCKS_MAX
    assert max(len(block["fields"]) for block in content["blocks"] if "fields" in block) <= FIELDS_MAX


@pytest.mark.parametrize("units", [HEADER_UNITS_MAX - len("OPENED critical: "), HEADER_UNITS_MAX])
def test_a_title_that_the_header_cuts_stands_whole_below_it(units: int) -> None:
    content = build_content(delivery(title="t" * units, subject=""))
    header, section = content["blocks"][0]["text"]["text"], content["blocks"][1]["text"]["text"]
    is_cut = units == HEADER_UNITS_MAX
    assert header.endswith("…") is is_cut
    assert ("t" * units in section) is is_cut


def test_an_entity_is_never_cut_in_two() -> None:
    cut = [build_content(of_text("x" * spare + "&" * 1000))["text"] for spare in range(6)]
    assert all(text.endswith("&amp;…") and text.count("&") == text.count("&amp;") for text in cut)


# A bot.


def slack_api(got: Got) -> Says:
    """Slack's answer to a post or an edit of the message 17.1 in channel C1."""
    said = got.json
    if got.path.endswith("/chat.update") and said["ts"] != "17.1":
        return Says(200, b'{"ok":false,"error":"message_not_found"}')
    return Says(200, b'{"ok":true,"channel":"C1","ts":"17.1"}')


def bot_for(server: Loopback, folder: Path) -> Receiver:
    return receiver(type="slack", token_file=secret_file(folder, "xoxb-1"), channel="C1", api_url=server.url)


def test_a_bot_posts_one_message_and_edits_it(tmp_path: Path) -> None:
    with loopback() as server:
        server.answers = [slack_api]
        bot = bot_for(server, tmp_path)
        opened, resolved = deliver(bot, delivery(), delivery(Step.RESOLVE, reference="C1:17.1:critical"))
    assert (opened.outcome, opened.reference) == (Outcome.DELIVERED, "C1:17.1:critical")
    assert (resolved.outcome, resolved.reference) == (Outcome.DELIVERED, "C1:17.1:critical")
    post, update = server.got
    assert (post.path, update.path) == ("/chat.postMessage", "/chat.update")
    assert (post.json["channel"], update.json["channel"], update.json["ts"]) == ("C1", "C1", "17.1")
    assert post.headers["Authorization"] == "Bearer xoxb-1"
    assert update.json["text"].startswith("RESOLVED: ")


def test_an_incident_that_opens_again_is_another_message_since_an_edit_rings_nobody(tmp_path: Path) -> None:
    with loopback() as server:
        server.answers = [slack_api]
        [answer] = deliver(bot_for(server, tmp_path), delivery(version=3, reference="C1:5.5:critical"))
    assert [got.path for got in server.got] == ["/chat.postMessage"]
    assert answer.reference == "C1:17.1:critical"


def test_one_that_grows_graver_is_told_in_its_thread_and_in_the_channel(tmp_path: Path) -> None:
    with loopback() as server:
        server.answers = [slack_api]
        worse = delivery(Step.UPDATE, version=2, reference="C1:17.1:high")
        [answer] = deliver(bot_for(server, tmp_path), worse)
    update, reply = server.got
    assert (update.path, reply.path) == ("/chat.update", "/chat.postMessage")
    assert (reply.json["thread_ts"], reply.json["reply_broadcast"]) == ("17.1", True)
    # Later steps edit the incident's own message.
    assert answer.reference == "C1:17.1:critical"


@pytest.mark.parametrize("rang", ["critical", ""])
def test_one_that_only_grows_is_edited(rang: str, tmp_path: Path) -> None:
    with loopback() as server:
        server.answers = [slack_api]
        deliver(bot_for(server, tmp_path), delivery(Step.UPDATE, version=2, count=9, reference=f"C1:17.1:{rang}"))
    assert [got.path for got in server.got] == ["/chat.update"]


@pytest.mark.parametrize("reference", ["C1:9.9", "C1:", "garbled", "C1:9.9:low"])
def test_a_message_that_cannot_be_edited_is_followed_by_another(reference: str, tmp_path: Path) -> None:
    with loopback() as server:
        server.answers = [slack_api]
        [answer] = deliver(bot_for(server, tmp_path), delivery(Step.UPDATE, reference=reference))
    assert (answer.outcome, answer.reference) == (Outcome.DELIVERED, "C1:17.1:critical")
    assert server.got[-1].path == "/chat.postMessage"


@pytest.mark.parametrize(
    ("body", "outcome", "words"),
    [
        (b'{"ok":false,"error":"ratelimited"}', Outcome.RETRY, "ratelimited"),
        (b'{"ok":false,"error":"internal_error"}', Outcome.RETRY, "internal_error"),
        (b'{"ok":false,"error":"invalid_auth"}', Outcome.RETRY, "invalid_auth"),
        (b'{"ok":false,"error":"token_revoked"}', Outcome.RETRY, "token_revoked"),
        (b'{"ok":false,"error":"not_in_channel"}', Outcome.RETRY, "not_in_channel"),
        (b'{"ok":false,"error":"msg_blocks_too_long"}', Outcome.REFUSED, "msg_blocks_too_long"),
        (b'{"ok":false,"error":"invalid_blocks"}', Outcome.REFUSED, "invalid_blocks"),
        (b'{"ok":false}', Outcome.RETRY, "None"),
        (b"<html>", Outcome.RETRY, "expected JSON"),
        (b"[]", Outcome.RETRY, "expected JSON"),
    ],
)
def test_what_slack_refuses_with_200_is_no_success(body: bytes, outcome: Outcome, words: str, tmp_path: Path) -> None:
    with loopback(Says(200, body)) as server:
        [answer] = deliver(bot_for(server, tmp_path), delivery())
    assert answer.outcome is outcome
    assert words in answer.words
    # What an operator has set wrong is nothing that waiting mends.
    assert answer.is_misset is (words in ("invalid_auth", "token_revoked", "not_in_channel", "None"))
