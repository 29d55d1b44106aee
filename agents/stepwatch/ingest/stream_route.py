"""`GET /v1/stream`: alerts as they change, as server-sent events.

The `id` of an event is a time, not a place in a topic: it holds in every process and over restarts.
Whoever comes back with it is told where each alert stands that changed since, and of the last minute before once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from stepwatch.agents.alert_log import AlertState
from stepwatch.ingest.asked import LAST_EVENT_ID, read_time, read_wanted
from stepwatch.ingest.problems import Problem
from stepwatch.ingest.routes import check_tenant, ingest_of, token_of
from stepwatch.ingest.streams import Change, Ended, Stream
from stepwatch.schemas.times import MINUTE_US, format_time

EVENT_STREAM: Final = "text/event-stream"
_BEGIN: Final = b"retry: 3000\n\n"
"""How long a client whose stream ended should wait before it comes back, ms."""
_ALIVE: Final = b": alive\n\n"
_SLACK_US: Final = MINUTE_US
"""The times are of several workers' clocks, and a change is seen when its transaction has ended."""


async def get_stream(request: Request) -> Response:
    """Alerts as they change."""
    token, ingest = token_of(request, "read"), ingest_of(request)
    wanted = read_wanted(request.query_params, states=())
    if last_id := request.headers.get(LAST_EVENT_ID, ""):
        wanted = replace(wanted, since_us=read_time(LAST_EVENT_ID, last_id) - _SLACK_US)
    if wanted.tenant is not None:
        check_tenant(token, wanted.tenant)
    alerts, as_of_us = await ingest.alerts.up_to_now()
    if request.method == "HEAD":
        return Response(media_type=EVENT_STREAM)
    with ExitStack() as opening:
        # What changes from now on waits, so nothing is missed between what stands and what comes.
        stream = opening.enter_context(ingest.streams.open(replace(wanted, since_us=None), token.for_tenant))
        said: list[AlertState] = []
        if wanted.since_us is not None:
            said = await asyncio.to_thread(alerts.changed_since, wanted, token.for_tenant)
        return _StreamResponse(_events(request, stream, said, format_time(as_of_us)), opening.pop_all())


class _StreamResponse(StreamingResponse):
    """Gives its stream back however it ends: a client that leaves before the first byte leaves no generator behind."""

    def __init__(self, events: AsyncIterator[bytes], closing: ExitStack) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store"}, media_type=EVENT_STREAM)
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._closing:
            await super().__call__(scope, receive, send)


async def _events(request: Request, stream: Stream, said: Sequence[AlertState], last_id: str) -> AsyncIterator[bytes]:
    """First where alerts stand that changed since, then changes, with a comment where there are none for long.

    It ends where the token does, and where Kafka does not say that all is read: silence would look like peace.
    """
    beat_s, clock = ingest_of(request).settings.ingest_beat_ms / 1000, asyncio.get_running_loop().time
    yield _BEGIN
    for alert in said:
        yield Change(alert).event(alert["updated_at"])
    yield b"id: %b\n\n" % last_id.encode()
    told = {alert["alert_id"]: alert["version"] for alert in said}
    look_at = clock() + beat_s
    try:
        while True:
            change = await stream.next(max(look_at - clock(), 0))
            if clock() >= look_at:
                token_of(request, "read")
                await ingest_of(request).alerts.up_to_now()
                look_at = clock() + beat_s
                yield _ALIVE
            if change is not None and told.get(change.alert_id, 0) < change.version:
                # One that shrinks would have much repeated.
                last_id = max(last_id, change.updated_at)
                yield change.event(last_id)
    except (Ended, Problem):
        return
