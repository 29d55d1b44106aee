"""Microsoft Teams, by the webhook of a workflow: an Adaptive Card for each step."""

from __future__ import annotations

import re
from typing import Any

from stepwatch.notifiers.delivery import Answer, Delivery, Outcome, Step
from stepwatch.notifiers.fit import fitted
from stepwatch.notifiers.http import Reply, meaning
from stepwatch.notifiers.sending import WebhookChannel, json_bytes, links_of
from stepwatch.notifiers.words import head_of

DOCUMENTATION = (
    "https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook"
)
"""Where the limit of 28 KB is from; others met it at 21 KB (msteams_hermes)."""
MESSAGE_BYTES_MAX = 20_000
TITLE_CHARACTERS_MAX = 300
LINE_CHARACTERS_MAX = 800
FACT_CHARACTERS_MAX = 200
FACTS_MAX = 30
_FAILED = re.compile(rb"returned HTTP error ([3-5]\d\d)")
_COLOURS = {"critical": "attention", "high": "attention", "medium": "warning", "low": "accent"}


class Teams(WebhookChannel):
    """One channel or chat of Teams."""

    def build(self, delivery: Delivery) -> dict[str, Any]:
        """A card."""
        return build_card(delivery)

    def meaning(self, reply: Reply) -> Answer:
        """Connectors say 200, and in the body by which status Teams itself did not take it."""
        failed = _FAILED.search(reply.body) if reply.answer.outcome is Outcome.DELIVERED else None
        if failed is None:
            return reply.answer
        return meaning(int(failed[1]), shown="in the body of a 200")


def build_card(delivery: Delivery) -> dict[str, Any]:
    """The message with its card, shorter than Teams takes: facts are left out from the end until it fits.

    All text stands in text runs, in which Teams reads no markup and calls nobody.
    """
    facts = list(delivery.message.facts[:FACTS_MAX])
    card = _card(delivery, facts)
    while facts and len(json_bytes(card)) > MESSAGE_BYTES_MAX:
        facts.pop()
        card = _card(delivery, facts)
    return card


def _card(delivery: Delivery, facts: list[tuple[str, str]]) -> dict[str, Any]:
    message = delivery.message
    over = delivery.step is Step.RESOLVE
    colour = "good" if over else _COLOURS.get(message.severity, "attention")
    head = {"weight": "bolder", "size": "medium", "color": colour}
    body = [_text(_run(f"{head_of(delivery.step, message.severity)}: {message.title}", TITLE_CHARACTERS_MAX, **head))]
    body += [_text(_run(line, LINE_CHARACTERS_MAX)) for line in message.lines]
    body += [
        _text(_run(f"{name}: ", FACT_CHARACTERS_MAX, weight="bolder"), _run(value, FACT_CHARACTERS_MAX))
        for name, value in facts
    ]
    if message.command and not over:
        body.append(_text(_run(message.command, LINE_CHARACTERS_MAX, fontType="monospace")))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": name, "url": url} for name, url in links_of(message)],
    }
    content_type = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": content_type, "contentUrl": None, "content": card}]}


def _text(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, characters_max: int, **style: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": fitted(text, characters_max), **style}
