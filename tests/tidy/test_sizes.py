"""Small rooms: a module is read in one sitting, a function on one screen (STYLE conventions 1 and 11)."""

from __future__ import annotations

from tests.tidy.walk import ROOTS, functions, modules, short

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

LONG_FUNCTIONS: dict[str, str] = {}
"""`file.py:Class.function` -> why it is better long. Nothing else is an excuse."""


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    long = {short(path): _lines(path.read_text(encoding="utf-8")) for path in modules(*ROOTS, "tests")}
    assert {name: lines for name, lines in long.items() if lines > MODULE_LINES_MAX} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    assert {name: lines for name, lines in _long_functions().items() if name not in LONG_FUNCTIONS} == {}


def test_no_excuse_for_a_long_function_outlives_it() -> None:
    assert sorted(set(LONG_FUNCTIONS) - set(_long_functions())) == []


def _long_functions() -> dict[str, int]:
    return {
        f"{short(path)}:{name}": function.end_lineno - function.lineno + 1
        for path in modules(*ROOTS, "tests")
        for name, function in functions(path)
        if function.end_lineno is not None and function.end_lineno - function.lineno >= FUNCTION_LINES_MAX
    }


def _lines(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n"))
