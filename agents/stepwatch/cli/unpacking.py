"""Bytes of a file into its records: one a line, arrays and envelopes unpacked, documents over many lines too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from stepwatch.cli.errors import Misused

LINES, ARRAYS, DOCUMENT = "lines", "arrays", "document"
"""What a file holds: a record a line; an array or an envelope a line; JSON that goes over many lines."""
HELD_BYTES_MAX = 512 * 1024 * 1024
"""Of one line, or of one document: it is held in memory whole."""
MARK_BYTES = 1024
"""At the begin of a file and before a position: enough to tell one log from every other."""

_BOM = b"\xef\xbb\xbf"
_ENVELOPES = ("Records", "Events", "value", "records")
_BESIDE = frozenset({"NextToken", "nextLink", "ResponseMetadata"})
"""What lists in an envelope may have beside them, and all that begins with @; any other object is a record."""
_OPENS = re.compile(rb"\s*(?:\[\s*(?:[\[{\]]|$)|\{\s*$|\{.*[\[{,:]\s*$)", re.DOTALL)
_HEAD = re.compile(r"\s*(?:\[|\{[^\[{]*\"(?:" + "|".join(_ENVELOPES) + r")\"\s*:\s*\[)")
_BETWEEN = re.compile(r"[\s,]*")
_as_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_as_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_from_text = json.JSONDecoder().raw_decode


class Mark(NamedTuple):
    """How far a file was read.

    Attributes:
        at: bytes of its content, unpacked.
        number: records before that, blank lines too.
        shape: what it holds; `""` where nothing was read yet.
        head: its first bytes, at most `MARK_BYTES` and never beyond `at`.
        tail: the bytes just before `at`, as many.
    """

    at: int = 0
    number: int = 0
    shape: str = ""
    head: bytes = b""
    tail: bytes = b""


BEGIN = Mark()


class Batch(NamedTuple):
    """Records that stand one after another.

    Attributes:
        values: one record each; of lines, blank ones too.
        first: number of the first one in its file, from 1.
        noun: what is counted: `line` or `record`.
        mark: how far the file is read with them.
    """

    values: list[bytes]
    first: int
    noun: str
    mark: Mark


class Unpacker:
    """One file, given piece by piece.

    Args:
        mark: where the first piece begins.
    """

    def __init__(self, mark: Mark = BEGIN) -> None:
        self.mark = mark
        self._held: list[bytes] = []
        self._held_bytes = 0

    @property
    def held(self) -> bytes:
        """What was given and is in no batch: the begin of a line or of a document."""
        return b"".join(self._held)

    @property
    def is_whole(self) -> bool:
        """Whether what is held is JSON to its end, though no line end says so; of plain lines never."""
        held = self.held.removeprefix(_BOM)
        shape = self.mark.shape or shape_of(held, ended=True)
        return shape != LINES and (_inside(held) is not None or (shape == DOCUMENT and _is_json_to_its_end(held)))

    def feed(self, piece: bytes) -> Batch | None:
        """The records whose end has come with this piece.

        Raises:
            Misused: a line or a document is longer than `HELD_BYTES_MAX`.
        """
        self._held.append(piece)
        self._held_bytes += len(piece)
        if self._held_bytes > HELD_BYTES_MAX:
            raise Misused(f"one line or document of more than {HELD_BYTES_MAX >> 20} MiB: give one event a line")
        if self.mark.shape == DOCUMENT or b"\n" not in piece:
            return None
        content = self.held
        shape = self.mark.shape or shape_of(content, ended=False)
        if shape not in (LINES, ARRAYS):
            # Known to be a document, or still nothing but blank lines: keep all.
            self.mark = self.mark._replace(shape=shape)
            self._held = [content]
            return None
        end = content.rfind(b"\n") + 1
        return self._taken(content[:end], content[end:], shape)

    def finish(self) -> Batch | None:
        """What is left, now that the end has come."""
        content = self.held
        shape = self.mark.shape or shape_of(content, ended=True)
        return self._taken(content, b"", shape) if content else None

    def _taken(self, content: bytes, rest: bytes, shape: str) -> Batch:
        before = self.mark
        if shape == DOCUMENT and not _is_document(content.removeprefix(_BOM)):
            shape = LINES
        if shape == LINES:
            values = content.split(b"\n")
            if not values[-1]:
                values.pop()
        elif shape == ARRAYS:
            lines = content.removeprefix(_BOM).split(b"\n")
            values = [record for line in lines if line.strip() for record in records_of(line)]
        else:
            values = list(documents(content.removeprefix(_BOM)))
        self._held, self._held_bytes = [rest] if rest else [], len(rest)
        head = before.head + content[: MARK_BYTES - len(before.head)]
        tail = (before.tail + content[-MARK_BYTES:])[-MARK_BYTES:]
        self.mark = Mark(before.at + len(content), before.number + len(values), shape, head, tail)
        return Batch(values, before.number + 1, "line" if shape == LINES else "record", self.mark)


def shape_of(content: bytes, *, ended: bool) -> str:
    """What a file holds, by its first two lines that are not blank; `""` where they do not say it yet.

    One array or envelope a line is unpacked only where the second line is one too, or there is none: in a file of
    events a line that is an array is a wrong line.

    Args:
        content: its first bytes.
        ended: they are all there is.
    """
    (first, first_whole), (second, second_whole) = _first_lines(content.removeprefix(_BOM), ended)
    if not first_whole:
        return LINES if ended or (first and not first.startswith((b"[", b"{"))) else ""
    if _inside(first) is not None:
        if not second:
            return ARRAYS if ended else ""
        return (ARRAYS if _inside(second) is not None else LINES) if second_whole else ""
    if not first.startswith((b"[", b"{")) or is_json(first) or not _OPENS.match(first):
        return LINES
    if first.endswith((b",", b"{")) and len(first) > 1 and first.startswith(b"{") and not _HEAD.match(_text(first)):
        # In an object a name must follow; where another object does, the first line is one that is cut off.
        return LINES if second.startswith(b"{") or (ended and not second) else DOCUMENT if second else ""
    return DOCUMENT


def _first_lines(content: bytes, ended: bool) -> list[tuple[bytes, bool]]:
    """The first two lines that are not blank, and whether their ends are there; empty ones where there are none."""
    found: list[tuple[bytes, bool]] = []
    at = 0
    while len(found) < 2 and at < len(content):
        end = content.find(b"\n", at)
        line = content[at:] if end < 0 else content[at:end]
        at = len(content) if end < 0 else end + 1
        if line.strip():
            found.append((line.strip(), end >= 0 or ended))
    return [*found, (b"", False), (b"", False)][:2]


def records_of(value: bytes) -> list[bytes]:
    """The members of an array or of an envelope, one line each; anything else is a record as it is."""
    found = _inside(value)
    return [value] if found is None else [_on_one_line(bytes(one)) for one in found]


def documents(content: bytes) -> Iterator[bytes]:
    """The records of JSON over many lines: an array, an envelope, or one object after another.

    Of a document that is cut off or damaged: the records before the damage, then one that is no JSON, to be refused.
    """
    if _inside(content) is not None:
        yield from records_of(content)
        return
    text, within = _text(content), ""
    at = _after(_BETWEEN, text, 0)
    while at < len(text):
        try:
            _, end = _from_text(text, at)
        except (ValueError, RecursionError):
            head = None if within else _HEAD.match(text, at)
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


def _is_document(content: bytes) -> bool:
    """Whether at least its first value is there; else what looked like a document is lines, the first one broken."""
    text = _text(content)
    at = _after(_BETWEEN, text, 0)
    if (head := _HEAD.match(text, at)) is not None:
        at = _after(_BETWEEN, text, head.end())
    return at == len(text) or _value_end(text, at) is not None or text[at] in "]}"


def _is_json_to_its_end(content: bytes) -> bool:
    text = _text(content).strip()
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


def _inside(value: bytes) -> list[msgspec.Raw] | None:
    """The objects in an array, or in the array of an envelope; None where the value is neither, or holds others."""
    try:
        if value.lstrip()[:1] == b"[":
            found = _as_list(value)
        else:
            members = _as_object(value)
            name = next((name for name in _ENVELOPES if name in members), None)
            if name is None or any(other[:1] != "@" and other not in _BESIDE for other in members if other != name):
                return None
            found = _as_list(members[name])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found if found and all(bytes(memoryview(one)[:1]) == b"{" for one in found) else None


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


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
