"""Deliveries for the tests of receivers: the ordinary one, a hostile one, one that is too long for anybody."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from stepwatch.notifiers.delivery import Answer, Delivery, Message, Receiver, Step
from stepwatch.notifiers.messages import build_message
from stepwatch.notifiers.receivers import ChannelConfig, build_receiver
from tests.notifiers.told import CONSOLE, of_reason

KEY = "al_0123456789abcdef0123456789abcdef"
HOSTILE = (
    "<!channel> <@U1> @everyone *b* _i_ `c` [x](https://evil.example) <b>&amp;</b> <at>a</at>\r\n\x1b[2J\u202e{{.}}"
)
LONG = "é😀" * 200_000
_CHANNEL: TypeAdapter[Any] = TypeAdapter(ChannelConfig)


def delivery(
    step: Step = Step.TRIGGER, *, version: int = 1, key: str = KEY, reference: str = "", **changes: Any
) -> Delivery:
    """Alice's payout that a stale proof does not cover, in this step."""
    over = {"state": "resolved", "resolved_by": "late_verification"} if step is Step.RESOLVE else {}
    message = build_message(of_reason("stale", version=version, **{**over, **changes}), step, console_url=CONSOLE)
    return Delivery(key, version, step, message, reference)


def of_text(text: str, step: Step = Step.TRIGGER, key: str = KEY) -> Delivery:
    """A message every field of which is this text, with a hundred facts."""
    facts = tuple((f"{text} {n}", text) for n in range(100))
    message = Message(text, (text, text), facts, text, text, text, text, text, text, text, text, "")
    return Delivery(key, 1, step, message)


def secret_file(folder: Path, text: str) -> str:
    """A file with a secret in it."""
    path = folder / f"secret-{len(list(folder.iterdir()))}"
    path.write_text(text + "\n", encoding="utf-8")
    return str(path)


def receiver(**channel: Any) -> Receiver:
    """The receiver of a channel as the routing file has it, on loopback."""
    http = {} if channel["type"] in ("apprise", "console") else {"allow_private": True}
    return build_receiver(_CHANNEL.validate_python({"name": "pager", **http, **channel}))


def deliver(to: Receiver, *deliveries: Delivery) -> list[Answer]:
    """Deliver in turn, then close."""

    async def go() -> list[Answer]:
        answers = [await to.deliver(each) for each in deliveries]
        await to.close()
        return answers

    return asyncio.run(go())
