"""Each sentence of the contract has a test: tests/README.md has no empty cell and no invented id."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.tidy.walk import TOP, functions

README = TOP / "tests" / "README.md"
SECTIONS = ["2", "3", "4", "5", "6", "7", "8", "10"]
OPEN = "TO" + "DO"


class Row(NamedTuple):
    """A line of the table."""

    line: int
    section: str
    sentence: str
    ids: tuple[str, ...]


def test_the_table_has_every_section_of_the_contract_that_binds_the_worker() -> None:
    assert {row.section for row in _rows()} == set(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_no_sentence_of_a_section_is_without_a_test(section: str) -> None:
    rows = [row for row in _rows() if row.section == section]
    still_open = [f"tests/README.md:{row.line}: {row.sentence}" for row in rows if not row.ids or OPEN in row.ids]
    assert still_open == []


@pytest.mark.parametrize("section", SECTIONS)
def test_every_test_that_the_table_names_exists(section: str) -> None:
    unknown = [
        f"tests/README.md:{row.line}: {test_id}"
        for row in _rows()
        if row.section == section
        for test_id in row.ids
        if test_id != OPEN and not _exists(test_id)
    ]
    assert unknown == []


def test_no_sentence_stands_twice_in_a_section() -> None:
    seen: set[tuple[str, str]] = set()
    twice = [row for row in _rows() if (row.section, row.sentence) in seen or seen.add((row.section, row.sentence))]
    assert twice == []


def _rows() -> list[Row]:
    rows, section = [], ""
    for number, line in enumerate(README.read_text(encoding="utf-8").splitlines(), 1):
        if heading := re.fullmatch(r"### Contract section (\d+): .*", line):
            section = heading[1]
        elif line.startswith("## "):
            section = ""
        elif section and line.startswith("|") and not re.match(r"\| *(sentence|-+) *\|", line):
            sentence, cell = (part.strip() for part in line.strip("|").rsplit("|", 1))
            rows.append(Row(number, section, sentence, tuple(re.findall(r"[^\s,`]+", cell.replace("<br>", " ")))))
    return rows


def _exists(test_id: str) -> bool:
    """`core/test_judge.py::test_name`, or a scenario file `scenarios/name.yaml`, below tests/."""
    file, _, name = test_id.partition("::")
    path: Path = TOP / "tests" / file
    if not path.is_file():
        return False
    if path.suffix != ".py":
        return name == ""
    wanted = name.split("[")[0].replace("::", ".")
    return any(found == wanted for found, _ in functions(path))
