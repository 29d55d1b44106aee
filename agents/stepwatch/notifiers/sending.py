"""What the receivers have in common: bodies as JSON, the lines of a message, an address that is a secret."""

from __future__ import annotations

import json
from typing import Any

from stepwatch.notifiers.delivery import Answer, Delivery, Message, Outcome
from stepwatch.notifiers.fit import web_address
from stepwatch.notifiers.http import HttpSender, Reply
from stepwatch.notifiers.secret import ReceiverWrong, Secret


def json_bytes(body: Any) -> bytes:
    """A body as JSON, UTF-8."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def file_missing(error: ReceiverWrong) -> Answer:
    """The answer where a secret could not be read: nothing was sent, and it may be there again in a moment."""
    return Answer(Outcome.RETRY, str(error), unsent=True)


def links_of(message: Message) -> list[tuple[str, str]]:
    """Name and address of each link of a message that is one."""
    links = [("Runbook", web_address(message.runbook)), ("Console", web_address(message.console))]
    return [(name, address) for name, address in links if address]


class WebhookChannel:
    """A channel of a chat program that a webhook posts to. It cannot edit: each step is a message with the id."""

    resend_every_s = None

    def __init__(self, name: str, url: Secret, sender: HttpSender) -> None:
        """A channel.

        Args:
            name: of the channel, ours.
            url: of the webhook, which is a secret.
            sender: for its address.
        """
        self.name = name
        self._url = url
        self._sender = sender

    def build(self, delivery: Delivery) -> dict[str, Any]:
        """The body of a delivery."""
        raise NotImplementedError

    def meaning(self, reply: Reply) -> Answer:
        """What a reply means; by its status, unless the program says otherwise."""
        return reply.answer

    async def deliver(self, delivery: Delivery) -> Answer:
        """Post one message."""
        try:
            url = self._url.read()
        except ReceiverWrong as error:
            return file_missing(error)
        return self.meaning(await self._sender.send("POST", url, body=json_bytes(self.build(delivery))))

    async def close(self) -> None:
        await self._sender.close()
