"""The demo's policies: the three examples of `deploy/policies`, made quick enough for a day in a minute."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).with_name("policies")
"""Copies that an installed package has too; a test holds them equal to `quickened` of the originals."""

_BEGIN = (
    "# Made from deploy/policies/{name} for `stepwatch demo`: a day is played in about a minute, so a grace is 2 s,\n"
    "# a source counts as silent after 3 s, and events of the last 48 h are judged. All else is as it is there.\n"
)


def quickened(name: str, text: str) -> str:
    """An example policy file as the demo uses it.

    Args:
        name: of the file, for its first line.
        text: YAML as in `deploy/policies`.

    Returns:
        The same with `grace: 2s` (a grace of 0 stays), `silent_after: 3s` and `accept_late: 48h`.
    """
    # What an editor reads points beside the original only.
    text = re.sub(r"\A# yaml-language-server: .*\n", "", text)
    text = re.sub(r"\bgrace: [1-9]\w*", "grace: 2s", text)
    text = re.sub(r"\bsilent_after: \w+", "silent_after: 3s", text)
    text = re.sub(r"^  grace: 2s\n", "  grace: 2s\n  accept_late: 48h\n", text, count=1, flags=re.M)
    return _BEGIN.format(name=name) + text
