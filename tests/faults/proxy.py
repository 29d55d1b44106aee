"""A TCP proxy that behaves as bad networks do: slow, narrow, deaf, cut in the middle of a frame, shut."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

TO_BROKER = "to the broker"
TO_CLIENT = "to the client"
BOTH = frozenset({TO_BROKER, TO_CLIENT})
_CHUNK_BYTES = 1 << 16
_SLICE_S = 0.05


@dataclass(frozen=True)
class Mode:
    """What the network does to bytes; the default lets them pass.

    Attributes:
        delay_s: each piece waits so long, in each direction, s.
        bytes_per_s: no more than that, per connection and direction; None: no limit.
        holes: directions in which nothing arrives. What is sent stays on its way, as with TCP behind a broken
            link: where the hole closes, it arrives after all, however late.
    """

    delay_s: float = 0.0
    bytes_per_s: int | None = None
    holes: frozenset[str] = frozenset()


PASS = Mode()
BLACK_HOLE = Mode(holes=BOTH)
NO_ANSWERS = Mode(holes=frozenset({TO_CLIENT}))


class Frames:
    """Follows the frames of Kafka's protocol: four bytes of length, then so many more."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    @property
    def inside(self) -> bool:
        """Whether the last byte that passed was not the last of its frame."""
        return bool(self._head) or self._left > 0

    def follow(self, data: bytes) -> None:
        """Note bytes that passed."""
        while data:
            if self._left:
                passed = min(self._left, len(data))
                self._left -= passed
                data = data[passed:]
                continue
            wanted = 4 - len(self._head)
            self._head, data = self._head + data[:wanted], data[wanted:]
            if len(self._head) == 4:
                self._left = struct.unpack(">i", self._head)[0]
                self._head = b""


@dataclass(eq=False)
class _Link:
    """One connection of a client, and ours to the broker for it."""

    client: asyncio.StreamWriter
    broker: asyncio.StreamWriter
    pumps: list[asyncio.Task[None]] = field(default_factory=list)

    def reset(self) -> None:
        """End it as a broken machine does: with RST, whatever is still on its way."""
        for writer in (self.client, self.broker):
            if not writer.is_closing() and (sock := writer.get_extra_info("socket")) is not None:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """Listens on `port` of the loopback and passes everything to `target`, as `mode` says.

    The advertised address of the broker behind it must be the proxy's, else clients go round it after one request.
    """

    def __init__(self, target: int, port: int) -> None:
        self.port = port
        self.connections = 0
        self.cuts = 0
        self._target = target
        self._mode = PASS
        self._changed = asyncio.Event()
        self._links: set[_Link] = set()
        self._cut_left: dict[str, int] = {}
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def open(self) -> None:
        """Listen; nothing happens where it does already."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def refuse(self) -> None:
        """Reset every connection and refuse new ones, until `open`."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            self.reset()
            await server.wait_closed()

    def reset(self) -> None:
        """Reset every connection now."""
        for link in list(self._links):
            link.reset()

    def cut_after(self, count: int, way: str) -> None:
        """Reset the connection over which the `count`-th byte from now passes in that direction, inside a frame."""
        self._cut_left[way] = count

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Kept: the loop itself holds its tasks only weakly.
        current = asyncio.current_task()
        assert current is not None
        self._serving.add(current)
        current.add_done_callback(self._serving.discard)
        self.connections += 1
        try:
            from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, to_broker)
        self._links.add(link)
        link.pumps = [
            asyncio.create_task(self._pump(reader, to_broker, TO_BROKER, link)),
            asyncio.create_task(self._pump(from_broker, writer, TO_CLIENT, link)),
        ]
        try:
            await asyncio.wait(link.pumps)
        finally:
            for pump in link.pumps:
                pump.cancel()
            link.reset()
            self._links.discard(link)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str, link: _Link) -> None:
        frames = Frames()
        try:
            while data := await reader.read(_CHUNK_BYTES):
                await self._through_hole(way)
                if self._cuts(data, way):
                    half = data[: len(data) // 2]
                    frames.follow(half)
                    writer.write(half if frames.inside else data[: len(half) + 1])
                    await writer.drain()
                    self.cuts += 1
                    link.reset()
                    return
                frames.follow(data)
                await self._pass_on(data, writer)
            await self._through_hole(way)
            writer.close()
        except OSError:
            link.reset()

    async def _through_hole(self, way: str) -> None:
        while way in self._mode.holes:
            await self._changed.wait()
        if self._mode.delay_s:
            await asyncio.sleep(self._mode.delay_s)

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        while data:
            rate = self._mode.bytes_per_s
            piece = data if rate is None else data[: max(1, int(rate * _SLICE_S))]
            writer.write(piece)
            await writer.drain()
            data = data[len(piece) :]
            if rate is not None:
                await asyncio.sleep(_SLICE_S)

    def _cuts(self, data: bytes, way: str) -> bool:
        if way not in self._cut_left:
            return False
        self._cut_left[way] -= len(data)
        if self._cut_left[way] > 0:
            return False
        del self._cut_left[way]
        return True
