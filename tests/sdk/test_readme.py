"""Every example of the producer's page runs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from stepwatch.sdk import MemoryReporter, Source
from stepwatch.sdk.background import _open
from tests.sdk.stand import Stand
from tests.tidy.walk import TOP

README = TOP / "schemas" / "README.md"


def examples(heading: str = "Reporting from an application") -> list[str]:
    section = README.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
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


def test_the_example_over_http_runs_and_its_event_arrives(tmp_path: Path) -> None:
    (block,) = examples("Over HTTP")
    (tmp_path / "token").write_text("tok-1")
    names: dict[str, Any] = {}
    with Stand() as stand:
        for said, here in (
            ("https://stepwatch.acme.example:7310", stand.url),
            ("/run/secrets/stepwatch-token", str(tmp_path / "token")),
            ("/var/spool/payments", str(tmp_path / "spool")),
        ):
            assert said in block
            block = block.replace(said, here)
        exec(compile(block, str(README), "exec"), names)
        assert names["reporter"].close(10)
        actions = [event for event in stand.taken if event["type"] == "stepwatch.action.performed"]
        assert [event["subject"] for event in actions] == ["alice"]
