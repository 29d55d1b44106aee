"""Copies and conflicts within a file, as far back as memory that does not grow with it reaches."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from stepwatch.cli.events_findings import Finding, warning
from stepwatch.cli.lines import Origin
from stepwatch.streams.decode import Event, body_hash

EVENTS_MAX: Final = 200_000
"""Events that are remembered, the last ones: about 80 MB."""


class Seen:
    """The events so far, by what makes two records one event (contract section 3)."""

    def __init__(self, events_max: int = EVENTS_MAX) -> None:
        self._events_max = events_max
        # A plain dict looks for its first key from the begin, past all that were deleted.
        self._seen: OrderedDict[bytes, tuple[int, Origin]] = OrderedDict()
        self.forgot = False

    def look(self, event: Event, subject: str, origin: Origin) -> Finding | None:
        """Remember an event; returns what it is to an earlier one.

        Args:
            event: as decoded.
            subject: its canonical subject.
            origin: where it stands.
        """
        key = _key(event, subject)
        body = body_hash(event.value)
        known = self._seen.get(key)
        if known is None:
            if len(self._seen) >= self._events_max:
                self._seen.popitem(last=False)
                self.forgot = True
            self._seen[key] = (body, origin)
            return None
        if known[0] == body:
            hint = "a copy changes nothing: it is the same event again"
            return warning("copy", "id", "an id of its own, if it is another event", hint, event.id)
        hint = "another event stands under the same id: of the two the first to arrive counts, the other is refused"
        found = warning("conflict", "id", "an id of its own for each event", hint, event.id)
        return found._replace(got=f"{found.got}, as on {known[1]}")


def _key(event: Event, subject: str) -> bytes:
    digest = hashlib.blake2b(digest_size=12)
    for part in (event.tenant, subject, event.family, event.source, event.id):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4) + encoded)
    return digest.digest()
