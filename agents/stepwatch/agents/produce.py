"""Produce requests written in one piece: aiokafka copies what they carry eight times on its way to the socket.

Each part of a request is a byte string of its own there, joined with its neighbours on every level; of batches of a
megabyte that is a tenth of a worker's CPU. `transaction` replaces the sender's request class by this one, whose structs
write the same bytes in one go (tests/shell holds the private names, and the bytes).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from aiokafka.protocol.produce import ProduceRequest


class _Flat:
    """In the place of a struct's own `encode`; the versions from 3 on, which know transactions, are of one form."""

    transactional_id: str | None
    required_acks: int
    timeout: int
    topics: list[tuple[str, list[tuple[int, bytes]]]]

    def encode(self) -> bytes:
        """The request without its header."""
        return b"".join(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        yield _text(self.transactional_id)
        yield struct.pack(">hii", self.required_acks, self.timeout, len(self.topics))
        for topic, partitions in self.topics:
            yield _text(topic)
            yield struct.pack(">i", len(partitions))
            for partition, batch in partitions:
                yield struct.pack(">ii", partition, len(batch))
                yield batch


def _text(text: str | None) -> bytes:
    if text is None:
        return struct.pack(">h", -1)
    encoded = text.encode()
    return struct.pack(">h", len(encoded)) + encoded


_FLAT: dict[Any, Any] = {
    kind: type(kind.__name__, (_Flat, kind), {}) for kind in ProduceRequest._CLASSES if kind.API_VERSION >= 3
}


class FlatProduceRequest(ProduceRequest):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's request, of which every struct with transactions is flat."""

    # Of which structs there are aiokafka asks the bases.
    __orig_bases__ = ProduceRequest.__orig_bases__

    def build(self, request_struct_class: Any) -> Any:
        """The request in a version that the broker speaks."""
        return super().build(_FLAT.get(request_struct_class, request_struct_class))
