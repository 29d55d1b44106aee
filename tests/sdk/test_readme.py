"""Every example of the producer's page runs."""

from __future__ import annotations

import re
from typing import Any

from stepwatch.sdk.kafka import _open
from tests.tidy.walk import TOP

README = TOP / "schemas" / "README.md"


def test_the_examples_of_the_page_run_one_after_the_other() -> None:
    section = README.read_text(encoding="utf-8").split("## Reporting from an application\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) >= 4
    names: dict[str, Any] = {}
    try:
        for block in blocks:
            exec(compile(block, str(README), "exec"), names)
        assert names["approve"]("alice", "po_1") == "approved"
        # The same door, whether anybody listens at its address or not.
        assert names["reporter"].stats.reported == 4
    finally:
        for reporter in list(_open):
            reporter.close(0)
