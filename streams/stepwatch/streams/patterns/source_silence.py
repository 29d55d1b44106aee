"""A source of proofs has fallen silent, so verdicts would be blind."""

from __future__ import annotations

from typing import NamedTuple

from stepwatch.streams.liveness import Liveness
from stepwatch.streams.sets import PolicySets

NAME = "source_silence"
SEVERITY = "high"


class Silence(NamedTuple):
    """A source that is silent: since its last sign of life, or since the first log time where it never gave one."""

    source: str
    heartbeat_id: str
    since_us: int
    was_heard: bool


def silent_sources(liveness: Liveness, sets: PolicySets, log_time_us: int, first_log_time_us: int) -> list[Silence]:
    """Listed sources whose last sign of life is more than `silent_after` before the log time."""
    silent = []
    for source in sets.at(log_time_us).sources.values():
        if source.silent_after_us is None:
            continue
        sign_us = liveness.last_sign((source.name, source.silent_after_us), log_time_us)
        since_us = first_log_time_us if sign_us is None else sign_us
        if log_time_us - since_us > source.silent_after_us:
            silent.append(Silence(source.name, liveness.last_heartbeat_id(source.name), since_us, sign_us is not None))
    return silent


def next_silence_us(liveness: Liveness, sets: PolicySets, log_time_us: int, first_log_time_us: int) -> int | None:
    """The log time at which the next source that is not silent yet would be."""
    moments = []
    for source in sets.at(log_time_us).sources.values():
        if source.silent_after_us is not None:
            sign_us = liveness.last_sign((source.name, source.silent_after_us), log_time_us)
            moment_us = (first_log_time_us if sign_us is None else sign_us) + source.silent_after_us + 1
            if moment_us > log_time_us:
                moments.append(moment_us)
    return min(moments, default=None)
