"""The proxy does what it says: a bad network that is none would prove nothing."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from stepwatch.embedded import ports
from tests.faults.proxy import BLACK_HOLE, NO_ANSWERS, PASS, TO_BROKER, TO_CLIENT, Frames, Mode, Proxy

FRAME = struct.pack(">i", 1000) + b"x" * 1000


class Echo:
    """A server that sends back what it gets, and keeps it."""

    def __init__(self) -> None:
        self.got = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                self.got += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()


@asynccontextmanager
async def echo_behind_proxy() -> AsyncIterator[tuple[Echo, Proxy]]:
    echo = Echo()
    target = ports.any_free()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", target)
    async with Proxy(target, ports.any_free()) as proxy:
        yield echo, proxy
    server.close()


async def connect(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def send_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(FRAME)
        await writer.drain()
        await reader.readexactly(len(FRAME))


def test_bytes_pass_both_ways_unchanged() -> None:
    async def story() -> None:
        async with echo_behind_proxy() as (echo, proxy):
            reader, writer = await connect(proxy)
            writer.write(FRAME * 300)
            assert await reader.readexactly(len(FRAME) * 300) == FRAME * 300
            assert echo.got == FRAME * 300
            writer.close()

    asyncio.run(story())


def test_what_falls_into_a_black_hole_arrives_when_it_closes() -> None:
    async def story() -> None:
        async with echo_behind_proxy() as (echo, proxy):
            reader, writer = await connect(proxy)
            proxy.mode = BLACK_HOLE
            writer.write(FRAME)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.3)
            assert echo.got == b""
            proxy.mode = PASS
            assert await reader.readexactly(len(FRAME)) == FRAME
            writer.close()

    asyncio.run(story())


def test_without_answers_the_broker_still_gets_what_is_sent() -> None:
    async def story() -> None:
        async with echo_behind_proxy() as (echo, proxy):
            reader, writer = await connect(proxy)
            proxy.mode = NO_ANSWERS
            writer.write(FRAME)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.3)
            assert echo.got == FRAME
            writer.close()

    asyncio.run(story())


@pytest.mark.parametrize("way", [TO_BROKER, TO_CLIENT])
def test_a_cut_resets_the_connection_inside_a_frame(way: str) -> None:
    async def story() -> None:
        async with echo_behind_proxy() as (echo, proxy):
            reader, writer = await connect(proxy)
            proxy.cut_after(2500, way)
            with pytest.raises(ConnectionError):
                await send_for_ever(reader, writer)
            passed = Frames()
            # Of what was on its way to us the reset may have taken the rest.
            passed.follow(echo.got if way == TO_BROKER else bytes(reader._buffer))
            assert passed.inside
            assert proxy.cuts == 1
            reader, writer = await connect(proxy)
            writer.write(FRAME)
            assert await reader.readexactly(len(FRAME)) == FRAME
            writer.close()

    asyncio.run(story())


def test_a_throttled_connection_passes_no_more_than_its_rate() -> None:
    async def story() -> None:
        async with echo_behind_proxy() as (_, proxy):
            reader, writer = await connect(proxy)
            proxy.mode = Mode(bytes_per_s=10_000)
            began = time.monotonic()
            writer.write(FRAME * 5)
            assert await reader.readexactly(len(FRAME) * 5) == FRAME * 5
            # 5020 bytes, once each way; the first slice waits for nothing.
            assert time.monotonic() - began > 0.4
            writer.close()

    asyncio.run(story())


def test_a_delay_holds_each_piece_both_ways() -> None:
    async def story() -> None:
        async with echo_behind_proxy() as (_, proxy):
            reader, writer = await connect(proxy)
            proxy.mode = Mode(delay_s=0.2)
            began = time.monotonic()
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            assert time.monotonic() - began >= 0.4
            writer.close()

    asyncio.run(story())


def test_a_proxy_that_refuses_resets_what_is_open_and_lets_nobody_in() -> None:
    async def story() -> None:
        async with echo_behind_proxy() as (_, proxy):
            reader, writer = await connect(proxy)
            writer.write(b"x")
            await reader.readexactly(1)
            await proxy.refuse()
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
            with pytest.raises(ConnectionRefusedError):
                await connect(proxy)
            await proxy.open()
            reader, writer = await connect(proxy)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            writer.close()

    asyncio.run(story())
