"""One thing that `stepwatch doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        words: how it is.
        do: what to do about it; `""`: nothing, it is well.
        away: a server does not answer.
    """

    name: str
    words: str
    do: str = ""
    away: bool = False
