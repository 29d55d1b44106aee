"""A test's name is a sentence, and no two tests of a file share one (STYLE convention 5)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.tidy.walk import functions, modules, short

WORDS_MIN = 4
TEST_FILES = [path for path in modules("tests") if path.name.startswith("test_")]


@pytest.mark.parametrize("path", TEST_FILES, ids=short)
def test_the_name_of_every_test_is_a_sentence(path: Path) -> None:
    names = [name.split(".")[-1] for name, _ in functions(path)]
    short_names = [n for n in names if n.startswith("test_") and len(n.split("_")) - 1 < WORDS_MIN]
    assert short_names == []


@pytest.mark.parametrize("path", TEST_FILES, ids=short)
def test_no_test_is_hidden_by_a_later_one_of_the_same_name(path: Path) -> None:
    counts = Counter(name for name, _ in functions(path) if name.split(".")[-1].startswith("test_"))
    assert [name for name, count in counts.items() if count > 1] == []
