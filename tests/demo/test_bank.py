"""The bank: the same for a seed, in its day, and with nothing in it that calls anybody at night."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from stepwatch.demo.bank import ROBOTS, Bank, subject_of
from tests.demo.day import NOW_US, OUTAGE_US, START_US, Day, whole_day


@pytest.fixture(scope="module")
def day() -> Day:
    return whole_day()


def test_the_same_seed_is_the_same_day_and_another_is_another() -> None:
    days = [Bank(seed, NOW_US, 30, OUTAGE_US).day() for seed in (1, 1, 2)]
    assert days[0] == days[1]
    assert days[0] != days[2]


def test_a_few_hundred_people_make_thousands_of_events() -> None:
    bank = Bank(7, NOW_US, 300, OUTAGE_US)
    assert len({person.subject for person in bank.people}) == 300
    assert 3000 < len(bank.day()) < 10_000


def test_everything_is_sent_within_the_day_in_order_and_never_before_it_happened(day: Day) -> None:
    when = [happening.when_us for happening in day.ordinary]
    assert when == sorted(when)
    assert when[0] >= START_US - 60_000_000
    assert when[-1] < NOW_US


def test_some_events_are_sent_twice_and_their_copies_are_the_same_bytes(day: Day) -> None:
    values = Counter(happening.value for happening in day.ordinary)
    ids = Counter(json.loads(value)["id"] for value in values)
    assert max(values.values()) == 2
    assert set(ids.values()) == {1}


def test_an_ordinary_day_raises_no_alert(day: Day) -> None:
    known = {end.subject for story in day.stories for end in story.alerts}
    assert [row for row in day.rows if row["kind"] == "alert" and row["subject"] not in known] == []


def test_an_ordinary_day_has_every_kind_of_verdict_but_blind(day: Day) -> None:
    subjects = {happening.subject for happening in day.ordinary}
    counts = Counter(row["verdict"] for (subject, _), row in day.verdicts().items() if subject in subjects)
    assert set(counts) == {"not_required", "exempt", "verified", "unverified"}


def test_what_the_application_stopped_is_the_only_unverified_of_an_ordinary_day(day: Day) -> None:
    denied = {
        event["id"]
        for event in (json.loads(happening.value) for happening in day.ordinary)
        if event["data"].get("outcome") == "denied"
    }
    subjects = {happening.subject for happening in day.ordinary}
    unverified = {
        action
        for (subject, action), row in day.verdicts().items()
        if row["verdict"] == "unverified" and subject in subjects
    }
    assert unverified == denied


def test_nobody_does_policed_work_while_the_identity_provider_is_silent(day: Day) -> None:
    policed = {action for (_, action), row in day.verdicts().items() if row["policy"] and row["verdict"] != "exempt"}
    robots = {robot.subject for robot in ROBOTS}
    in_outage = [h for h in day.ordinary if OUTAGE_US[0] <= h.when_us <= OUTAGE_US[1] and h.subject not in robots]
    # A copy may be sent then; the event itself was there before.
    first_sent = {h.value: h.when_us for h in reversed(day.ordinary)}
    late = [h for h in in_outage if first_sent[h.value] == h.when_us and json.loads(h.value)["id"] in policed]
    assert late == []


def test_two_bad_records_are_rejected_by_their_field(day: Day) -> None:
    assert sorted(row["field"] for row in day.rows if row["kind"] == "rejected") == ["data.action", "json"]


def test_a_subject_is_the_name_in_lower_case() -> None:
    assert subject_of("Nora Lindqvist") == "nora.lindqvist"
