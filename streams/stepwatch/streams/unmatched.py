"""Subjects that only ever act, or only ever prove: mostly one person under two names (contract section 4, identities).

An alias that is missing is the commonest cause of false alarms: the proof lies under the profile id, the deed under the
e-mail address, and nothing joins the two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stepwatch.streams.decode import ACTION, Event
from stepwatch.streams.facts import kind_of
from stepwatch.streams.intake import ActionView
from stepwatch.streams.proposing import WORD_GROUPS_MAX, Evidence, words_of
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.waiting import SubjectKey

ACTS: Final = "acts"
PROVES: Final = "proves"
PARTNERS_MAX: Final = 3
"""Likely partners that are named; who has more has none that is likely."""


class Partner(NamedTuple):
    """Who else may be the same person, and why."""

    subject: str
    why: str


class Unmatched(NamedTuple):
    """One subject of one tenant.

    Attributes:
        only: `ACTS` or `PROVES`.
        policed: of its actions, those that a policy asks a proof for: these raise alerts.
        times: its actions, or its proofs.
        sources: that speak of it, by `source`.
    """

    tenant: str
    subject: str
    only: str
    policed: int
    times: int
    sources: tuple[str, ...]
    partners: tuple[Partner, ...]


@dataclass(slots=True)
class _Seen:
    names: set[str] = field(default_factory=set)
    """As sent, before aliases."""
    sources: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    policed: int = 0


class Tally:
    """Who acts and who proves, by the events of several logs.

    Args:
        sets: whose aliases are mapped, and whose policies say which actions need a proof.
    """

    def __init__(self, sets: PolicySets) -> None:
        self._sets = sets
        self._seen: dict[SubjectKey, _Seen] = {}

    def add(self, event: Event) -> None:
        """Count one event; copies count again."""
        policy_set = self._sets.at(event.time_us)
        subject = policy_set.canonical(event.tenant, event.subject)
        seen = self._seen.setdefault((event.tenant, subject), _Seen())
        seen.names.add(event.subject)
        seen.sources.add(event.source)
        if event.family == ACTION:
            seen.counts[ACTS] += 1
            if policy_set.may_match(event.tenant, event.data.action):
                match = policy_set.match(ActionView(event, subject))
                seen.policed += match.requirement is not None and not match.exempt
        elif kind_of(event):
            seen.counts[PROVES] += 1

    @property
    def subjects(self) -> int:
        """How many act or prove."""
        return sum(bool(seen.counts) for seen in self._seen.values())

    def unmatched(self, evidence: Evidence) -> list[Unmatched]:
        """Those that do only one of the two: most policed actions first, then most of either.

        Args:
            evidence: what rows say of who is who, for the likely partners.
        """
        partners = _Partners(self._seen, evidence)
        found = []
        for (tenant, subject), seen in self._seen.items():
            if len(seen.counts) == 1:
                ((only, count),) = seen.counts.items()
                likely = tuple(partners.of((tenant, subject), PROVES if only == ACTS else ACTS))
                sources = tuple(sorted(seen.sources))
                found.append(Unmatched(tenant, subject, only, seen.policed, count, sources, likely))
        return sorted(found, key=lambda one: (-one.policed, -one.times, one.tenant, one.subject))


class _Partners:
    """Finds who may be the same person: by rows that join two names, or else by a word that both are called."""

    def __init__(self, seen: dict[SubjectKey, _Seen], evidence: Evidence) -> None:
        self._seen = seen
        self._joined = evidence.joined()
        self._by_name: dict[tuple[str, str], set[str]] = {}
        self._by_word: dict[tuple[str, str], set[str]] = {}
        for (tenant, subject), of_subject in seen.items():
            for name in self._all_names(subject, of_subject):
                self._by_name.setdefault((tenant, name), set()).add(subject)
                for word in words_of(name):
                    self._by_word.setdefault((tenant, word), set()).add(subject)

    def _all_names(self, subject: str, seen: _Seen) -> set[str]:
        names = seen.names | {subject}
        return names.union(*(self._joined.get(name, ()) for name in names))

    def of(self, key: SubjectKey, doing: str) -> Iterator[Partner]:
        tenant, subject = key
        names = self._all_names(subject, self._seen[key])
        joined = {name: self._by_name.get((tenant, name), set()) for name in names}
        if likely := self._likely(tenant, joined, subject, doing):
            yield from (Partner(other, f"rows name both beside {name}") for other, name in likely)
            return
        words = {word for name in names for word in words_of(name)}
        called = {word: self._by_word.get((tenant, word), set()) for word in words}
        rare = {word: others for word, others in called.items() if len(others) <= WORD_GROUPS_MAX}
        likely = self._likely(tenant, rare, subject, doing)
        yield from (Partner(other, f"both are called {word}") for other, word in likely)

    def _likely(self, tenant: str, by: dict[str, set[str]], subject: str, doing: str) -> list[tuple[str, str]]:
        """Others that do what the subject never does, each with what leads to them."""
        found = {
            other: name
            for name in sorted(by)
            for other in by[name]
            if other != subject and self._seen[tenant, other].counts[doing]
        }
        return sorted(found.items()) if len(found) <= PARTNERS_MAX else []
