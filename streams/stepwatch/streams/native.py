"""The native batch core, where it was built; None where no wheel fits: then Python reads every record.

It lives in `streams/native` (Rust). Whatever it does, Python does as well, record by record; the tests hold the two to
the same bytes (DESIGN section 6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

__all__ = ["is_built", "is_chunk", "native"]

if TYPE_CHECKING:
    from stepwatch.streams import _native as native
    from stepwatch.streams._native import Chunk
else:
    try:
        from stepwatch.streams import _native as native
    except ImportError:
        native = None

is_built: bool = native is not None


def is_chunk(records: object) -> TypeGuard[Chunk]:
    """Whether records are a whole fetched chunk, as `read_chunks` makes it."""
    return is_built and isinstance(records, native.Chunk)
