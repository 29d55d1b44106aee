"""The same policy sets with other numbers, as if somebody had written them into the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from stepwatch.streams.building import Parts, assemble
from stepwatch.streams.matching import CompiledPolicy, Match, Requirement
from stepwatch.streams.sets import PolicySet, PolicySets

Change = Callable[[Requirement], Requirement]
"""A requirement -> what it would be; the same object where nothing of it changes."""


def varied(sets: PolicySets, change: Change) -> PolicySets:
    """The sets with every requirement changed.

    Args:
        sets: stay as they are.
        change: must keep the ids.

    Returns:
        Sets of the same files and digests: an action judged by one of the old sets is judged by its new likeness.
    """

    def changed(policy: CompiledPolicy) -> CompiledPolicy:
        return _asking(policy, change(policy.requirement))

    return _remade(sets, lambda parts: replace(parts, policies=tuple(map(changed, parts.policies))))


def with_lookback(sets: PolicySets, lookback_us: int) -> PolicySets:
    """The sets with another `lookback` everywhere, which also says how long facts are kept."""
    longer = varied(sets, lambda requirement: replace(requirement, lookback_us=lookback_us))
    for policy_set in longer.sets:
        policy_set.lookback_max_us = lookback_us
    return PolicySets(longer.sets, longer.refused)


def without_silence(sets: PolicySets) -> PolicySets:
    """The sets without `silent_after`: for events that were stored without heartbeats.

    Without it every action that no proof covers would be `blind`, since no source gives a sign of life.
    """
    return _remade(
        sets,
        lambda parts: replace(
            parts, sources={name: replace(source, silent_after_us=None) for name, source in parts.sources.items()}
        ),
    )


def _remade(sets: PolicySets, change: Callable[[Parts], Parts]) -> PolicySets:
    return PolicySets([PolicySet(one.effective_from_us, change(_parts(one))) for one in sets.sets], sets.refused)


def _parts(policy_set: PolicySet) -> Parts:
    """What a set is made of; of a variant what it was made, not what its files say."""
    parts = assemble(policy_set.files)
    policies = (_asking(policy, policy_set.requirements[policy.requirement.id]) for policy in parts.policies)
    return replace(parts, sources=dict(policy_set.sources), policies=tuple(policies))


def _asking(policy: CompiledPolicy, requirement: Requirement) -> CompiledPolicy:
    return replace(policy, requirement=requirement, plain=Match(requirement))
