"""What an answer to `POST /v1/events` means for the events that were posted (contract section 9); pure."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from stepwatch.sdk.http_client import Answer

RETRY_AFTER_MAX_S: Final = 60.0
"""A server that names more is asked again after this."""
_WORDS_MAX: Final = 300
_PASSING: Final = {408, 425, 429}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What is to be done. With nothing set but `skipped` the events were accepted.

    Attributes:
        skipped: how many of the accepted ones are of types that the server does not know.
        unknown: these types, in words.
        refused: why, by the index of the event; none of the others was accepted with them.
        split: why the events are too many or too large together.
        away: why nothing was accepted, and may be later.
        passing: `away` passes by itself; else somebody must change something, the token or the address.
        retry_after_s: how long the server wants to be left alone, s.
    """

    skipped: int = 0
    unknown: str = ""
    refused: Mapping[int, str] = field(default_factory=dict)
    split: str = ""
    away: str = ""
    passing: bool = True
    retry_after_s: float = 0.0


class _Skipped(msgspec.Struct):
    type: str
    hint: str = ""


class _Accepted(msgspec.Struct):
    skipped: int = 0
    skipped_types: list[_Skipped] = []


class _Error(msgspec.Struct):
    index: int | None = None
    field: str = ""
    error: str = ""


class _Problem(msgspec.Struct):
    """RFC 9457, and the events by their index."""

    title: str = ""
    detail: str = ""
    errors: list[_Error] = []


def understand(answer: Answer, count: int, *, denied_for_good: bool = False) -> Meaning:
    """What an answer means.

    Args:
        answer: of the server, or of a proxy before it.
        count: how many events were posted.
        denied_for_good: whether events that the token may not send are given up, rather than kept for another token.
    """
    status, problem = answer.status, _problem(answer)
    said = _words(status, problem)
    if status == 202:
        return _accepted(answer, count)
    if status in _PASSING or status >= 500:
        return Meaning(away=said, retry_after_s=_retry_after_s(answer.headers.get("retry-after", "")))
    if status == 413:
        return Meaning(split=said)
    refused = _refused(problem, count) if problem else {}
    if status == 400 and problem:
        # Without an index: halved until each stands alone. Who does not speak of problems is not Stepwatch.
        return Meaning(refused=refused) if refused else Meaning(split=said)
    if status == 403 and refused and denied_for_good:
        return Meaning(refused=refused)
    if status in (401, 403):
        said = f"{said}: the token is not accepted; make another (`stepwatch token create`)"
    elif 300 <= status < 400:
        said = f"{said}: a redirect is not followed, give the address itself"
    else:
        said = f"{said}: expected 202; is that the address of `stepwatch ingest`?"
    return Meaning(away=said, passing=False)


def _accepted(answer: Answer, count: int) -> Meaning:
    try:
        said = msgspec.json.decode(answer.body, type=_Accepted)
    except msgspec.MsgspecError:
        # Accepted it is, whatever a proxy made of the words.
        return Meaning()
    unknown = ", ".join(f"{one.type} ({one.hint})" if one.hint else one.type for one in said.skipped_types)
    skipped = min(max(said.skipped, 0), count)
    return Meaning(skipped=skipped, unknown=_shown(unknown) if skipped else "")


def _problem(answer: Answer) -> _Problem | None:
    if answer.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/problem+json":
        return None
    try:
        return msgspec.json.decode(answer.body, type=_Problem)
    except msgspec.MsgspecError:
        return _Problem()


def _refused(problem: _Problem, count: int) -> dict[int, str]:
    return {
        one.index: _shown(f"{one.field}: {one.error}")
        for one in problem.errors
        if one.index is not None and 0 <= one.index < count
    }


def _words(status: int, problem: _Problem | None) -> str:
    said = (problem.detail or problem.title) if problem else ""
    return _shown(f"answered {status} ({said})" if said else f"answered {status}")


def _shown(text: str) -> str:
    """Somebody else's words, fit for a line of the log."""
    return re.sub(r"[^\x20-\x7e\xa0-\uffff]", "?", text)[:_WORDS_MAX]


def _retry_after_s(value: str) -> float:
    """Seconds, or a date (RFC 9110 section 10.2.3); 0 where it is neither."""
    if value.isascii() and value.isdigit():
        wanted_s = float(value[:9])
    else:
        try:
            wanted_s = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return min(max(wanted_s, 0.0), RETRY_AFTER_MAX_S)
