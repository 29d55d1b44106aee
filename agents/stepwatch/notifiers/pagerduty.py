"""PagerDuty, by its Events API v2: an incident under the alert's id."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from stepwatch.notifiers.delivery import Answer, Delivery, Message, Outcome, Step
from stepwatch.notifiers.fit import fitted, web_address
from stepwatch.notifiers.http import HttpSender
from stepwatch.notifiers.secret import ReceiverWrong, Secret
from stepwatch.notifiers.sending import file_missing, json_bytes, links_of

EVENTS_URL = "https://events.pagerduty.com/v2/enqueue"
DOCUMENTATION = "https://developer.pagerduty.com/docs/events-api-v2/trigger-events/"
"""Where the limits below are from."""
DEDUP_KEY_CHARACTERS_MAX = 255
SUMMARY_CHARACTERS_MAX = 1024
EVENT_BYTES_MAX = 512 * 1024
DETAIL_CHARACTERS_MAX = 1024
DETAILS_MAX = 50
"""Ours: details of the longest characters, these many, are less than half of an event."""
FIELD_CHARACTERS_MAX = 255

_SEVERITIES = {"critical": "critical", "high": "error", "medium": "warning", "low": "info"}
_ACTIONS = {
    Step.TRIGGER: "trigger",
    # A further trigger under an open key joins its incident: PagerDuty knows no update.
    Step.UPDATE: "trigger",
    Step.ACKNOWLEDGE: "acknowledge",
    Step.RESOLVE: "resolve",
}


class PagerDuty:
    """One service of PagerDuty."""

    resend_every_s = None

    def __init__(self, name: str, routing_key: Secret, sender: HttpSender, url: str = EVENTS_URL) -> None:
        """A service.

        Args:
            name: of the channel.
            routing_key: the integration key of the service.
            sender: for its address.
            url: of the Events API; accounts in Europe have one of their own.
        """
        self.name = name
        self._routing_key = routing_key
        self._sender = sender
        self._url = url

    async def deliver(self, delivery: Delivery) -> Answer:
        """Send one event; PagerDuty tells copies by the key."""
        try:
            key = self._routing_key.read()
        except ReceiverWrong as error:
            return file_missing(error)
        body = json_bytes(build_event(delivery, key))
        reply = await self._sender.send("POST", self._url, body=body, secrets=[key])
        if reply.answer.outcome is Outcome.REFUSED and b"routing" in reply.body.lower():
            # A 400 for the key of the service is no fault of this event: none would be taken.
            return replace(reply.answer, outcome=Outcome.RETRY, is_misset=True)
        return reply.answer

    async def close(self) -> None:
        await self._sender.close()


def build_event(delivery: Delivery, routing_key: str) -> dict[str, Any]:
    """The event of a delivery, with every field within PagerDuty's limits."""
    message = delivery.message
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": _ACTIONS[delivery.step],
        "dedup_key": dedup_key(delivery.key),
    }
    if event["event_action"] != "trigger":
        return event
    event["payload"] = _payload(message)
    event["client"] = "Stepwatch"
    if console := web_address(message.console):
        event["client_url"] = console
    event["links"] = [{"href": href, "text": text} for text, href in links_of(message)]
    return event


def dedup_key(key: str) -> str:
    """The key as PagerDuty takes it: one that is too long is replaced by its hash, the same each time."""
    if len(key) <= DEDUP_KEY_CHARACTERS_MAX:
        return key
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def _payload(message: Message) -> dict[str, Any]:
    details = [("what", message.lines[0]), ("to do", message.lines[1]), *message.facts, ("command", message.command)]
    payload: dict[str, Any] = {
        "summary": fitted(f"{message.title}: {message.lines[0]}", SUMMARY_CHARACTERS_MAX),
        "source": fitted(f"stepwatch/{message.tenant}" if message.tenant else "stepwatch", FIELD_CHARACTERS_MAX),
        "severity": _SEVERITIES.get(message.severity, "critical"),
        "class": fitted(message.kind, FIELD_CHARACTERS_MAX),
        "component": fitted(message.policy, FIELD_CHARACTERS_MAX),
        "group": fitted(message.tenant, FIELD_CHARACTERS_MAX),
        "custom_details": {
            fitted(name, FIELD_CHARACTERS_MAX): fitted(value, DETAIL_CHARACTERS_MAX)
            for name, value in details[:DETAILS_MAX]
            if value
        },
    }
    if message.first_time:
        payload["timestamp"] = message.first_time
    return payload
