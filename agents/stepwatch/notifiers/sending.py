"""What the receivers have in common: bodies as JSON, the lines of a message, a secret that is not there."""

from __future__ import annotations

import json
from typing import Any

from stepwatch.notifiers.delivery import Answer, Message, Outcome
from stepwatch.notifiers.fit import web_address
from stepwatch.notifiers.secret import ReceiverWrong


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
