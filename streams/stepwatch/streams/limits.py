"""Every bound of the core, with its unit and why it is what it is."""

from __future__ import annotations

from typing import Final

from stepwatch.schemas.faults import AHEAD_MAX_US, EVENT_DEPTH_MAX
from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US
from stepwatch.schemas.topics import EVENT_BYTES_MAX

__all__ = ["AHEAD_MAX_US", "EVENT_BYTES_MAX", "EVENT_DEPTH_MAX"]

PRODUCE_BYTES_MAX: Final = 900_000
"""Of one produce batch: below a broker's default limit of 1 MB, so no batch of small records is refused."""

SUBJECT_FACTS_MAX: Final = 50_000
"""Live facts of one subject before its verdicts are `overload`: about 40 MB (contract section 5).

Beyond it evidence is stored and not kept, and an action is let go once its `overload` is said. Of actions that are kept
for their copies alone so many are kept beside: a copy of one beyond repeats its row, as where no policy matches."""

PROOFS_INDEXED_MIN: Final = 200
"""Verifications of one subject from which on they are found by session too; below it, looking at each is as fast."""

OVERLOADED_MEMBERS_MAX: Final = 1_000
"""Members of an alert after which an overloaded action joins it no more: its count stays there, and is loud enough."""

SUBJECTS_CACHED_MAX: Final = 100_000
"""Subjects whose key and partition are kept at hand: about 20 MB; murmur2 in Python costs 2.6 us."""

SOURCES_HEARD_MAX: Final = 1_000
"""Sources whose heartbeats are kept: about 5 kB each; a name that nobody lists may be anybody's invention."""

MOVES_MAX: Final = 3
"""Moves of one record before it is a dead letter: workers of different policies would pass it on for ever."""

SIGNS_MAX: Final = 256
"""Intervals of signs of one source and window: only a feed slower than its `silent_after` makes so many. The oldest go:
whether there was a sign in the window of an open action, the later ones say as well."""

ADDRESSES_CACHED_MAX: Final = 16_384
"""Addresses whose one form is kept at hand: about 3 MB; to read one costs 15 us."""

ALERT_ACTIONS_MAX: Final = 100
"""Ids of members that an alert names (contract section 7)."""

ALERT_ACTIONS_BYTES_MAX: Final = 256 * 1024
"""Bytes of the ids that an alert's row names: an id may be as long as an event, and Kafka takes rows below 1 MB."""

ERROR_CHARS_MAX: Final = 1000
"""Characters of a dead letter's error: it may quote what a producer sent."""

TYPE_CHARS_MAX: Final = 100
"""Characters of a type that we do not know, as a metric shows it."""

ALERT_EXPIRES_US: Final = 30 * DAY_US
"""An alert left open so long after its last change is resolved by `expired` (contract section 7)."""

ALERT_TOMBSTONE_US: Final = 7 * DAY_US
"""From the moment an alert may go to its tombstone: as long as `alerts` is kept from compaction."""

PATTERN_LATENESS_US: Final = HOUR_US
"""A pattern is judged on what arrives until this long after its anchor's arrival (contract section 6)."""

REMEMBER_MIN_US: Final = 24 * HOUR_US
"""The least look-back of forgetting: patterns look so far back (contract sections 5 and 6)."""

FORGET_SLACK_MIN_US: Final = HOUR_US
"""The least that is added to the moment at which a fact may be forgotten (contract section 5)."""

PULSE_CLOSE_US: Final = MINUTE_US
"""Closes and forgetting cause at most one pulse in so long (contract section 2)."""

assert FORGET_SLACK_MIN_US >= PATTERN_LATENESS_US, "a pattern would lose facts that it still needs"
assert ALERT_ACTIONS_BYTES_MAX <= EVENT_BYTES_MAX, "an alert's row would not fit where an event's does"
assert ALERT_TOMBSTONE_US < ALERT_EXPIRES_US
