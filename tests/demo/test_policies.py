"""The demo's policies are the examples, only quicker."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepwatch.demo.policies_of import FOLDER, quickened
from stepwatch.schemas.times import HOUR_US, SECOND_US
from stepwatch.streams.sets import load_files

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "deploy" / "policies").glob("*.yaml"))


def test_every_example_has_its_copy_and_no_copy_is_without_one() -> None:
    assert [path.name for path in sorted(FOLDER.glob("*.yaml"))] == [path.name for path in EXAMPLES]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_copy_is_what_is_made_from_its_example(path: Path) -> None:
    copy = (FOLDER / path.name).read_text(encoding="utf-8")
    assert copy == quickened(path.name, path.read_text(encoding="utf-8"))


def test_a_grace_is_two_seconds_or_none_and_events_of_two_days_are_judged() -> None:
    in_force = load_files(sorted(FOLDER.glob("*.yaml"))).at(0)
    policies = in_force.requirements.values()
    assert {policy.grace_us for policy in policies} == {0, 2 * SECOND_US}
    assert {policy.accept_late_us for policy in policies} == {48 * HOUR_US}
    assert in_force.sources["/idp"].silent_after_us == 3 * SECOND_US
