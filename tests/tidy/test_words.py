"""No word in the checkout is a note to self, or true on one machine only."""

from __future__ import annotations

import re

import pytest

from tests.tidy.walk import TOP, short, text_files

MARKERS = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
MARKERS_ELSEWHERE = {"tests/README.md"}
"""Its table of open cells has a test of its own (test_contract_table.py)."""
ONE_MACHINE = {
    "an absolute path of one machine": re.compile(r"(?<![\w.$}])/(work|root|home/\w+|Users/\w+|opt/wheels)/"),
    "a package index of one network": re.compile(r"(?i)artifactory|\bnexus\.|devpi|--(extra-)?index-url|--find-links"),
    "a private address as a default": re.compile(
        r"\b(10\.\d+\.\d+|192\.168\.\d+|172\.(1[6-9]|2\d|3[01])\.\d+)\.\d+:\d"
    ),
}


def test_no_marker_of_unfinished_work_is_left() -> None:
    found = [
        f"{short(path)}:{number}: {line.strip()}"
        for path in text_files()
        if short(path) not in MARKERS_ELSEWHERE
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if MARKERS.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("what", ONE_MACHINE)
def test_nothing_in_the_checkout_is_true_on_one_machine_only(what: str) -> None:
    this_file = "tests/tidy/test_words.py"
    found = [
        f"{short(path)}:{number}: {line.strip()[:120]}"
        for path in text_files()
        if short(path) != this_file
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if ONE_MACHINE[what].search(line)
    ]
    assert found == []


def test_every_text_file_is_utf_8_and_ends_with_a_line_feed() -> None:
    wrong = []
    for path in text_files():
        content = path.read_bytes()
        content.decode("utf-8")
        if content and (not content.endswith(b"\n") or b"\r\n" in content):
            wrong.append(short(path))
    assert wrong == [], f"below {TOP}"
