"""The brute-force judge against the judged field cases: two readings of the contract that must agree."""

import pytest

from .field import Case, cases, check
from .judge import judge_file

CASES = cases()
ABSENT = "no field cases: set STEPWATCH_SHARED, or put a folder `shared` beside the checkout"


@pytest.mark.skipif(not CASES, reason=ABSENT)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_field_case_is_judged_as_its_author_expects(case: Case) -> None:
    for run in case.runs:
        try:
            rows = judge_file(case.lines(), case.policies(run))
        except ValueError:
            rows = None
        assert check(case, run, rows) == []
