"""Logs that are large in one respect, for the curves: many subjects, many policies, much known of each subject."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from stepwatch.streams.decode import ACTION, AUTHENTICATION
from tests.bench.corelog import BEGIN_US, CoreLog
from tests.bench.data import POLICY, SESSIONS, Sent, action_body, step_up_body

_FILL = 4000
_BATCH = 300
_NAME = re.compile(rb'"action":"[^"]*"')
_MAX_AGE = "20h"
"""Of all policies here: no proof grows too old while a log is being made, so each of them has to be weighed."""
_POLICY = POLICY.replace("max_age: 5m", f"max_age: {_MAX_AGE}")
KINDS = {"plain": 0.90, "proved": 0.04, "unproved": 0.01, "step-up": 0.05}
"""Kind of event -> about its share in the benchmark's data; the middle two are policed actions."""


class Crowd:
    """A core with so much in it, and what one more event of each kind costs it.

    Args:
        policy: YAML of one policy file.
        names: names of the actions that its policies match; empty: those of the data.

    Attributes:
        log: the core and its log.
    """

    def __init__(self, policy: str = _POLICY, names: Sequence[str] = ()) -> None:
        self.log = CoreLog(policy)
        self._names = names
        self._rng = random.Random(11)
        self._number = 0
        self._at_ms = 0
        self._subjects = 1

    def prove(self, subjects: range, times: int = 1, each_ms: float = 0.2) -> None:
        """Take in so many step-ups of each of these subjects, so far apart, in one session after the other."""
        proofs = ((who, session % SESSIONS) for session in range(times) for who in subjects)
        begin_ms, number = self._at_ms, 0
        while portion := list(islice(proofs, _FILL)):
            sent = []
            for who, session in portion:
                self._at_ms = begin_ms + int(number * each_ms)
                sent.append(self._step_up(who, session))
                number += 1
            self.log.take(self.log.batches(sent, _FILL))
        self._subjects = max(self._subjects, subjects.stop)

    @property
    def kept(self) -> int:
        """Facts and actions that the core keeps."""
        return sum(len(ledger.facts) + len(ledger.kept) for ledger in self.log.core.known.ledgers.values())

    def costs(self, count: int, rounds: int = 3) -> dict[str, float]:
        """CPU us an event of each kind, of `count` events, the least of some rounds; and of the data's mix."""
        found = {}
        for kind in KINDS:
            # Plain actions leave nothing behind, so there may be enough of them to outweigh what a batch itself costs.
            counted = max(count, _BATCH) if kind == "plain" else count
            found[kind] = min(self._took(list(self._some(kind, counted))) for _ in range(rounds))
        return found | mix_of(found)

    def cost_of_new_names(self, count: int) -> float:
        """CPU us of a plain action whose name was never seen before."""
        sent = [
            each._replace(body=_NAME.sub(b'"action":"new.name%d.read"' % number, each.body))
            for number, each in enumerate(self._some("plain", count))
        ]
        return self._took(sent)

    def _took(self, sent: list[Sent]) -> float:
        batches = self.log.batches(sent, _BATCH)
        self._at_ms += 5000
        # Graces end within what is measured: who is not proved by then is judged once more.
        batches += self.log.beat(self._at_ms)
        begun = time.process_time_ns()
        self.log.take(batches)
        return (time.process_time_ns() - begun) / len(sent) / 1000

    def _some(self, kind: str, count: int) -> Iterator[Sent]:
        """Events a millisecond apart, of subjects taken in turn from a random one on."""
        first = self._rng.randrange(self._subjects)
        for number in range(count):
            self._at_ms += 1
            who = (first + number * 7919) % self._subjects
            if kind == "step-up":
                yield self._step_up(who, self._rng.randrange(SESSIONS))
            else:
                # In the first session everybody has a proof, and nobody has one in a ninth.
                yield self._action(who, SESSIONS if kind == "unproved" else 0, kind != "plain")

    def _step_up(self, who: int, session: int) -> Sent:
        self._number += 1
        body = step_up_body(self._number, self._now_us, who, session, "hwk")
        return Sent(self._at_ms, AUTHENTICATION, who, body)

    def _action(self, who: int, session: int, policed: bool) -> Sent:
        self._number += 1
        body = action_body(self._number, self._now_us, who, session, policed)
        if policed and self._names:
            body = _NAME.sub(f'"action":"{self._rng.choice(self._names)}"'.encode(), body)
        return Sent(self._at_ms, ACTION, who, body)

    @property
    def _now_us(self) -> int:
        return BEGIN_US + self._at_ms * 1000


def mix_of(costs: Mapping[str, float]) -> dict[str, float]:
    """`mix`: what an event of the data costs, by what each kind does."""
    return {"mix": sum(share * costs[kind] for kind, share in KINDS.items())}


def many_policies(count: int) -> tuple[str, list[str]]:
    """A file of so many policies, every other one with a pattern; and names of actions, one for each policy."""
    lines = [
        "version: 1",
        f"defaults: {{grace: 1s, max_age: {_MAX_AGE}}}",
        "sources: [{name: /idp, silent_after: 30m}]",
        "policies:",
    ]
    names = []
    for number in range(count):
        pattern = f"area{number}.*.export" if number % 2 else f"area{number}.item.approve"
        names.append(pattern.replace("*", "item"))
        lines.append(f"  - {{id: p{number}, match: {{action: [{pattern}]}}, require: {{amr_any: [hwk, otp]}}}}")
    return "\n".join(lines) + "\n", names
