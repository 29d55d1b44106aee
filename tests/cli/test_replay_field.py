"""The judged cases of the field folder, through the console command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.console import run
from tests.judge.field import Case, cases, check

CASES = cases()
ABSENT = "no field cases: set STEPWATCH_SHARED, or put a folder `shared` beside the checkout"


@pytest.mark.skipif(not CASES, reason=ABSENT)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_console_judges_a_field_case_as_its_author_expects(case: Case, tmp_path: Path) -> None:
    for expected in case.runs:
        policies = [word for path in case.policies(expected) for word in ("--policy", path)]
        done = run(tmp_path, "replay", "--json", *policies, case.folder / "events.jsonl")
        assert done.status in (0, 2)
        assert bool(done.err) == (done.status == 2)
        assert check(case, expected, None if done.status == 2 else done.rows) == []
