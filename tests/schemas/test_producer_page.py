"""Every example of the producer's page: Python is run, JSON is decoded, commands are parsed, curl posts an event."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from stepwatch.cli.main import app
from stepwatch.schemas.fields import FIELDS, TYPES, Field
from stepwatch.sdk.background import _open
from stepwatch.streams.decode import Event, Heartbeat, decode
from tests.cli.console import run
from tests.core.driver import an_event
from tests.tidy.walk import TOP

PAGE = (TOP / "schemas" / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"(?:^ *|\$\()stepwatch ([a-z][^)\n]*)", PAGE, re.MULTILINE)))


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(language: str, text: str = PAGE) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("block", blocks("json"))
def test_every_event_of_the_page_is_one(block: str) -> None:
    outcome = decode(block.encode(), None)
    assert isinstance(outcome, Event | Heartbeat), outcome


def test_the_python_of_the_quick_start_reports_one_event() -> None:
    (block,) = blocks("python", section("Quick start"))
    names: dict[str, Any] = {}
    try:
        exec(compile(block, "README.md", "exec"), names)
        assert names["reporter"].stats.reported == 1
    finally:
        for reporter in list(_open):
            reporter.close(0)


def test_the_key_and_the_partition_of_the_page_are_right() -> None:
    (block,) = blocks("python", section("Keys and partitioner"))
    exec(compile(block, "README.md", "exec"), {})


def test_what_curl_posts_is_an_event_under_the_address_and_the_type_of_the_contract() -> None:
    kinds = []
    for shell in [block for block in blocks("sh") if "curl" in block]:
        words = shlex.split(shell.split("curl", 1)[1].replace("\\\n", " ").replace("$NOW", "2026-11-24T09:15:00Z"))
        assert "http://localhost:7310/v1/events" in words
        assert "Content-Type: application/cloudevents+json" in words
        assert "Authorization: Bearer $TOKEN" in words
        kinds.append(type(decode(words[words.index("-d") + 1].encode(), None)))
    assert kinds == [Event, Heartbeat]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_page_has_these_words_and_options(line: str) -> None:
    words = shlex.split(re.split(r" \| | > ", line)[0], comments=True)
    command: Any = typer.main.get_command(app)
    # Typer brings a click of its own, so its groups are known by what they have.
    while hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, line
        command = command.commands[name]
    with command.make_context(command.name, words):
        pass


def test_a_command_line_with_an_option_that_is_none_would_be_found() -> None:
    with pytest.raises(Exception, match="--no-such"):
        test_every_command_of_the_page_has_these_words_and_options("events check --no-such events.jsonl")


def test_the_commands_of_the_page_that_need_no_server_do_what_it_says(tmp_path: Path) -> None:
    made = run(tmp_path, "events", "generate", "--count", "300", "--rate", "50")
    (tmp_path / "events.jsonl").write_text(made.out)
    policies = ("--policy", TOP / "deploy" / "policies")
    assert run(tmp_path, "events", "check", "--strict", *policies, "events.jsonl").status == 0
    schema = run(tmp_path, "events", "schema", "policy")
    assert json.loads(schema.out)["title"] == "a policy file of Stepwatch"


def test_what_a_mistake_looks_like_on_the_page_is_what_the_check_says(tmp_path: Path) -> None:
    shown = [line.strip() for line in section("What a mistake looks like").splitlines() if line.startswith("    ")]
    resource = {"type": "payout", "id": "p", "sensitivity": "high"}
    lines = []
    for number in range(1, 10):
        said: dict[str, Any] = {"session": 4711 if number in (3, 5, 9) else "s"}
        if number == 4:
            said.clear()
        action = {"action": "payments.payout.approve", "resource": resource, "transaction": "t", **said}
        event = an_event("action.performed", f"e-{number}", source="/payments/api", **action)
        event["data"] = action
        lines.append(json.dumps(event))
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    done = run(tmp_path, "events", "check", "--policy", TOP / "deploy" / "policies", "events.jsonl")
    assert [line.strip() for line in done.out.splitlines()[:-1]] == shown


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _row(field: Field) -> str:
    words = {"all": "every event", "envelope": "envelope", "heartbeat": "heartbeat"}
    where = ", ".join(words.get(kind, f"`{kind}`") for kind in field.types)
    return f"| `{field.path}` | {where} | {_cell(field.meaning)} | {_cell(field.needed_by)} |"


def test_the_table_of_fields_is_the_one_of_the_schemas() -> None:
    rows = [line for line in section("Every field").splitlines() if line.startswith("| `")]
    expected = [f"| `{kind}` | {_cell(says)} |" for kind, says in TYPES.items()] + [_row(field) for field in FIELDS]
    assert rows == expected


def test_every_link_of_the_page_leads_to_a_heading() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) - headings == set()
