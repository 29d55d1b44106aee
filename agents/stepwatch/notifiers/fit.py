"""Texts cut to what a receiver takes, by the receiver's own unit, never inside an escape."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from stepwatch.notifiers.plain import plain

_TOKEN = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|.", re.DOTALL)
_ELLIPSIS = "…"
_ADDRESS = re.compile(r"https?://[\x21-\x7e]+", re.I)
ADDRESS_CHARACTERS_MAX = 2048


def utf16_units(text: str) -> int:
    """How long a text is for those who count as JavaScript does: an emoji is two."""
    return len(text) + sum(char > "\uffff" for char in text)


def utf8_bytes(text: str) -> int:
    """How long a text is in bytes."""
    return len(text.encode())


def fitted(
    text: str,
    units_max: int,
    *,
    escape: Callable[[str], str] = lambda text: text,
    size: Callable[[str], int] = len,
) -> str:
    """One line of text as a receiver takes it: made harmless, escaped, and cut with an ellipsis where too long.

    Args:
        text: as it is said; characters that move a cursor are shown by their numbers.
        units_max: the most that the receiver takes, escapes and ellipsis counted.
        escape: of one character, or of a shown number, in the receiver's markup.
        size: the receiver's unit: characters by default.
    """
    # No character is less than a unit, so what is beyond is cut in any case; texts may be of any length.
    begun = text[: units_max + 1]
    pieces = [escape(token) for token in _TOKEN.findall(plain(begun, len(begun)))]
    if sum(map(size, pieces)) <= units_max:
        return "".join(pieces)
    room = units_max - size(_ELLIPSIS)
    kept = []
    for piece in pieces:
        room -= size(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + _ELLIPSIS


def web_address(text: str) -> str:
    """An address that may become a link: http or https, printable ASCII, short enough; else ""."""
    if len(text) > ADDRESS_CHARACTERS_MAX or not _ADDRESS.fullmatch(text):
        return ""
    try:
        return text if urlsplit(text).hostname else ""
    except ValueError:
        return ""
