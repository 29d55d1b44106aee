"""Reads our Dockerfile: its stages and their instructions, enough to check it and to run its build steps."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction, its continuation lines joined."""

    word: str
    rest: str


class Stage(NamedTuple):
    """One stage: from `FROM` to the next."""

    image: str
    name: str
    instructions: tuple[Instruction, ...]

    def all(self, word: str) -> list[str]:
        """What follows each instruction of that word."""
        return [instruction.rest for instruction in self.instructions if instruction.word == word]


def parse_dockerfile(text: str) -> list[Stage]:
    """The stages of a Dockerfile without heredocs or parser directives (ours has none)."""
    joined = re.sub(r"\\\n", " ", text)
    lines = [line.strip() for line in joined.splitlines()]
    stages: list[tuple[str, str, list[Instruction]]] = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            stages.append((image, name, []))
        else:
            stages[-1][2].append(Instruction(word, rest.strip()))
    return [Stage(image, name, tuple(instructions)) for image, name, instructions in stages]


def copies(stage: Stage) -> list[tuple[list[str], str]]:
    """The `COPY source … target` of a stage that take from the checkout."""
    words = [shlex.split(rest) for rest in stage.all("COPY")]
    return [(w[:-1], w[-1]) for w in words if not w[0].startswith("--from")]
