"""The page of the on-call has a line for everything that an alert can say."""

from __future__ import annotations

import re

import pytest

from stepwatch.streams.alerting import BLIND, UNVERIFIED_ACTION
from stepwatch.streams.wording import PATTERNS, REASONS
from tests.cli.console import ROOT

PAGE = (ROOT / "agents" / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The page from one heading to the next."""
    found = re.search(rf"^### {title}$(.*?)^##", PAGE, re.S | re.M)
    assert found is not None, title
    return found[1]


def rows(title: str) -> dict[str, list[str]]:
    """The table of a section: first cell -> the others."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section(title).splitlines() if "|" in line
    ]
    return {row[0].strip("`"): row[1:] for row in cells[2:]}


def test_every_kind_and_every_pattern_has_its_row_with_what_to_do_and_how_it_may_be_false() -> None:
    said = rows("By kind")
    assert {UNVERIFIED_ACTION, BLIND, *PATTERNS} == {kind for kind in said if not kind.startswith("NOT JUDGED")}
    assert all(len(cells) == 3 and all(cells) for cells in said.values())


def test_every_reason_has_its_row() -> None:
    said = rows("By reason")
    assert set(said) == set(REASONS)
    assert all(len(cells) == 2 and all(cells) for cells in said.values())


def test_the_filters_stand_in_the_order_in_which_the_contract_applies_them() -> None:
    filters = (
        "no_step_up untrusted_source wrong_session voided weak_factor stale wrong_binding context_mismatch over_used"
    )
    assert list(rows("By reason"))[:9] == filters.split()


@pytest.mark.parametrize("word", ["late_verification", "source_recovered", "revision", "expired", "person"])
def test_every_way_in_which_an_alert_ends_is_named(word: str) -> None:
    assert word in PAGE


def test_every_command_of_the_page_is_one_that_there_is() -> None:
    from typer.main import get_command

    from stepwatch.cli.main import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    known = {name: set(getattr(command, "commands", ())) for name, command in commands.items()}
    # A group that does something by itself needs no further word.
    for name, command in commands.items():
        known[name] |= {""} if getattr(command, "invoke_without_command", False) else set()
    for name, word in re.findall(r"^ {4}stepwatch ([a-z-]+)(?: ([a-z]+))?", PAGE, re.M):
        assert name in known, name
        assert not known[name] or word in known[name], f"{name} {word}"
