"""What every tuner has in common: what it advises, whom it refuses, and which actions a window can decide at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stepwatch.streams.matching import Requirement
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.tuning.rejudging import Judged
from stepwatch.streams.waiting import SubjectKey

ACTIONS_MIN: Final = 30
PEOPLE_MIN: Final = 5
"""With fewer nothing is recommended: one habit of one person would decide."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What is recommended.

    Attributes:
        window_us: None: nothing can be said.
        why: in a sentence or two.
    """

    window_us: int | None
    why: str


def too_few(count: int, what: str, people: int) -> Advice | None:
    """No advice, where there are too few of something or of people."""
    if count >= ACTIONS_MIN and people >= PEOPLE_MIN:
        return None
    said = f"{count} {what} of {people} people are too few to say"
    return Advice(None, f"{said}: take a longer period (at least {ACTIONS_MIN} {what} of {PEOPLE_MIN} people)")


class NothingToTune(ValueError):
    """The events do not say anything about what was asked; the message says why."""

    code = "nothing_to_tune"
    retriable = False


def requirement_of(sets: PolicySets, policy: str) -> Requirement:
    """The policy as the youngest set that has it says it.

    Raises:
        NothingToTune: none has it.
    """
    for policy_set in reversed(sets.sets):
        if policy in policy_set.requirements:
            return policy_set.requirements[policy]
    known = sorted({name for policy_set in sets.sets for name in policy_set.requirements})
    raise NothingToTune(f"no policy {policy}; the files have {', '.join(known) or 'none'}")


def person_of(subject: SubjectKey) -> str:
    """A subject as one name."""
    return f"{subject[0]}/{subject[1]}"


def is_fair(one: Judged) -> bool:
    """No window decides what came too late or was too much."""
    return not (one.action.too_late or one.action.overloaded)
