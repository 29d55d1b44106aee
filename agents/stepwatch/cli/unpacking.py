"""Bytes of a file into its records: one a line, arrays and envelopes unpacked, documents over many lines too."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from stepwatch.cli.errors import Misused
from stepwatch.cli.values import (
    HEAD,
    as_text,
    documents,
    is_document,
    is_json,
    is_json_to_its_end,
    members_of,
    records_of,
)

LINES, ARRAYS, DOCUMENT = "lines", "arrays", "document"
"""What a file holds: a record a line; an array or an envelope a line; JSON that goes over many lines."""
HELD_BYTES_MAX = 512 * 1024 * 1024
"""Of one line, or of one document: it is held in memory whole."""
MARK_BYTES = 1024
"""At the begin of a file and before a position: enough to tell one log from every other."""

_BOM = b"\xef\xbb\xbf"
_OPENS = re.compile(rb"\s*(?:\[\s*(?:[\[{\]]|$)|\{\s*$|\{.*[\[{,:]\s*$)", re.DOTALL)


class Mark(NamedTuple):
    """How far a file was read.

    Attributes:
        at: bytes of its content, unpacked.
        number: records before that, blank lines too.
        shape: what it holds; `""` where nothing was read yet.
        head: its first bytes, at most `MARK_BYTES` and never beyond `at`.
        tail: the bytes just before `at`, as many.
        checksum: CRC-32 of everything before `at`.
        inode: of the file, when it was opened last; 0 where it has none.
    """

    at: int = 0
    number: int = 0
    shape: str = ""
    head: bytes = b""
    tail: bytes = b""
    checksum: int = 0
    inode: int = 0


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
        return shape != LINES and (members_of(held) is not None or (shape == DOCUMENT and is_json_to_its_end(held)))

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
        said = content.removeprefix(_BOM) if not before.at else content
        if shape == DOCUMENT and not is_document(said):
            shape = LINES
        if shape == LINES:
            values = said.split(b"\n")
            if not values[-1]:
                values.pop()
            if before.at and not before.tail.endswith(b"\n"):
                del values[:1]  # nothing but the end of a line that was taken without it
        elif shape == ARRAYS:
            values = [record for line in said.split(b"\n") if line.strip() for record in records_of(line)]
        else:
            values = list(documents(said))
        self._held, self._held_bytes = [rest] if rest else [], len(rest)
        head = before.head + content[: MARK_BYTES - len(before.head)]
        tail = (before.tail + content[-MARK_BYTES:])[-MARK_BYTES:]
        at, checksum = before.at + len(content), zlib.crc32(content, before.checksum)
        self.mark = Mark(at, before.number + len(values), shape, head, tail, checksum, before.inode)
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
    if members_of(first) is not None:
        if not second:
            return ARRAYS if ended else ""
        return (ARRAYS if members_of(second) is not None else LINES) if second_whole else ""
    if not first.startswith((b"[", b"{")) or is_json(first) or not _OPENS.match(first):
        return LINES
    if first.endswith((b",", b"{")) and len(first) > 1 and first.startswith(b"{") and not HEAD.match(as_text(first)):
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
