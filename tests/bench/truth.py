"""The verdicts that the benchmark's data calls for, by brute force: no code of the core, no index, no order.

Of its one policy (`data.POLICY`) and of contract section 5 only what its events can meet: every proof is a step-up of
the source that proves, nothing is revoked, all arrives in time and the source is alive. Why a verdict is `unverified`
is not said here; that is compared with `replay`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

_STRONG = {"hwk", "otp"}
_MAX_AGE = timedelta(minutes=5)
_SKEW = timedelta(seconds=5)


class Proof(NamedTuple):
    """A step-up as far as verdicts depend on it."""

    time: datetime
    id: str
    session: str
    strong: bool


def truth(actions: Iterable[bytes], step_ups: Iterable[bytes]) -> dict[str, tuple[str, str]]:
    """What must be said of each policed action.

    Args:
        actions: bodies of policed actions; copies too.
        step_ups: bodies of all step-ups; copies too.

    Returns:
        Id of the action -> (verdict, id of the verification or "").
    """
    proofs: dict[str, list[Proof]] = defaultdict(list)
    for event in map(json.loads, step_ups):
        data = event["data"]
        proof = Proof(_time(event), event["id"], data["session"], bool(_STRONG & set(data["amr"])))
        proofs[event["subject"]].append(proof)
    found = {}
    for event in map(json.loads, actions):
        at, session = _time(event), event["data"]["session"]
        good = [
            proof
            for proof in proofs[event["subject"]]
            if proof.session == session and proof.strong and at - _MAX_AGE <= proof.time <= at + _SKEW
        ]
        # The latest counts; of one time the greater id.
        found[event["id"]] = ("verified", max(good).id) if good else ("unverified", "")
    return found


def _time(event: dict[str, str]) -> datetime:
    return datetime.fromisoformat(event["time"])
