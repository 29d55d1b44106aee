"""A verdict is a pure function of facts: the core has no clock, no chance, no I/O (DESIGN section 1)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.tidy.walk import modules, short, tree

BANNED_CALLS = {
    "open", "input", "print", "exec", "eval",
    "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.sleep",
    "datetime.now", "datetime.utcnow", "datetime.today", "datetime.datetime.now", "datetime.datetime.utcnow",
    "date.today", "datetime.date.today",
    "os.getenv", "os.urandom", "uuid.uuid1", "uuid.uuid4",
    "hash",  # of a string it differs from one process to the next
}  # fmt: skip
BANNED_MODULES = {
    "random", "secrets", "time", "socket", "asyncio", "threading", "subprocess", "multiprocessing",
}  # fmt: skip


@pytest.mark.parametrize("path", modules("streams"), ids=short)
def test_the_core_calls_nothing_that_answers_differently_next_time(path: Path) -> None:
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in BANNED_CALLS:
            if ast.unparse(node.func) != "hash" or not _inside_dunder_hash(tree(path), node):
                found.append(f"{short(path)}:{node.lineno}: {ast.unparse(node.func)}")
        elif isinstance(node, ast.Import):
            found += [f"{short(path)}:{node.lineno}: import {a.name}" for a in node.names if _banned(a.name)]
        elif isinstance(node, ast.ImportFrom) and node.module and _banned(node.module):
            found.append(f"{short(path)}:{node.lineno}: from {node.module}")
    assert found == []


def _banned(module: str) -> bool:
    return module.split(".")[0] in BANNED_MODULES


def _inside_dunder_hash(module: ast.Module, call: ast.Call) -> bool:
    return any(
        isinstance(node, ast.FunctionDef) and node.name == "__hash__" and call in list(ast.walk(node))
        for node in ast.walk(module)
    )
