"""The body of a request, read within bounds: bytes, unpacked bytes, time, and what all requests hold together."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from starlette.requests import ClientDisconnect, Request

from stepwatch.ingest.connections import REFUSED_BYTES_MAX
from stepwatch.ingest.problems import Problem, away

BODY_BYTES_MAX: Final = 1 << 20
"""Of one request, unpacked (contract section 9)."""
TOO_SLOW: Final = 408
_GZIP: Final = 16 + zlib.MAX_WBITS
_STEP: Final = 64 * 1024
MEMBERS_MAX: Final = 16
"""Of gzip in one body: what is left is copied for each, and who packs in one go writes one."""


class Held:
    """How many bytes of requests this process holds; beyond the most, no more are taken."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes = 0
        self._max = bytes_max

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """What one request holds is given back at the end."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            self.bytes -= hold.bytes

    def take(self, count: int) -> None:
        """Hold so many bytes more.

        Raises:
            Problem: 503, they are too many.
        """
        if self.bytes + count > self._max:
            raise away(f"requests of {self.bytes} bytes are under way here, {self._max} may be: repeat it soon", 1)
        self.bytes += count


class Hold:
    """What one request holds."""

    def __init__(self, held: Held) -> None:
        self.bytes = 0
        self._held = held

    def take(self, count: int) -> None:
        """Hold so many bytes more; errors as `Held.take`."""
        self._held.take(count)
        self.bytes += count


async def read_body(request: Request, hold: Hold, within_s: float) -> bytes:
    """The body, unpacked.

    Args:
        request: whose body was not read yet.
        hold: takes what is read; the caller gives it back when the request is done with.
        within_s: all of it must have arrived after so long, s: who sends a byte a minute would hold us for ever.

    Raises:
        Problem: 400 no gzip; 408 too slow; 413 over 1 MiB, packed or unpacked; 415 another encoding; 503 overload.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise Problem(415, f"Content-Encoding: expected gzip or none, got {encoding[:60]!r}")
    said = request.headers.get("content-length", "")
    if said.isdecimal() and (len(said) > 19 or int(said) > BODY_BYTES_MAX):
        raise _too_large(f"the body has {said[:40]} bytes")
    try:
        async with asyncio.timeout(within_s):
            packed = await _read(request, hold)
    except TimeoutError:
        detail = f"the body did not arrive within {within_s:g} s: send it in one go, or in smaller requests"
        raise Problem(TOO_SLOW, detail, headers={"Connection": "close"}) from None
    return unpack(packed, hold) if encoding.endswith("gzip") else packed


async def _read(request: Request, hold: Hold) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            hold.take(len(chunk))
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise _too_large("the body has more bytes")
    except ClientDisconnect:
        raise Problem(400, "the connection ended before the body did") from None
    return bytes(body)


async def read_away(request: Request, within_s: float) -> None:
    """Read on what is left of a body that is refused: most clients write all of it before they read the answer.

    Args:
        request: of which nothing, a part or all was read.
        within_s: at most so long; and at most `REFUSED_BYTES_MAX`.
    """
    left = REFUSED_BYTES_MAX
    # Starlette raises RuntimeError where all of it was read before.
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    return


def unpack(packed: bytes, hold: Hold) -> bytes:
    """What gzip packed: up to 16 members, one after another (RFC 1952). A bomb is never unpacked beyond the limit.

    Raises:
        Problem: 400 no gzip, or cut off; 413 over 1 MiB; 503 overload.
    """
    unpacked = bytearray()
    try:
        members = 0
        while packed:
            members += 1
            if members > MEMBERS_MAX:
                raise Problem(
                    400, f"Content-Encoding: gzip of more than {MEMBERS_MAX} members: pack the body in one go"
                )
            stream = zlib.decompressobj(_GZIP)
            while not stream.eof:
                piece = stream.decompress(packed, _STEP)
                packed = stream.unconsumed_tail
                hold.take(len(piece))
                unpacked += piece
                if len(unpacked) > BODY_BYTES_MAX:
                    raise _too_large("the unpacked body has more bytes")
                if not piece and not packed and not stream.eof:
                    raise Problem(400, "Content-Encoding: gzip, but the body is cut off")
            packed = stream.unused_data
    except zlib.error as error:
        raise Problem(400, f"Content-Encoding: gzip, but the body is none: {error}") from None
    return bytes(unpacked)


def _too_large(what: str) -> Problem:
    return Problem(413, f"{what}, and {BODY_BYTES_MAX} are allowed, unpacked too: send it in several requests")
