"""What others call says what it does, with units, edges and errors (STYLE convention 7)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.walk import Function, modules, short, tree

READ_AS_ATTRIBUTES = {"property", "cached_property", "overload"}
"""The class's docstring speaks of attributes, and an overload's function of its overloads."""


@pytest.mark.parametrize("path", modules("schemas", "streams"), ids=short)
def test_every_public_function_of_schemas_and_streams_has_a_docstring(path: Path) -> None:
    missing = [f"{short(path)}:{f.lineno}: {f.name}" for f in _public(tree(path)) if not ast.get_docstring(f)]
    assert missing == []


@pytest.mark.parametrize("path", modules("schemas", "streams", "agents", "tests"), ids=short)
def test_every_module_says_in_its_first_line_what_it_is_for(path: Path) -> None:
    assert path.name == "__init__.py" or ast.get_docstring(tree(path))


def _public(node: ast.Module | ast.ClassDef) -> Iterator[Function]:
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from _public(child)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            decorators = {ast.unparse(d).split("(")[0].split(".")[-1] for d in child.decorator_list}
            if not decorators & READ_AS_ATTRIBUTES and not decorators & {"setter"}:
                yield child
