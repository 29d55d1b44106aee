"""Plain actions of a fetched chunk are read natively; every other record goes Python's way, in its place.

A plain action is one that no policy can match and that is no `policy_gap`: nine of ten records. It has one row, no
state, and nothing else depends on it (contract section 3, "One limit"). In any doubt the record is left to Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stepwatch.streams import accounting
from stepwatch.streams.limits import PRODUCE_BYTES_MAX
from stepwatch.streams.logtime import LogTime
from stepwatch.streams.native import is_built, native
from stepwatch.streams.partition import Partition
from stepwatch.streams.sets import PolicySet, PolicySets

if TYPE_CHECKING:
    from stepwatch.streams._native import Chunk, PlainActions, Record


class Skimming:
    """Reads the chunks of one partition's actions.

    Args:
        known: the memory of the partition.
        partition: its number.
        partitions: how many there are.
    """

    def __init__(self, known: Partition, partition: int, partitions: int) -> None:
        self._known = known
        self._plain = native.PlainActions(partition, partitions)
        self._set: PolicySet | None = None
        self._sets = known.sets
        known.keys = self._plain

    def read(self, chunk: Chunk, log: LogTime, read_one: Callable[[Record], str]) -> None:
        """Read a chunk from the log's position on.

        Args:
            chunk: of the topic of actions, with no record that is condemned: Python looks at each of such a chunk.
            log: of that input; it stands behind the chunk afterwards.
            read_one: reads any other record, and returns what became of it.
        """
        at, end = chunk.index_of(log.next_offset), len(chunk)
        if at == end:
            return
        effects, account, last = self._known.effects, log.account, chunk[-1]
        self._judge_by(last.timestamp * 1000)
        rows = native.Rows(PRODUCE_BYTES_MAX)
        read, rest = self._plain.read, self._known.plain_rest
        while True:
            try:
                at, log.now_us = read(chunk, at, log.now_us, rest, rows)
            except BaseException as error:
                # A panic of the native core is no Exception, and would not be tried again record by record.
                if isinstance(error, Exception | KeyboardInterrupt | SystemExit):
                    raise
                raise RuntimeError(f"the native core failed: {error}") from error
            if at == end:
                break
            account[read_one(chunk[at])] += 1
            at += 1
        log.next_offset = last.offset + 1
        if count := len(rows):
            effects.plain.append(rows)
            effects.count("verdicts.not_required", count)
            account[accounting.AUDIT] += count

    def _judge_by(self, time_us: int) -> None:
        """Look at events by the set in force at a time; those of another set's time are left to Python."""
        sets = self._known.sets
        policy_set = sets.at(time_us)
        if policy_set is not self._set or self._sets is not sets:
            self._set, self._sets = policy_set, sets
            _use(self._plain, sets, policy_set)


def plain_lines(
    sets: PolicySets, others: PolicySets | None = None
) -> Callable[[bytes], tuple[str, str, str, str, int] | None]:
    """What reads the plain actions of a file: a line -> (tenant, canonical subject, source, id, arrival).

    It returns None where Python has to read the line, and for every line without the native core.

    Args:
        sets: whose policies a plain action does not concern, and whose aliases are mapped.
        others: neither does it concern theirs; they map no alias, and nor do the first.
    """
    if not is_built:
        return lambda text: None
    plain = native.PlainActions(0, 1)
    # Events of an older set's time are left to Python; most files are younger than the youngest set.
    policy_set = sets.sets[-1]
    if others is None:
        _use(plain, sets, policy_set)
        return plain.line
    other = others.sets[-1]
    (from_us, until_us), (other_from_us, other_until_us) = sets.span(policy_set), others.span(other)

    def may_concern(tenant: str, action: str, resource_type: str, sensitivity: str) -> bool:
        of = (tenant, action, resource_type, sensitivity)
        return policy_set.may_concern(*of) or other.may_concern(*of)

    plain.use(max(from_us, other_from_us), min(until_us, other_until_us), may_concern, None)
    return plain.line


def _use(plain: PlainActions, sets: PolicySets, policy_set: PolicySet) -> None:
    from_us, until_us = sets.span(policy_set)
    canonical = policy_set.canonical if policy_set.has_aliases else None
    plain.use(from_us, until_us, policy_set.may_concern, canonical)
