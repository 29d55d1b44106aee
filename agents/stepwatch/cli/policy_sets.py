"""The policy sets that a command means: those of the files named, or those that workers judge by."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stepwatch.cli.errors import Misused
from stepwatch.cli.policy import policy_files

if TYPE_CHECKING:
    from stepwatch.streams.sets import PolicySets


def policies_of(policies: Sequence[Path], data: Path | None) -> PolicySets:
    """The policies that were named, or else those that workers judge by.

    Raises:
        Misused: the topic of policies holds none.
        PolicyRefused: a file.
    """
    from stepwatch.streams.sets import load_files

    if policies:
        return load_files(policy_files(policies))
    from stepwatch.agents.policies import read_sets
    from stepwatch.cli.target import connect_quietly

    settings = connect_quietly(data)
    sets = asyncio.run(read_sets(settings))
    if sets is None:
        raise Misused(f"{settings.topics.policies} holds no policy set: apply one, or name files with --policy")
    return sets
