"""A receiver of one's own, by Standard Webhooks: signed, so that it knows us, and told apart by id."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from standardwebhooks.webhooks import Webhook

from stepwatch.notifiers.delivery import Answer, Delivery
from stepwatch.notifiers.fit import fitted
from stepwatch.notifiers.http import HttpSender
from stepwatch.notifiers.secret import ReceiverWrong, Secret
from stepwatch.notifiers.sending import file_missing, json_bytes

DOCUMENTATION = "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"
KEY_BYTES_MIN = 24
"""As the specification has it."""
KEYS_MAX = 2
"""The key of now, and while it is rotated the former one."""
TEXT_CHARACTERS_MAX = 1000
FACTS_MAX = 50
"""Ours: a body stays well under 20 KB, as the specification asks for, unless texts are at their longest."""


class WebhookReceiver:
    """One address that takes Standard Webhooks."""

    resend_every_s = None

    def __init__(
        self,
        name: str,
        url: Callable[[], str],
        keys: Sequence[Secret],
        sender: HttpSender,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """An address.

        Args:
            name: of the channel.
            url: says the address; raises ReceiverWrong where it is a secret that cannot be read.
            keys: of signatures, each `whsec_` and base64; the receiver need know one of them only.
            sender: for the address.
            now: the wall clock: of the signature, against replays.

        Raises:
            ReceiverWrong: a key is none.
        """
        self.name = name
        self._url = url
        self._keys = keys
        self._sender = sender
        self._now = now
        _signers(keys)

    async def deliver(self, delivery: Delivery) -> Answer:
        """Post one event, signed by every key. The id is the same however often it is sent."""
        try:
            url, signers = self._url(), _signers(self._keys)
        except ReceiverWrong as error:
            return file_missing(error)
        now = self._now()
        body = json_bytes(build_event(delivery))
        message_id = id_of(delivery)
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signer.sign(message_id, now, body.decode()) for signer in signers),
        }
        return (await self._sender.send("POST", url, body=body, headers=headers)).answer

    async def close(self) -> None:
        await self._sender.close()


def id_of(delivery: Delivery) -> str:
    """The id by which a receiver tells a copy: key, version and step, in characters that a header may have."""
    return quote(f"{delivery.key}.{delivery.version}.{delivery.step.value}", safe="-_.:")


def build_event(delivery: Delivery) -> dict[str, Any]:
    """The event: `stepwatch.alert.` and the step; values are as they are said, for the receiver to escape."""
    message = delivery.message

    def text(value: str) -> str:
        return fitted(value, TEXT_CHARACTERS_MAX)

    return {
        "type": f"stepwatch.alert.{delivery.step.value}",
        "timestamp": message.first_time,
        "data": {
            "key": delivery.key,
            "version": delivery.version,
            "step": delivery.step.value,
            "title": text(message.title),
            "lines": [text(line) for line in message.lines],
            "facts": [{"name": text(name), "value": text(value)} for name, value in message.facts[:FACTS_MAX]],
            "severity": text(message.severity),
            "kind": text(message.kind),
            "tenant": text(message.tenant),
            "policy": text(message.policy),
            "owner": text(message.owner),
            "runbook": text(message.runbook),
            "console": text(message.console),
            "command": text(message.command),
            "first_time": message.first_time,
        },
    }


def _signers(keys: Sequence[Secret]) -> list[Webhook]:
    signers = []
    for key in keys:
        try:
            secret = b64decode(key.read().removeprefix("whsec_") + "==")
        except binascii.Error:
            secret = b""
        if len(secret) < KEY_BYTES_MIN:
            what = f"expected `whsec_` and base64 of at least {KEY_BYTES_MIN} bytes"
            raise ReceiverWrong("key_files", f"{key!r}: {what}, got something else")
        signers.append(Webhook(secret))
    return signers
