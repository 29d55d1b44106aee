"""From the backlog to the server, for as long as the reporter lives: one request at a time, the oldest events first.

A request is answered before the next is made, so the order of the events is kept; what got no answer is sent again as
it was, since a copy of an event changes nothing (contract section 3), while a lost one would.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import msgspec

from stepwatch.sdk import held
from stepwatch.sdk.backlog import Backlog
from stepwatch.sdk.bearer import NoToken
from stepwatch.sdk.http_answers import Meaning, understand
from stepwatch.sdk.http_client import Answer, HttpClient
from stepwatch.sdk.posting import Poster

PATH: Final = "/v1/events"
CONTENT_TYPE: Final = "application/cloudevents-batch+json"
GZIP_MIN_BYTES: Final = 1024
"""A smaller body fits into one packet as it is."""
_LINGER_S: Final = 0.02
"""How long a first event waits for others."""
_RETRY_S: Final = (0.2, 30.0)
"""Full jitter: a try comes after anything from 0 to a limit that doubles from the first of these to the second."""
_SLOW_S: Final = 30.0
"""Where a person must change something first."""
_LOOK_S: Final = 0.5
"""While an answer or a try is waited for: how often memory is moved to the disk, and a new token looked for."""
_DENIED_FINAL_S: Final = 60.0
"""Rights that are being changed take less; as with Kafka (`denials.py`)."""


class HttpSender:
    """Sends what is held; lives in one event loop."""

    def __init__(self, client: HttpClient, holding: held.Held, backlog: Backlog) -> None:
        self._client = client
        self._held = holding
        self._backlog = backlog
        self._poster = Poster()
        self._tries = 0
        self._hurried = False
        self._denied: tuple[float, float] | None = None
        self.more = asyncio.Event()

    def prepare(self) -> None:
        """Start the thread that waits for answers.

        Raises:
            RuntimeError: there is none to start.
        """
        self._poster.start()

    def discard(self) -> None:
        """End that thread."""
        self._poster.stop()

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            while True:
                await self._round()
        finally:
            self._poster.stop()

    async def _round(self) -> None:
        self.more.clear()
        if values := self._held.next():
            await self._deliver(values, self._held.settle)
        elif beat := self._backlog.due_heartbeat():
            await self._deliver([beat.value], self._backlog.beaten)
        else:
            # Not for ever: another process may have left something behind.
            with suppress(TimeoutError):
                await asyncio.wait_for(self.more.wait(), held.LOOK_EVERY_S)
            await asyncio.sleep(_LINGER_S)

    async def _deliver(self, values: Sequence[bytes], settle: Callable[[int], None]) -> None:
        """Send until each is accepted or refused, or all lie on disk and are to be read from there."""
        parts, refused = [list(values)], 0
        while parts:
            part = parts.pop()
            meaning, moved = await self._try(part)
            if meaning.away:
                parts.append(part)
                moved = await self._pause(meaning) or moved
            elif meaning.split and len(part) > 1:
                half = len(part) // 2
                parts += [part[half:], part[:half]]
            else:
                why: Mapping[int, str] = {0: meaning.split} if meaning.split else meaning.refused
                refused += len(why)
                for index, said in why.items():
                    self._backlog.refusal = f"{_id_of(part[index])}: {said}"
                left = [value for index, value in enumerate(part) if index not in why]
                if why and left:
                    parts.append(left)
            if moved:
                # Asked again from there, what was accepted just now too: it changes nothing.
                return
        settle(refused)
        if not refused:
            # All of them were let in: whoever is denied from now on has a minute of their own.
            self._denied = None

    async def _try(self, part: Sequence[bytes]) -> tuple[Meaning, bool]:
        """What the server says, and whether any of it was moved to the disk meanwhile."""
        asked, moved = await self._asked(part)
        try:
            answer = asked.result()
        except Exception as error:
            # Whatever it is: events are not given up for it, and `away` says it.
            meaning = Meaning(away=str(error) or type(error).__name__, passing=not isinstance(error, NoToken))
        else:
            meaning = understand(answer, len(part), denied_for_good=self._is_denied_for_good(answer.status))
            if meaning.away:
                meaning = replace(meaning, away=f"{self._client.at} {meaning.away}")
        if not meaning.away:
            self._backlog.away, self._tries, self._hurried = "", 0, False
            self._backlog.skip(meaning.skipped, meaning.unknown)
        return meaning, moved

    async def _asked(self, part: Sequence[bytes]) -> tuple[asyncio.Future[Answer], bool]:
        """Ask, and keep memory free meanwhile: the server may take its time."""
        asked, moved = self._poster.call(lambda: self._post(part)), False
        self._backlog.asked_at_s = time.monotonic()
        try:
            while not (await asyncio.wait([asked], timeout=_LOOK_S))[0]:
                if self._backlog.is_half_full:
                    moved = self._held.spill() or moved
        finally:
            self._backlog.asked_at_s = None
            asked.cancel()
        return asked, moved

    def _post(self, part: Sequence[bytes]) -> Answer:
        body = b"[" + b",".join(part) + b"]"
        headers = {"Content-Type": CONTENT_TYPE}
        if len(body) > GZIP_MIN_BYTES:
            # The fastest level: a thousand actions of one kind shrink to a sixteenth by it.
            body, headers["Content-Encoding"] = gzip.compress(body, 1, mtime=0), "gzip"
        return self._client.ask("POST", PATH, body=body, headers=headers)

    def _is_denied_for_good(self, status: int) -> bool:
        """Whether events that the token may not send were denied for a minute: one of them must not hold all up."""
        if status != 403:
            return False
        now_s = time.monotonic()
        first_s, last_s = self._denied or (now_s, now_s)
        self._denied = (first_s if now_s - last_s <= 2 * _DENIED_FINAL_S else now_s, now_s)
        return now_s - self._denied[0] >= _DENIED_FINAL_S

    async def _pause(self, meaning: Meaning) -> bool:
        """Wait for the next try, and keep memory free meanwhile; True: what was tried lies on disk now."""
        trouble = f"; the spool: {self._held.trouble}" if self._held.trouble else ""
        self._backlog.away = meaning.away + trouble
        until_s = time.monotonic() + self._pause_s(meaning)
        token = self._client.credentials()
        moved = self._held.spill()
        while (left_s := until_s - time.monotonic()) > 0 and not self._is_hurried(token):
            await asyncio.sleep(min(_LOOK_S, left_s))
            moved = self._held.spill() or moved
        return moved

    def _pause_s(self, meaning: Meaning) -> float:
        if not meaning.passing:
            return random.uniform(_SLOW_S / 2, _SLOW_S)
        limit_s = min(_RETRY_S[1], _RETRY_S[0] * 2.0 ** min(self._tries, 20))
        self._tries += 1
        # Those who were all told the same time do not come back all at once.
        return max(random.uniform(0, limit_s), meaning.retry_after_s * random.uniform(1.0, 1.2))

    def _is_hurried(self, token: str | None) -> bool:
        """Whether to try at once: the reporter is being closed, or there is another token."""
        if self._backlog.closed and not self._hurried:
            self._hurried = True
            return True
        return self._client.credentials() != token


class _WithId(msgspec.Struct):
    id: str = ""


def _id_of(value: bytes) -> str:
    try:
        return f"event {msgspec.json.decode(value, type=_WithId).id[:60]!r}"
    except msgspec.MsgspecError:
        # From a damaged disk; for ours was checked.
        return "an event that cannot be read"
