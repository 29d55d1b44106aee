"""The lines of the READMEs work one after the other, as they stand."""

from __future__ import annotations

import re

import pytest

from tests.cli.console import ROOT

READMES = ["README.md", "agents/README.md", "schemas/README.md"]


@pytest.mark.parametrize("name", READMES)
def test_where_up_is_started_on_a_folder_of_its_own_the_commands_beside_it_know_the_folder(name: str) -> None:
    commands = re.findall(r"^.*\bstepwatch (.*)$", (ROOT / name).read_text(), re.MULTILINE)
    folders = {re.search(r"--data (\S+)", command) for command in commands if command.startswith("up ")}
    assert folders <= {None} or "export STEPWATCH_DATA=" in (ROOT / name).read_text()
