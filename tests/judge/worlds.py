"""Small, nasty worlds for the laws: some events and the policy sets that they are judged by.

`random_world` is plain and fast, for long runs; `world` is a thin hypothesis strategy over it that shrinks by
leaving events out.
"""

import json
import random
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from .world_events import BASE, WEIGHTS, Scene, faulty, written
from .world_policies import MINUTE, SECOND, Spans, random_set

ENOUGH = {"fatigue": 9, "guessing": 13}  # events without which the theme's pattern cannot hold


@dataclass(frozen=True)
class World:
    """Lines of a file, each event with its `arrival`, and policy files (name, YAML text) to judge it by."""

    lines: list[bytes]
    policies: list[tuple[str, str]]

    def __repr__(self) -> str:
        """As it would be put into files, for the report of a failed test."""
        files = "".join(f"--- {name}\n{text}" for name, text in self.policies)
        return f"World\n{files}--- events.jsonl\n" + b"\n".join(self.lines).decode(errors="backslashreplace")


def random_sets(rng: random.Random, theme: str, spans: Spans) -> list[tuple[str, str]]:
    """One set, or two of which the second begins near the events."""
    if rng.random() < 0.7:
        return random_set(rng, theme, "", None, spans)
    first = rng.choice([None, BASE - 10 * MINUTE])
    second = BASE + rng.choice([0, 0, SECOND, MINUTE, -MINUTE])
    spans.starts += [second]
    older = random_set(rng, theme, "older-", written(first) if first else None, spans)
    return older + random_set(rng, theme, "newer-", written(second), spans)


def random_world(rng: random.Random, max_events: int = 25) -> World:
    """One world of 2 to `max_events` lines, in any order of arrival."""
    theme = rng.choice(list(WEIGHTS))
    spans = Spans()
    policies = random_sets(rng, theme, spans)
    scene = Scene(rng, theme, spans)
    count = rng.randint(min(ENOUGH.get(theme, 2), max_events), max_events)
    lines: list[bytes] = []
    while len(lines) < count:
        chance = rng.random()
        if scene.sent and chance < (0.35 if theme == "copies" else 0.07):
            event = scene.copy()
        elif scene.sent and chance > 0.96:
            lines.append(faulty(rng, rng.choice(scene.sent)))
            continue
        else:
            event = scene.event()
        lines.append(json.dumps(event, ensure_ascii=rng.random() < 0.5).encode())
    rng.shuffle(lines)
    return World(lines, policies)


@st.composite
def world(draw: st.DrawFn, max_events: int = 25) -> World:
    """A strategy of worlds; shrinking leaves out lines."""
    whole = random_world(random.Random(draw(st.integers(0, 2**63 - 1))), max_events)
    count = len(whole.lines)
    kept = draw(st.lists(st.integers(0, 15), min_size=count, max_size=count))  # 0 leaves a line out
    return replace(whole, lines=[line for line, keep in zip(whole.lines, kept, strict=True) if keep])
