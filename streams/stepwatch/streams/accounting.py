"""What becomes of a record of an input: of each exactly one of these (contract section 8, the promise).

In each partition records in = audit + evidence + heartbeats + dead letters + duplicates + skipped + moved + responses.
"""

from __future__ import annotations

from typing import Final

AUDIT: Final = "audit"
"""An accepted action: it has an audit row, or will have one when its grace ends."""
EVIDENCE: Final = "evidence"
"""An accepted authentication event."""
HEARTBEAT: Final = "heartbeat"
DEAD_LETTER: Final = "dead_letter"
DUPLICATE: Final = "duplicate"
"""A copy of an event that is known."""
SKIPPED: Final = "skipped"
"""Of a type of ours that this version does not know."""
MOVED: Final = "moved"
"""It lay in a wrong partition, and was appended to the right one."""
RESPONSE: Final = "response"
"""What a person decided."""

KINDS: Final = (AUDIT, EVIDENCE, HEARTBEAT, DEAD_LETTER, DUPLICATE, SKIPPED, MOVED, RESPONSE)
