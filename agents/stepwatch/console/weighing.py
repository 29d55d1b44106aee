"""Why a verdict is what it is: every candidate of an action with the filters that it fails, by the core's own rules."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.client import Client

from stepwatch.store.stored_events import stored_lines
from stepwatch.streams import intake
from stepwatch.streams.decode import Event
from stepwatch.streams.facts import Fact
from stepwatch.streams.filters import FILTERS, Case
from stepwatch.streams.loading import LoadedFile
from stepwatch.streams.partition import Partition
from stepwatch.streams.replay import Gathered, gather
from stepwatch.streams.rows import Coordinates
from stepwatch.streams.sets import PolicySet, PolicySets, Requirement
from stepwatch.streams.wording import factor

EVENTS_MAX: Final = 20_000
"""Of one subject; a page does not wait for more."""
CANDIDATES_MAX: Final = 200


class Candidate(NamedTuple):
    """A verification that the judge looked at.

    Attributes:
        fact: the verification.
        words: how it was given.
        age_us: at the action; below 0: after it.
        failed: the filters that it fails, in their order; none: it covers the action.
    """

    fact: Fact
    words: str
    age_us: int
    failed: tuple[str, ...]


class Weighed(NamedTuple):
    """What an action was judged by.

    Attributes:
        requirement: its policy.
        text: of the policy in its file, and the file's name.
        filters: those that can fail a candidate under this policy.
        candidates: greatest first, as the judge goes through them.
        omitted: candidates beyond those.
    """

    requirement: Requirement
    file: str
    text: str
    filters: tuple[str, ...]
    candidates: list[Candidate]
    omitted: int


class NotWeighed(Exception):
    """The candidates cannot be shown; the message says why."""


def weigh(client: Client, sets: PolicySets, row: dict[str, Any]) -> Weighed:
    """The candidates of an action, from the stored events of its subject. Blocks; for a thread.

    Args:
        client: of the tables.
        sets: all that are known.
        row: of `audit`, any revision of the action, with `at_us`.

    Raises:
        NotWeighed: in words.
        Exception: whatever the client raises.
    """
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row["at_us"])
    # `max_uses` asks what earlier actions chose, and these look back themselves.
    back = timedelta(microseconds=2 * sets.lookback_max_us + 60_000_000)
    ahead = timedelta(microseconds=sets.horizon_max_us + sets.accept_late_max_us)
    # No names are given: of the actions that no policy matches nothing is kept, so they cost their reading only.
    lines = islice(stored_lines(client, at - back, at + ahead, row["tenant"], subject=row["subject"]), EVENTS_MAX + 1)
    gathered = Gathered()
    for _ in gather(_not_too_many(lines), sets, gathered):
        pass
    partition = Partition(sets, signs_max=1)
    subject = (row["tenant"], row["subject"])
    for event in gathered.events.values():
        if isinstance(event, Event):
            intake.accept(partition, event, subject, Coordinates())
    ledger = partition.ledgers.get(subject)
    action = None if ledger is None else ledger.kept.get((row["source"], row["action_id"]))
    if ledger is None or action is None:
        raise NotWeighed("by the policies that are known here no proof is asked for, so none was looked at")
    case = partition.judge.case(action, ledger, action.closes_us)
    return _weighed(case, *action.judged_by(sets))


def _not_too_many(lines: Iterator[bytes]) -> Iterator[bytes]:
    for count, line in enumerate(lines):
        if count == EVENTS_MAX:
            raise NotWeighed(
                f"the subject has more than {EVENTS_MAX:,} events around this action: ask for them by `stepwatch query "
                "run what_subject_did`"
            )
        yield line


def _weighed(case: Case, policy_set: PolicySet, requirement: Requirement) -> Weighed:
    terms, action = case.terms, case.action
    found = list(case.candidates(case.ledger.proofs, requirement.lookback_us))
    candidates = [
        Candidate(fact, factor(fact), action.time_us - fact.at_us, _failed(case, fact))
        for fact in found[:CANDIDATES_MAX]
    ]
    file, text = policy_text(policy_set, action.policy)
    names = tuple(FILTERS[number][0] for number in terms.numbers)
    return Weighed(requirement, file, text, names, candidates, len(found) - len(candidates))


def _failed(case: Case, fact: Fact) -> tuple[str, ...]:
    terms = case.terms
    return tuple(
        FILTERS[number][0] for number, rule in zip(terms.numbers, terms.rules, strict=True) if rule(case, fact)
    )


def policy_text(policy_set: PolicySet, policy_id: str) -> tuple[str, str]:
    """The name of the file in which a policy stands, and its lines there; both empty where the set has none."""
    for file in policy_set.files:
        for index, policy in file.policies:
            if policy.id == policy_id:
                return file.name, _lines_of(file, index)
    return "", ""


def _lines_of(file: LoadedFile, index: int) -> str:
    begin = file.line(("policies", index))
    lines = file.text.splitlines()
    end = begin
    # A policy ends where the next item or a key of the top begins.
    indent = len(lines[begin - 1]) - len(lines[begin - 1].lstrip())
    while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent):
        end += 1
    return textwrap.dedent("\n".join(lines[begin - 1 : end])).rstrip()
