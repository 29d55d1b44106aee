"""What conditions see of an event, and what becomes of their errors on record (contract section 4)."""

from __future__ import annotations

from typing import Any

import pytest

from stepwatch.schemas.times import SECOND_US
from tests.core.driver import T0_US, Driver, Row

GEO = """policies: [{id: geo, match: {action: ["geo.*"], when: "client.country == 'NO'"},
  exempt: {when: "token.level > 3"}}]"""
NO_COUNTRY = "policy geo: match.when: no such key: country (counts as a match)"
NO_LEVEL = "policy geo: exempt.when: no such key: level (counts as not exempt)"


def judged(driver: Driver, **data: Any) -> Row:
    """The row of one action when its grace is over."""
    driver.action("a", action="geo.read", **data)
    driver.pulse(T0_US + 10 * SECOND_US)
    return driver.verdict("a")


def test_each_condition_error_is_counted_and_noted_on_the_record() -> None:
    driver = Driver(GEO)
    row = judged(driver)
    assert row["notes"] == [NO_COUNTRY, NO_LEVEL]
    assert row["verdict"] == "unverified"
    assert driver.counts["condition_errors"] == 2


def test_the_notes_stay_on_every_revision_and_after_a_restart() -> None:
    driver = Driver(GEO)
    judged(driver)
    driver.restart()
    driver.evidence("stepup.verified", "v", time_us=T0_US)
    assert [row["notes"] for row in driver.revisions("a")] == [[NO_COUNTRY, NO_LEVEL]] * 2


def test_the_notes_of_an_exempt_action_are_on_its_record_too() -> None:
    driver = Driver(GEO)
    row = judged(driver, token={"level": 4})
    assert (row["verdict"], row["notes"]) == ("exempt", [NO_COUNTRY])
    assert driver.counts["condition_errors"] == 1


def test_a_condition_that_is_answered_leaves_no_note_and_no_count() -> None:
    driver = Driver(GEO)
    row = judged(driver, client={"country": "NO"}, token={"level": 3})
    assert (row["verdict"], row["notes"]) == ("unverified", [])
    assert "condition_errors" not in driver.counts


def test_a_copy_of_the_action_counts_its_condition_errors_once() -> None:
    driver = Driver(GEO)
    judged(driver)
    driver.action("a", action="geo.read", time_us=T0_US)
    assert driver.counts["copies"] == 1
    assert driver.counts["condition_errors"] == 2


@pytest.mark.parametrize(
    "when",
    [
        "subject == 'alice'",
        "tenant == 'default'",
        "outcome == 'unknown'",
        "resource.sensitivity == ''",
        "root_session == ''",
        "source == '/app'",
        "client == {}",
        "time == timestamp('2026-11-24T09:00:00Z')",
    ],
)
def test_a_condition_sees_values_after_defaults_normalising_and_aliases(when: str) -> None:
    policy = f'identities: [{{subject: alice, aliases: [al]}}]\npolicies: [{{id: p, match: {{when: "{when}"}}}}]'
    driver = Driver(policy)
    resource = {"id": "r", "sensitivity": "HIGH"}
    driver.action("a", subject="al", outcome="maybe", resource=resource, root_session=None, client=None)
    driver.pulse(T0_US + 10 * SECOND_US)
    assert (driver.verdict("a")["policy"], driver.verdict("a")["notes"]) == ("p", [])
