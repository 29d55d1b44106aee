"""What /readyz says: what is waited for, and what is wrong all the same."""

from __future__ import annotations

from stepwatch.agents.health import Health


def test_a_role_that_waits_is_not_ready_and_says_for_what() -> None:
    health = Health()
    health.works("start")
    health.waits("kafka", "no answer")
    assert not health.ready
    assert health.words() == "kafka: no answer"


def test_what_is_wrong_while_the_work_goes_on_is_said_below_ready_until_it_is_over() -> None:
    health = Health()
    health.works("start")
    assert health.words() == "ready"
    health.suffers("lag", "stepwatch.actions-1 is read 312 s late")
    assert health.ready
    assert health.words() == "ready\nlag: stepwatch.actions-1 is read 312 s late"
    health.thrives("lag")
    assert health.words() == "ready"
