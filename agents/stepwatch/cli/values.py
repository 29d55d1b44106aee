"""JSON values out of bytes that may hold several, be packed in arrays and envelopes, or be damaged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import msgspec

_ENVELOPES = ("Records", "Events", "value", "records")
_BESIDE = frozenset({"NextToken", "nextLink", "ResponseMetadata"})
"""What lists in an envelope may have beside them, and all that begins with @; any other object is a record."""
HEAD = re.compile(r"\s*(?:\[|\{[^\[{]*\"(?:" + "|".join(_ENVELOPES) + r")\"\s*:\s*\[)")
_BETWEEN = re.compile(r"[\s,]*")
_AS_BRACES = bytes.maketrans(b"[]", b"{}")
_SPACES = b" \t\n\r\v\f"
_as_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_as_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_from_text = json.JSONDecoder().raw_decode


def records_of(value: bytes) -> list[bytes]:
    """The members of an array or of an envelope, one line each; anything else is a record as it is."""
    found = members_of(value)
    return [value] if found is None else [_on_one_line(one) for one in found]


def records_on(line: bytes) -> list[bytes]:
    """The records on one line: the line itself, or where several values follow one another the records of each.

    So it is where files were joined whose last lines had no end: CloudTrail's have none.
    """
    # Where one value ends and another begins, or a text that looks like it. A pattern would take three times as long.
    if b"}{" not in line.translate(_AS_BRACES, _SPACES) or is_json(line):
        return [line]
    text = as_text(line)
    end = _value_end(text, _after(_BETWEEN, text, 0))
    joined = end is not None and text.startswith(("{", "["), _after(_BETWEEN, text, end))
    return list(documents(line)) if joined else [line]


def documents(content: bytes) -> Iterator[bytes]:
    """The records of JSON over many lines: an array, an envelope, or one object after another.

    Of a document that is cut off or damaged: the records before the damage, then one that is no JSON, to be refused.
    """
    if members_of(content) is not None:
        yield from records_of(content)
        return
    text, within = as_text(content), ""
    at = _after(_BETWEEN, text, 0)
    while at < len(text):
        try:
            _, end = _from_text(text, at)
        except (ValueError, RecursionError):
            head = None if within else HEAD.match(text, at)
            if head is None:
                yield _bytes(text[at:])
                return
            # The members of what does not end as it should: one by one, as far as they go.
            within, end = head[0], head.end()
        else:
            value = _on_one_line(_bytes(text[at:end]))
            yield from [value] if within else records_of(value)
        at = _after(_BETWEEN, text, end)
    if within:
        yield _on_one_line(_bytes(within))


def is_document(content: bytes) -> bool:
    """Whether at least its first value is there; else what looked like a document is lines, the first one broken."""
    text = as_text(content)
    at = _after(_BETWEEN, text, 0)
    if (head := HEAD.match(text, at)) is not None:
        at = _after(_BETWEEN, text, head.end())
    return at == len(text) or _value_end(text, at) is not None or text[at] in "]}"


def is_json_to_its_end(content: bytes) -> bool:
    """Whether it is JSON values one after another, the last one whole."""
    text = as_text(content).strip()
    at: int | None = 0
    while at is not None and at < len(text):
        end = _value_end(text, at)
        at = None if end is None else _after(_BETWEEN, text, end)
    return at is not None


def _value_end(text: str, at: int) -> int | None:
    try:
        _, end = _from_text(text, at)
    except (ValueError, RecursionError):
        return None
    return end


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def members_of(value: bytes) -> list[bytes] | None:
    """The members of an array, or of the array of an envelope; None where it is neither, or none is an object."""
    try:
        found = [bytes(one) for one in _split(value)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = _split_loosely(value)
    return found if any(one.startswith(b"{") for one in found) else None


def _split(value: bytes) -> list[msgspec.Raw]:
    if value.lstrip()[:1] == b"[":
        return _as_list(value)
    members = _as_object(value)
    name = _envelope(members)
    return [] if name is None else _as_list(members[name])


def _split_loosely(value: bytes) -> list[bytes]:
    """The same of what is no JSON by a NaN or by bytes that are no UTF-8: they cost their own record alone."""
    try:
        found = json.loads(as_text(value))
        if isinstance(found, dict):
            found = found.get(_envelope(found) or "")
        return [json.dumps(one).encode() for one in found] if isinstance(found, list) else []
    except (ValueError, RecursionError):
        return []


def _envelope(members: Mapping[str, object]) -> str | None:
    name = next((name for name in _ENVELOPES if name in members), None)
    others = (other for other in members if other != name)
    return name if all(other[:1] == "@" or other in _BESIDE for other in others) else None


def is_json(line: bytes) -> bool:
    """Whether it is one JSON value, to its end."""
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _on_one_line(value: bytes) -> bytes:
    if b"\n" not in value:
        return value
    try:
        return msgspec.json.format(value, indent=-1)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # A line break in JSON is either space or no JSON at all.
        return value.replace(b"\n", b" ")


def as_text(content: bytes) -> str:
    """The text; bytes that are no UTF-8 are kept in it."""
    return content.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
