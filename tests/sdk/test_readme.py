"""Every example of the producer's page runs."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from stepwatch.sdk import MemoryReporter, Source
from stepwatch.sdk.kafka import _open
from tests.tidy.walk import TOP

README = TOP / "schemas" / "README.md"


def examples() -> list[str]:
    section = README.read_text(encoding="utf-8").split("## Reporting from an application\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def test_the_examples_of_the_page_run_one_after_the_other() -> None:
    blocks = examples()
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


def test_in_the_example_of_the_middleware_an_event_about_somebody_else_does_not_get_the_session() -> None:
    (block,) = [block for block in examples() if "AsgiContext(" in block]
    # In the place of the application's own code, behind its authentication layer.
    memory, bank = MemoryReporter(), Source("/app")

    def reports() -> None:
        for subject in ("alice", "mallory"):
            memory.report(bank.action_performed("a.b", subject=subject))

    names: dict[str, Any] = {"reports": reports}
    exec(compile(block.replace("\n\n\napp = ", "\n    reports()\n\n\napp = "), str(README), "exec"), names)
    scope = {"type": "http", "client": ("203.0.113.7", 4711), "headers": []}
    asyncio.run(names["app"](scope, None, None))
    alices = memory.assert_reported("action.performed", subject="alice", session="s-81", client={"ip": "203.0.113.7"})
    assert alices["data"]["token"] == {"acr": "phr", "amr": ["hwk"]}
    assert memory.assert_reported("action.performed", subject="mallory")["data"].keys() & {"session", "token"} == set()
