"""A fact touches few actions: that those are all whom it concerns is a law of its own, for verdicts on their way too.

The last revision is right even where an action was overlooked, since its close judges once more. So every batch is
compared, and not only the end.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwatch.streams import settling
from stepwatch.streams.sets import PolicySets
from tests.judge.worlds import random_world
from tests.laws.stream import Reader, Record, as_topics, in_whole_ms
from tests.laws.worldsets import sets_of


def said_by_batch(sets: PolicySets, topics: dict[str, list[Record]], seed: int) -> list[object]:
    """What each batch published, read in an order that the seed decides."""
    rng = random.Random(seed)
    reader = Reader(sets, {topic: list(records) for topic, records in topics.items()})
    said: list[object] = []
    while left := reader.left():
        topic, count = rng.choice(left), rng.choice((1, 1, 2, 5))
        start = reader.correlator.positions.get(topic, 0)
        effects = reader.correlator.take(topic, [r for r in topics[topic] if r.offset >= start][:count], 0)
        reader.outputs.commit(effects)
        said.append((sorted(row for _, row in effects.audit_rows()), sorted(effects.alerts, key=repr)))
        if rng.random() < 0.05:
            reader.restart()
    return said


@given(st.integers(0, 2**32))
@settings(deadline=None)
def test_to_judge_only_what_a_fact_touches_says_the_same_in_every_batch_as_to_judge_all_that_is_open(
    seed: int,
) -> None:
    rng = random.Random(seed)
    world = random_world(rng, max_events=rng.choice((25, 60)))
    sets = sets_of(world)
    topics = as_topics(in_whole_ms(world.lines, sets), rng, sets)
    few = said_by_batch(sets, topics, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settling, "touched_by_fact", lambda fact, ledger, *rest: ledger.open.values())
        assert said_by_batch(sets, topics, seed) == few
