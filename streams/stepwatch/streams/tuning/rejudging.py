"""What was gathered of a file, judged once by the stream's own engine, and judged again under other numbers.

What an action asks for, its facts and what counts for it by arrival stay as the first judgement laid them down; only
the numbers of the requirement differ. Numbers that move the close of an action (`grace`, `revise_within`) need a first
judgement of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stepwatch.streams import intake
from stepwatch.streams.facts import Action
from stepwatch.streams.judge import Decision, Judge
from stepwatch.streams.ledger import Ledger
from stepwatch.streams.partition import Partition
from stepwatch.streams.replay import END_US, Gathered, PlainLine
from stepwatch.streams.rows import Coordinates, plain_rest
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.settling import settle
from stepwatch.streams.waiting import SubjectKey


class Judged(NamedTuple):
    """One policed action with its judgement, and what it stands on."""

    subject: SubjectKey
    ledger: Ledger
    action: Action
    decision: Decision


def judged(gathered: Gathered, sets: PolicySets) -> Partition:
    """Judge all that was gathered; both log times are then past every close.

    Args:
        gathered: stays as it is.
        sets: with the identities by which it was gathered.

    Returns:
        A partition that holds every fact and every policed action, and the alerts that are open.
    """
    # Every sign of the file is heard before the first action is judged by the first of them.
    partition = Partition(sets, signs_max=END_US)
    partition.plain_rest = plain_rest("", "", 0)
    for heartbeat in gathered.heartbeats:
        intake.hear(partition, heartbeat)
    for key, event in gathered.events.items():
        if not isinstance(event, PlainLine):
            intake.accept(partition, event, (key[0], key[1]), Coordinates())
    partition.reach(END_US, END_US)
    settle(partition)
    # Rows and state are what a worker would write; here nobody reads them.
    partition.effects.audit.clear()
    partition.effects.evidence.clear()
    partition.writes.clear()
    return partition


def decisions(partition: Partition, sets: PolicySets, policy: str | None = None, since_us: int = 0) -> Iterator[Judged]:
    """Judge every policed action under sets with other numbers.

    Args:
        partition: as `judged` made it.
        sets: those that it was judged by, or a variant of them (`variants.varied`).
        policy: only the actions of this one; None: of all.
        since_us: only actions with a time from then on.
    """
    judge = Judge(sets, partition.liveness)
    for subject, ledger in partition.ledgers.items():
        for action in ledger.actions:
            # What a closed action chose is settled, under the numbers of then: `max_uses` has to ask anew.
            action.closed = False
        for action in ledger.actions:
            if action.time_us >= since_us and (policy is None or action.policy == policy):
                yield Judged(subject, ledger, action, judge.decide(action, ledger))


class Evidence:
    """What a tuner goes by.

    Args:
        gathered: all events; of the time before `since_us` those that later actions stand on.
        sets: to judge by.
        since_us: only actions from then on are counted.

    Attributes:
        partition: everything judged by the sets as they are.
    """

    def __init__(self, gathered: Gathered, sets: PolicySets, since_us: int = 0) -> None:
        self.gathered = gathered
        self.sets = sets
        self.since_us = since_us
        self.partition = judged(gathered, sets)

    def under(self, sets: PolicySets, policy: str | None = None) -> list[Judged]:
        """The actions that are counted, judged under other numbers; of one policy, or of all."""
        return list(decisions(self.partition, sets, policy, self.since_us))
