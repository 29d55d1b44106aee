"""Dead letters: what could not be read, its bytes made harmless, and back into the stream once it is repaired.

What could not be read names no tenant for certain, so these pages are for whoever sees all of them.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from stepwatch.agents.dead_letters import DeadLetters, Letter, Wanted, parse_id
from stepwatch.agents.errors import RoleError
from stepwatch.agents.logs import get_logger
from stepwatch.agents.putting_back import Ground, Headers, Sender, StillWrong, plan
from stepwatch.agents.settings import Settings
from stepwatch.console.requests import FORM_BYTES_MAX, Refusal, console_of, form_of, render, viewer_of
from stepwatch.console.shown import path
from stepwatch.notifiers.plain import plain
from stepwatch.streams.effects import BUG, CONFLICT, MISROUTED

log = get_logger(__name__)
LISTED_MAX: Final = 200
EDITED_BYTES_MAX: Final = FORM_BYTES_MAX // 4
"""A form sends most signs of JSON as three bytes."""
_DUMPED_BYTES_MAX: Final = 4096
_KAFKA_MS: Final = 3000
_SENT: Final = re.compile(r"[A-Za-z0-9._-]{1,249}-[0-9]{1,9}@[0-9]{1,18}", re.ASCII)
ADVICE: Final = {
    BUG: "a fault of ours, not of the event: send it as it is once a version runs that can judge it; until then it is "
    "NOT judged",
    CONFLICT: "another body under the id of an event that was there before, and the first counts: send it only if it "
    "is another event, with an id of its own",
    MISROUTED: "send it as it is once all workers know the same policies",
    "type": "where only the topic was wrong, send it as it is: it goes to the right one; else repair it",
}
OTHERWISE: Final = "repair the producer, so that the next is right; then repair this one here, and send it"


async def letters(request: Request) -> Response:
    """The list, the newest first."""
    settings = _settings(request)
    error = request.query_params.get("error", "").strip()[:256]
    try:
        async with DeadLetters(settings) as there:
            found = await there.newest(LISTED_MAX)
    except RoleError as away:
        raise _away(away) from away
    wanted = Wanted(error=error or None)
    held = [one for one in found if wanted.holds(one, settings.prefix)]
    return render(
        request,
        "letters.html",
        letters=held[:LISTED_MAX],
        kinds=Counter(one.error for one in found).most_common(20),
        error=error,
        listed_max=LISTED_MAX,
    )


async def letter(request: Request) -> Response:
    """One letter."""
    _settings(request)
    sent = request.query_params.get("sent", "")
    return await _shown(request, sent=sent if _SENT.fullmatch(sent) else "")


async def replay(request: Request) -> Response:
    """Send it back, as it is or as it was repaired in the form; the core's own reading says first whether it can be.

    For an admin: whoever repairs an event says what happened, and who proved what.
    """
    settings, form, console = _settings(request), form_of(request), console_of(request)
    text = form.get("text", "").replace("\r\n", "\n")
    repaired = text.encode() if form.get("how") == "text" else None
    if repaired == b"":
        return await _shown(request, 400, wrong="the text is empty: write the event that is to be sent", text=text)
    try:
        async with AsyncExitStack() as opened:
            there = await opened.enter_async_context(DeadLetters(settings))
            found = await _find(request, there)
            sender = await opened.enter_async_context(Sender(settings, there.partitions))
            headers = await sender.headers_of(found)
            ground = Ground(settings.topics, there.partitions, console.sets, console.clock())
            target = plan(found, repaired, headers or (), ground)
            if isinstance(target, StillWrong):
                return await _shown(request, 409, wrong=f"it would be a dead letter again: {target.words}", text=text)
            where = await sender.send(target)
    except RoleError as away:
        raise _away(away) from away
    log.info(
        "put a dead letter back", letter=found.id, to=where, by=viewer_of(request).by, repaired=repaired is not None
    )
    return RedirectResponse(path(f"/dead-letters/{found.id}", sent=where), 303)


async def _shown(request: Request, status: int = 200, **values: Any) -> Response:
    settings = _settings(request)
    try:
        async with AsyncExitStack() as opened:
            there = await opened.enter_async_context(DeadLetters(settings))
            found = await _find(request, there)
            sender = await opened.enter_async_context(Sender(settings, there.partitions))
            headers = await sender.headers_of(found)
    except RoleError as away:
        raise _away(away) from away
    text = _text_of(found.value)
    return render(
        request,
        "letter.html",
        status,
        **{
            "letter": found,
            "headers": _headers(found, headers),
            "original": headers is not None,
            "advice": ADVICE.get(found.error, OTHERWISE),
            "text": text or "",
            "is_text": text is not None,
            "dump": "" if text is not None else dump(found.value or b""),
            "bytes": len(found.value or b""),
            "dumped_max": _DUMPED_BYTES_MAX,
            "edited_max": EDITED_BYTES_MAX,
            "may_send": viewer_of(request).user.may("admin"),
            "sent": "",
            "wrong": "",
            **values,
        },
    )


async def _find(request: Request, there: DeadLetters) -> Letter:
    where = parse_id(request.path_params["id"])
    found = None if where is None else await there.find(*where)
    if found is None:
        raise Refusal(404, "No such dead letter", "its id is not known here, or retention has deleted it: see the list")
    return found


def _settings(request: Request) -> Settings:
    """The settings by which Kafka is asked.

    Raises:
        Refusal: 403, whoever asks does not see all tenants.
    """
    if not viewer_of(request).user.sees_all:
        raise Refusal(
            403, "Not for one tenant", "what could not be read names no tenant for certain: ask who sees all of them"
        )
    return console_of(request).settings.model_copy(update={"start_timeout_ms": _KAFKA_MS})


def _away(error: RoleError) -> Refusal:
    return Refusal(503, "Kafka does not answer", f"{error}. Load the page again when it is back", {"Retry-After": "5"})


def _text_of(value: bytes | None) -> str | None:
    """The bytes as text that a form can hold and give back as it is; None where they are none, or too many."""
    if value is None or len(value) > EDITED_BYTES_MAX:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if all(sign in "\n\t" or plain(sign, 8) == sign for sign in set(text)) else None


def dump(value: bytes) -> str:
    """Bytes as numbers, sixteen a line, with what is plain ASCII beside them; the first 4 KiB."""
    lines = []
    for start in range(0, min(len(value), _DUMPED_BYTES_MAX), 16):
        piece = value[start : start + 16]
        signs = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        lines.append(f"{start:06x}  {piece.hex(' '):<47}  {signs}")
    return "\n".join(lines)


def _headers(found: Letter, original: Headers | None) -> list[tuple[str, str]]:
    known = {"error", "field", "topic", "partition", "offset", "time", "detail"}
    others = [pair for pair in found.headers if pair[0] not in known]
    return [
        (name, "" if said is None else said.decode(errors="backslashreplace"))
        for name, said in (*others, *(original or ()))
    ]
