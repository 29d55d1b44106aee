"""What rows say of who is who -> proposed `identities` of a policy set, each alias with its evidence.

Proposed for review, never decided. Two names are joined only where one row says both of one person, and only by names
that mean one person anywhere: e-mail addresses (compared without case) and ids that a product made. A bare word
(`rosa`, `admin`, the name of a role's session) means somebody else in the next product: it is a hint, and no alias.

Where joining would make one person of two accounts of one product, that is a *conflict* (an address that was given to
somebody else, or is shared): it is named, and nothing is proposed by it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from stepwatch.sources.names import Names

WORD_GROUPS_MAX = 4
"""A word that more people share (`admin`, `session`) hints at nobody."""

_MAIL = re.compile(r"[^@\s:/]+@[^@\s:/]+\.[^@\s.:/]+")
_WORD = re.compile(r"[^@\s:/]{3,64}")


class Basis(NamedTuple):
    """Rows of one file that say a name of somebody, in one field."""

    rows: int
    file: str
    field: str
    beside: str
    """The other name in these rows."""


class Alias(NamedTuple):
    """One proposed alias with its evidence, the most rows first."""

    name: str
    evidence: tuple[Basis, ...]


class Proposal(NamedTuple):
    """One person: the canonical id proposed, and the other names."""

    subject: str
    aliases: tuple[Alias, ...]


class Conflict(NamedTuple):
    """Accounts of one product that would be one person.

    Attributes:
        names: what joins them.
        source: the product, by the word after `--from`.
        accounts: its subjects, at least two.
        evidence: of the names, the most rows first.
    """

    names: tuple[str, ...]
    source: str
    accounts: tuple[str, ...]
    evidence: tuple[Basis, ...]


class Hint(NamedTuple):
    """A bare word that several people are called by; each named by one of their subjects."""

    word: str
    subjects: tuple[str, ...]


class Proposed(NamedTuple):
    """What is proposed, what is contested, and what may be; each sorted."""

    proposals: list[Proposal]
    conflicts: list[Conflict]
    hints: list[Hint]


class Evidence:
    """Who is who, as the rows of several logs say it; the order of the rows changes nothing."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str, str], Counter[tuple[str, str, str]]] = {}
        self._claims_of: dict[str, list[tuple[str, str, str]]] = {}
        self._spellings: dict[str, set[str]] = {}
        self._joining: set[str] = set()
        self._accounts: dict[str, set[str]] = {}

    def add(self, source: str, file: str, found: Iterable[Names]) -> None:
        """Take what a row says.

        Args:
            source: the word after `--from`.
            file: where the row lies, as it is to be shown.
            found: of the row.
        """
        for names in found:
            who = names.who
            if names.own:
                self._accounts.setdefault(who.name, set()).add(source)
            for other in names.others:
                if other.is_id or _MAIL.fullmatch(other.name):
                    self._joining.add(other.name)
                claim = (source, who.name, other.name)
                if claim not in self._claims:
                    self._claims[claim] = Counter()
                    for name in (who.name, other.name):
                        self._claims_of.setdefault(name, []).append(claim)
                        self._spellings.setdefault(_key(name), set()).add(name)
                self._claims[claim][file, who.field, other.field] += 1

    def propose(self) -> Proposed:
        """What follows from all rows."""
        contested = self._contested()
        without = {name for conflict in contested for name in conflict.names}
        groups = self._groups(without)
        proposals, chained = [], []
        for group in groups:
            clashing = self._clashing(group)
            if clashing is None:
                proposals.append(self._proposal(group))
            else:
                chained.append(clashing)
        return Proposed(sorted(proposals), sorted(contested + chained), self._hints(groups, without))

    def joined(self) -> dict[str, frozenset[str]]:
        """Each name -> all names that rows join it with, itself among them; contested ones too."""
        return {name: group for group in self._groups(set()) for name in group}

    def _joins(self) -> Iterator[tuple[str, str, str]]:
        return (claim for claim in self._claims if claim[2] in self._joining)

    def _contested(self) -> list[Conflict]:
        """Names that two accounts of one product claim."""
        claimants: dict[tuple[str, str], set[str]] = {}
        for source, who, other in self._joins():
            if source in self._accounts.get(who, ()):
                claimants.setdefault((_key(other), source), set()).add(who)
        return [
            self._conflict({name}, source, whos)
            for (name, source), whos in claimants.items()
            if len(set(map(_key, whos))) > 1
        ]

    def _clashing(self, group: frozenset[str]) -> Conflict | None:
        """The conflict in what several names join one after the other; None where there is none."""
        accounts: dict[str, set[str]] = {}
        for name in group:
            for source in self._accounts.get(name, ()):
                accounts.setdefault(source, set()).add(name)
        for source, whos in sorted(accounts.items()):
            if len(set(map(_key, whos))) > 1:
                return self._conflict({_key(name) for name in group - whos}, source, whos)
        return None

    def _conflict(self, keys: set[str], source: str, whos: set[str]) -> Conflict:
        names = {name for key in keys for name in self._spellings[key]}
        evidence = [basis for name in names for basis in self._evidence(name)]
        theirs = [basis for basis in evidence if basis.beside in whos]
        return Conflict(tuple(sorted(keys)), source, tuple(sorted(whos)), tuple(sorted(theirs, reverse=True)))

    def _groups(self, without: set[str]) -> list[frozenset[str]]:
        """Names that belong together, as spelt, by all joining claims but those by these names."""
        members: dict[str, set[str]] = {}
        spelt: dict[str, set[str]] = {}
        for _, who, other in self._joins():
            if _key(other) in without:
                continue
            ours, theirs = (members.setdefault(_key(name), {_key(name)}) for name in (who, other))
            if ours is not theirs:
                # The smaller one moves: thousands of roles may be at one address.
                small, large = sorted((ours, theirs), key=len)
                large |= small
                for key in small:
                    members[key] = large
            for name in (who, other):
                spelt.setdefault(_key(name), set()).add(name)
        apart = {id(group): group for group in members.values()}
        return [frozenset(name for key in group for name in spelt[key]) for group in apart.values()]

    def _evidence(self, name: str) -> tuple[Basis, ...]:
        found = []
        for claim in self._claims_of[name]:
            _, who, other = claim
            for (file, who_field, other_field), rows in self._claims[claim].items():
                is_who = name == who
                found.append(Basis(rows, file, who_field if is_who else other_field, other if is_who else who))
        return tuple(sorted(found, reverse=True))

    def _proposal(self, group: frozenset[str]) -> Proposal:
        weights = {name: sum(basis.rows for basis in self._evidence(name)) for name in group}
        # An address says to a reader who it is; an id does not.
        subject = min(group, key=lambda name: (not _MAIL.fullmatch(name), -weights[name], name))
        return Proposal(subject, tuple(Alias(name, self._evidence(name)) for name in sorted(group - {subject})))

    def _hints(self, groups: list[frozenset[str]], without: set[str]) -> list[Hint]:
        """Words by which people are called whom no row joins; a contested name is told of already."""
        # The same one of each group, whatever the order of rows.
        first_of = {name: first for group, first in ((group, min(group)) for group in groups) for name in group}
        called: dict[str, set[str]] = {}
        for _, who, other in self._claims:
            for word in words_of(who) | (frozenset() if _key(other) in without else words_of(other)):
                called.setdefault(word, set()).add(first_of.get(who, who))
        return sorted(
            Hint(word, tuple(sorted(firsts))) for word, firsts in called.items() if 2 <= len(firsts) <= WORD_GROUPS_MAX
        )


def words_of(name: str) -> frozenset[str]:
    """What a name calls somebody, in lower case: the last part of an ARN, the part before the @."""
    last = name.rpartition("/")[2].rpartition(":")[2].lower()
    before = last.partition("@")[0]
    return frozenset(word for word in (last, before) if _WORD.fullmatch(word))


def _key(name: str) -> str:
    """By what names are compared: addresses without case."""
    return name.lower() if _MAIL.fullmatch(name) else name
