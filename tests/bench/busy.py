"""`python -m tests.bench.busy`: what 100,000 events of one subject in an hour cost the core (a service account).

No server: the core alone reads them in batches of 50, as they would come, and the CPU time of each tenth is told. Where
a cost grew with what is known of the subject, the last tenths would show it; past 50,000 live facts it is overloaded.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import Counter
from typing import Any

from stepwatch.schemas.times import HOUR_US
from stepwatch.streams.correlator import Correlator
from tests.core.driver import T0_US, TOPICS, Record, an_event, sets_of

POLICY = """
defaults: {grace: 10s}
sources: [{name: /idp, silent_after: 5m}]
policies: [{id: p, match: {action: ["payments.*"]}}]
"""
KINDS = {
    "unproved": "policed actions, no proof",
    "proved": "a proof, then a policed action in its session",
    "strange": "a proof, then a policed action in another session, each pair with sessions of its own",
}
_BATCH = 50


def events_of(kind: str, count: int) -> list[tuple[str, int, dict[str, Any]]]:
    """(topic, arrival us, event) of one hour."""
    found = []
    for number in range(count):
        at_us = T0_US + number * (HOUR_US // count)
        session = f"s{number}" if kind == "strange" else "s"
        if number % max(1, count // 100) == 0:
            beat = an_event("heartbeat", f"h{number}", time_us=at_us, subject=None, source="/idp")
            found.append((TOPICS.authentications, at_us, beat))
        if kind != "unproved" and number % 2 == 0:
            proof = an_event(
                "stepup.verified", f"v{number}", time_us=at_us, subject="svc", source="/idp", session=session
            )
            found.append((TOPICS.authentications, at_us, proof))
        else:
            action = an_event(
                "action.performed", f"a{number}", time_us=at_us, subject="svc", session=session, action="payments.pay"
            )
            found.append((TOPICS.actions, at_us, action))
    return found


def run(kind: str, count: int) -> str:
    """Feed an hour of one subject to the core; returns the line to print."""
    core = Correlator(partition=0, partitions=1, topics=TOPICS, sets=sets_of(POLICY))
    records: list[tuple[str, Record]] = []
    offsets: Counter[str] = Counter()
    for topic, at_us, event in events_of(kind, count):
        records.append((topic, Record(offsets[topic], at_us // 1000, None, json.dumps(event).encode())))
        offsets[topic] += 1
    said: Counter[str] = Counter()
    tenths: list[int] = []
    begun = since = time.process_time()
    for first in range(0, len(records), _BATCH):
        batch = records[first : first + _BATCH]
        for topic in (TOPICS.authentications, TOPICS.actions):
            if mine := [record for its_topic, record in batch if its_topic == topic]:
                said.update(core.take(topic, mine, 0).counts)
        if (first + _BATCH) * 10 // len(records) > len(tenths):
            now = time.process_time()
            tenths.append(round((now - since) / (len(records) / 10) * 1e6))
            since = now
    verdicts = {name.partition(".")[2]: n for name, n in sorted(said.items()) if name.startswith("verdicts.")}
    return f"{kind:9} {time.process_time() - begun:6.1f} s CPU, us per event by tenths {tenths}, {verdicts}"


def main() -> None:
    """Print a line for each kind, and the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="events in the hour")
    parser.add_argument("kinds", nargs="*", help=", ".join(KINDS))
    given = parser.parse_args()
    for kind in given.kinds or KINDS:
        print(run(kind, given.count), flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
