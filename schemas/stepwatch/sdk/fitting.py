"""Texts that an end user may have chosen, made to fit: whatever somebody puts into a request, the action is on record.

An id out of an address, a device, a browser's name and a token's claims are no fault of the program: refused, they
would stop the action, or keep it out of the audit after it was done. So what JSON cannot say is replaced and what is
too long is cut, and the end then says the hash of the whole, so that two of them are not taken for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

TEXT_MAX: Final = 2048
"""Characters of a text."""
CLAIM_MAX: Final = 8192
"""Characters of a claim that is a text, bytes as JSON of any other: with all of `context.CLAIMS` an event has room."""
_CLAIM_DEPTH_MAX: Final = 13
"""The event, its data and the token are three of the sixteen levels (`faults.EVENT_DEPTH_MAX`)."""


def fit_members(part: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a resource or a client, their texts fitted. What is no text is left to the check."""
    return {name: fit_text(value) if isinstance(value, str) else value for name, value in part.items()}


def fit_claims(token: Any) -> Any:
    """The claims of a token, fitted. What is no mapping is left to the check."""
    return {name: _fit_claim(value) for name, value in token.items()} if isinstance(token, Mapping) else token


def fit_text(text: str, chars_max: int = TEXT_MAX) -> str:
    """A text of at most so many characters; the same one where it fits."""
    if len(text) <= chars_max and (text.isascii() or _is_sayable(text)):
        return text
    mark = _mark(text.encode("utf-8", "surrogatepass"))
    return text.encode("utf-8", "replace").decode()[: chars_max - len(mark)] + mark


def _fit_claim(value: Any) -> Any:
    if isinstance(value, str):
        return fit_text(value, CLAIM_MAX)
    if isinstance(value, list | tuple):
        value = [fit_text(one) if isinstance(one, str) else one for one in value]
    try:
        said = msgspec.json.encode(value)
    except Exception:
        return f"(no JSON: {type(value).__name__})"
    # Here, since it loads pydantic: see `checks.py`.
    from stepwatch.schemas.faults import is_deeper

    if len(said) <= CLAIM_MAX and not is_deeper(msgspec.json.decode(said), _CLAIM_DEPTH_MAX):
        return value
    return said.decode()[:TEXT_MAX] + _mark(said)


def _mark(whole: bytes) -> str:
    # Here: few programs ever need it.
    from hashlib import sha256

    return f"…sha256:{sha256(whole).hexdigest()[:32]}"


def _is_sayable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
