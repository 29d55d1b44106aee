"""What assurance remembers: until when, and what goes first where there is too much."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.ingest.proofs import SHOWN_MAX, Proofs
from stepwatch.schemas.times import HOUR_US, SECOND_US, format_time, parse_time
from stepwatch.streams.decode import AUTHENTICATION, Event, decode
from stepwatch.streams.sets import PolicySets, build_set

NOW_US = parse_time("2026-11-24T09:15:02Z") or 0
SETS = PolicySets([build_set([("p.yaml", "version: 1\ndefaults: {lookback: 24h}\npolicies: []\n")], None)])
DAY_US = 24 * HOUR_US


def event(id: str, time_us: int, kind: str = "stepup.verified", subject: str = "alice", **data: Any) -> Event:
    """An authentication event that arrives when it happens."""
    said = {
        "id": id,
        "source": "/idp",
        "type": f"stepwatch.{kind}",
        "time": format_time(time_us),
        "subject": subject,
        "data": {"tenant": "acme", "session": "s-1", **data},
    }
    read = decode(json.dumps(said).encode(), time_us, AUTHENTICATION)
    assert isinstance(read, Event)
    return read


def live(proofs: Proofs, now_us: int = NOW_US, subject: str = "alice") -> list[str]:
    """The ids of the live verifications, newest first."""
    return [fact.id for fact in proofs.live("acme", subject, "", "", now_us, SETS)[1]]


def test_a_proof_exactly_lookback_old_is_shown_and_one_that_is_older_is_not() -> None:
    proofs = Proofs()
    proofs.take(event("v", NOW_US), SETS)
    assert live(proofs, NOW_US + DAY_US) == ["v"]
    assert live(proofs, NOW_US + DAY_US + 1) == []


def test_a_proof_is_forgotten_only_when_log_time_is_past_its_lookback_and_its_subject_with_it() -> None:
    proofs = Proofs()
    proofs.take(event("v", NOW_US), SETS)
    proofs.take(event("w", NOW_US + SECOND_US), SETS)
    proofs.forget(NOW_US + DAY_US)
    assert (proofs.count, live(proofs, NOW_US + DAY_US)) == (2, ["w", "v"])
    proofs.forget(NOW_US + DAY_US + 1)
    assert (proofs.count, live(proofs, NOW_US + DAY_US)) == (1, ["w"])
    proofs.forget(NOW_US + DAY_US + SECOND_US + 1)
    assert (proofs.count, live(proofs, NOW_US + DAY_US), proofs.forgotten_early) == (0, [], 0)
    # What was forgotten may be said again: nothing of it is left that would make it a copy.
    proofs.take(event("v", NOW_US), SETS)
    assert proofs.count == 1


def test_as_many_facts_as_there_may_be_are_held_and_of_one_more_the_oldest_goes_early() -> None:
    proofs = Proofs(facts_max=3)
    for number in range(3):
        proofs.take(event(f"v{number}", NOW_US + number), SETS)
    assert (proofs.count, proofs.forgotten_early) == (3, 0)
    proofs.take(event("v3", NOW_US + 3, subject="bob"), SETS)
    assert (proofs.count, proofs.forgotten_early) == (3, 1)
    assert live(proofs, NOW_US + 9) == ["v2", "v1"]
    assert live(proofs, NOW_US + 9, "bob") == ["v3"]


def test_a_revocation_never_goes_before_the_proof_that_it_voids() -> None:
    proofs = Proofs(facts_max=2)
    proofs.take(event("v", NOW_US, credential="c", amr=["hwk"]), SETS)
    proofs.take(event("r", NOW_US + 1, "credential.changed", credential="c", change="revoked"), SETS)
    for number in range(3):
        assert live(proofs, NOW_US + 9, "alice") == []
        proofs.take(event(f"w{number}", NOW_US + 2 + number, subject="bob"), SETS)
    assert live(proofs, NOW_US + 9, "bob") == ["w2", "w1"]
    assert live(proofs, NOW_US + 9, "alice") == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("stepup.challenged", {}),
        ("stepup.failed", {}),
        ("session.started", {}),
        ("credential.changed", {"credential": "c", "change": "created"}),
    ],
)
def test_what_neither_proves_nor_revokes_is_not_held(kind: str, data: dict[str, str]) -> None:
    proofs = Proofs()
    proofs.take(event("e", NOW_US, kind, **data), SETS)
    assert proofs.count == 0


def test_a_copy_is_held_once() -> None:
    proofs = Proofs()
    for _ in range(2):
        proofs.take(event("v", NOW_US), SETS)
    assert proofs.count == 1


def test_an_answer_holds_the_newest_hundred() -> None:
    proofs = Proofs()
    for number in range(SHOWN_MAX + 1):
        proofs.take(event(f"v{number}", NOW_US + number), SETS)
    found = live(proofs, NOW_US + SECOND_US)
    assert (len(found), found[0], found[-1]) == (SHOWN_MAX, f"v{SHOWN_MAX}", "v1")
