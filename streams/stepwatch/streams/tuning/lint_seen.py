"""What events show about the policies that judge them: what was never met, and what can never be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from stepwatch.streams.decode import ACTION, Event
from stepwatch.streams.facts import kind_of
from stepwatch.streams.intake import ActionView
from stepwatch.streams.replay import Gathered
from stepwatch.streams.sets import PolicySet, PolicySets
from stepwatch.streams.tuning.lint import NO_SESSION, OWNERS_OVERLAP, Finding
from stepwatch.streams.tuning.matching_alone import Alone, each_alone
from stepwatch.streams.yamltext import Path

UNSEEN: Final = "unseen"
NEVER_MATCHED: Final = "never_matched"


def lint_seen(gathered: Gathered, sets: PolicySets, since_us: int = 0) -> list[Finding]:
    """Look at every set by the events of its own time.

    Args:
        gathered: by these sets.
        sets: to be looked at.
        since_us: only actions with a time from then on.

    Returns:
        Findings in the order of the policies; of a set in whose time nothing happened, none.
    """
    lookers = {id(policy_set): _Looker(policy_set) for policy_set in sets.sets}
    for key, event in gathered.events.items():
        if isinstance(event, Event):
            looker = lookers[id(sets.at(event.time_us))]
            if event.family != ACTION:
                looker.hear(event)
            elif event.time_us >= since_us:
                looker.look(ActionView(event, key[1]), event.id)
    if len(lookers) == 1:
        # An action that no policy concerns may have been read without its name: that something happened is enough.
        lookers[id(sets.sets[0])].events = len(gathered.events)
    return [finding for policy_set in sets.sets for finding in lookers[id(policy_set)].findings()]


class _Looker:
    """One set, and what was seen in its time."""

    def __init__(self, policy_set: PolicySet) -> None:
        self.events = 0
        self._set = policy_set
        self._all = each_alone(policy_set)
        self._met: dict[str, Counter[Path]] = {one.placed.policy.id: Counter() for one in self._all}
        self._listed: Counter[str] = Counter()
        self._judged: Counter[str] = Counter()
        self._sources: dict[str, Counter[tuple[str, bool]]] = {one.placed.policy.id: Counter() for one in self._all}
        self._overlaps: dict[tuple[str, str], list[str]] = {}
        self._proofs: Counter[tuple[str, bool]] = Counter()

    def hear(self, event: Event) -> None:
        """Count a proof by its kind, and by whether it has a session."""
        self.events += 1
        if kind := kind_of(event):
            self._proofs[kind, bool(event.data.session or event.data.root_session)] += 1

    def look(self, action: ActionView, event_id: str) -> None:
        """Ask every policy about an action."""
        self.events += 1
        first: Alone | None = None
        for one in self._all:
            if not one.meets_lists(action):
                continue
            name = one.placed.policy.id
            self._listed[name] += 1
            self._met[name].update(part.path for part in one.met_parts(action))
            if not one.matches(action):
                continue
            if first is None:
                first = one
                self._judged[name] += 1
                self._sources[name][action.source, bool(action.session or action.root_session)] += 1
            elif first.placed.policy.owner != one.placed.policy.owner:
                self._overlaps.setdefault((name, first.placed.policy.id), []).append(event_id)

    def findings(self) -> Iterator[Finding]:
        """What is to be told, policy by policy."""
        if not self.events:
            return
        by_id = {one.placed.policy.id: one for one in self._all}
        for one in self._all:
            yield from self._unseen(one)
            yield from self._sessionless(one)
            for (name, other), ids in self._overlaps.items():
                if name == one.placed.policy.id:
                    yield _overlap(one, by_id[other], ids)

    def _unseen(self, one: Alone) -> Iterator[Finding]:
        name = one.placed.policy.id
        if not self._listed[name]:
            message = "nothing seen has such a name, type, sensitivity and tenant: does the application report it so?"
            yield one.placed.finding(("match",), UNSEEN, message)
            return
        for part in one.parts:
            # A missing sensitivity meets every list, so a value that was not seen says little.
            if part.path[1] != "sensitivity" and not self._met[name][part.path]:
                yield one.placed.finding(part.path, UNSEEN, f"{part.text!r} matches nothing seen")
        if not self._judged[name]:
            message = f"{self._listed[name]:,} actions seen meet its lists, and none is judged by it: "
            message += "an earlier policy or its own condition takes them all"
            yield one.placed.finding(("id",), NEVER_MATCHED, message)

    def _sessionless(self, one: Alone) -> Iterator[Finding]:
        name = one.placed.policy.id
        requirement = self._set.requirements[name]
        if not requirement.same_session:
            return
        path: Path = ("require", "same_session")
        counts = self._sources[name]
        for source in sorted({source for source, _ in counts}):
            if not counts[source, True]:
                message = f"none of the {counts[source, False]:,} actions of {source} has a session, so none can be met"
                yield one.placed.finding(
                    path, NO_SESSION, f"{message}: write `same_session: false`, or have it reported"
                )
        without = sum(self._proofs[kind, False] for kind in requirement.accept)
        if without and not any(self._proofs[kind, True] for kind in requirement.accept):
            message = f"none of the {without:,} proofs seen of an accepted kind has a session, so none can meet it"
            yield one.placed.finding(path, NO_SESSION, message)


def _overlap(one: Alone, other: Alone, ids: list[str]) -> Finding:
    ours, theirs = one.placed.policy.owner or "nobody", other.placed.policy.owner or "nobody"
    message = (
        f"{len(ids):,} actions that it matches (such as {ids[0]}) are judged by {other.placed.place()}, whose owner is "
        f"{theirs} and not {ours}: narrow one of them"
    )
    return one.placed.finding(("match",), OWNERS_OVERLAP, message)
