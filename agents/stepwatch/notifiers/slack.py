"""Slack: by an incoming webhook, a message for each step; by a bot's token, one message that is edited."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from stepwatch.notifiers.delivery import Answer, Delivery, Message, Outcome, Step
from stepwatch.notifiers.fit import fitted, utf16_units
from stepwatch.notifiers.http import HttpSender, Reply
from stepwatch.notifiers.notices import rank_of
from stepwatch.notifiers.secret import ReceiverWrong, Secret
from stepwatch.notifiers.sending import WebhookChannel, file_missing, json_bytes, links_of
from stepwatch.notifiers.words import head_of

API_URL = "https://slack.com/api"
DOCUMENTATION = "https://docs.slack.dev/reference/block-kit/blocks"
"""Where the limits of blocks are from."""
HEADER_UNITS_MAX = 150
SECTION_UNITS_MAX = 3000
FIELDS_MAX = 10
FIELD_UNITS_MAX = 2000
BLOCKS_MAX = 50
# All blocks together are refused beyond some 13,000 characters, found by others (slackapi/bolt-js issue 2509), so
# lines, facts and their number are kept shorter than each alone might be.
LINE_UNITS_MAX = 900
FACT_UNITS_MAX = 200
FACTS_MAX = 20
FALLBACK_UNITS_MAX = 500

_LATER = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_MESSAGES_FAULT = frozenset(
    {
        "invalid_arguments",
        "invalid_blocks",
        "invalid_blocks_format",
        "markdown_text_conflict",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "too_many_attachments",
    }
)
"""What says of a message that it is none. Any other error is of the channel: its token, its rights, its name."""
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found"})
"""Why a message cannot be edited any more: another is posted."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class SlackWebhook(WebhookChannel):
    """A channel of Slack that an incoming webhook posts to."""

    def build(self, delivery: Delivery) -> dict[str, Any]:
        """Text and blocks."""
        return build_content(delivery)


class SlackBot:
    """A channel of Slack that a bot posts to: one message for an incident, which later steps edit.

    The message's name and the severity that rang (`channel:ts:severity`) are the reference that comes back with the
    next delivery. An edit rings nobody, so an incident that opens again is another message, and one that grows graver
    is told in its thread and in the channel too. Without a name, or where Slack does not let the message be edited any
    more, another is posted.
    """

    resend_every_s = None

    def __init__(self, name: str, token: Secret, channel: str, sender: HttpSender, url: str = API_URL) -> None:
        """A channel.

        Args:
            name: of the channel, ours.
            token: of the bot, with the scope `chat:write`.
            channel: id of Slack's channel.
            sender: for Slack's address.
            url: of Slack's API.
        """
        self.name = name
        self._token = token
        self._channel = channel
        self._sender = sender
        self._url = url.rstrip("/")

    async def deliver(self, delivery: Delivery) -> Answer:
        """Post the incident's message, or edit it."""
        try:
            token = self._token.read()
        except ReceiverWrong as error:
            return file_missing(error)
        content, severity = build_content(delivery), delivery.message.severity
        channel, _, rest = delivery.reference.partition(":")
        ts, _, rang = rest.partition(":")
        post = {**content, "channel": self._channel, "unfurl_links": False, "unfurl_media": False}
        if ts and delivery.step is not Step.TRIGGER:
            answer, said = await self._call(token, "chat.update", {**content, "channel": channel, "ts": ts})
            is_graver = delivery.step is Step.UPDATE and rang != "" and rank_of(severity) > rank_of(rang)
            if answer.outcome is Outcome.DELIVERED and is_graver:
                post |= {"channel": channel, "thread_ts": ts, "reply_broadcast": True}
                answer, said = await self._call(token, "chat.postMessage", post)
            if said not in _GONE:
                kept = f"{channel}:{ts}:{severity if is_graver else rang}"
                return replace(answer, reference=kept if answer.outcome is Outcome.DELIVERED else "")
        answer, _ = await self._call(token, "chat.postMessage", post)
        return replace(answer, reference=answer.reference and f"{answer.reference}:{severity}")

    async def close(self) -> None:
        await self._sender.close()

    async def _call(self, token: str, method: str, body: dict[str, Any]) -> tuple[Answer, str]:
        """What Slack's answer means, and the error that it names."""
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self._url}/{method}"
        reply = await self._sender.send("POST", url, body=json_bytes(body), headers=headers, secrets=[token])
        return _meaning(reply, method)


def _meaning(reply: Reply, method: str) -> tuple[Answer, str]:
    """Slack says 200 to what it refuses: the body counts."""
    if reply.answer.outcome is not Outcome.DELIVERED:
        return reply.answer, ""
    try:
        said = json.loads(reply.body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return Answer(Outcome.RETRY, f"{method}: expected JSON, got something else; is a proxy between?"), ""
    if said.get("ok") is True:
        reference = f"{said.get('channel', '')}:{said.get('ts', '')}"
        return Answer(Outcome.DELIVERED, reply.answer.words, reference=reference), ""
    error = fitted(str(said.get("error")), 80)
    words = f"{method}: {error}"
    if error in _LATER:
        return Answer(Outcome.RETRY, words), error
    if error in _MESSAGES_FAULT:
        return Answer(Outcome.REFUSED, words, unsent=True), error
    return Answer(Outcome.RETRY, words, unsent=True, is_misset=True), error


def build_content(delivery: Delivery) -> dict[str, Any]:
    """Text and blocks of a message. Values stand in plain text only, where nothing is markup and nobody is called."""
    message = delivery.message
    headline = f"{head_of(delivery.step, message.severity)}: {message.title}"
    blocks = [
        {"type": "header", "text": _plain(headline, HEADER_UNITS_MAX)},
        _section("\n".join(_lines(message, headline))),
    ]
    facts = message.facts[:FACTS_MAX]
    for begin in range(0, len(facts), FIELDS_MAX):
        fields = [_plain(f"{name}: {value}", FACT_UNITS_MAX) for name, value in facts[begin : begin + FIELDS_MAX]]
        blocks.append({"type": "section", "fields": fields})
    if message.command and delivery.step is not Step.RESOLVE:
        blocks.append(_section(_escaped_line(message.command)))
    if links := links_of(message):
        text = " · ".join(f"<{_link(address)}|{name}>" for name, address in links)
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}})
    return {"text": _escaped_line(headline, FALLBACK_UNITS_MAX), "mrkdwn": False, "blocks": blocks}


def _lines(message: Message, headline: str) -> list[str]:
    # What the header has no room for stands whole below it.
    whole = [headline] if utf16_units(headline) > HEADER_UNITS_MAX else []
    return [_escaped_line(line) for line in (*whole, *message.lines)]


def _section(escaped: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "plain_text", "text": escaped, "emoji": False}}


def _plain(text: str, units_max: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": _escaped_line(text, units_max), "emoji": False}


def _escaped_line(text: str, units_max: int = LINE_UNITS_MAX) -> str:
    return fitted(text, units_max, escape=lambda char: _ENTITIES.get(char, char), size=utf16_units)


def _link(address: str) -> str:
    """An address inside `<...|...>`: what would end it is written as its number."""
    for char in "<>|":
        address = address.replace(char, f"%{ord(char):02X}")
    return address.replace("&", "&amp;")
