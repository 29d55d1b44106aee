"""Every file is used by another, or is named here with the reason why it stands alone."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.tidy.walk import NATIVE, ROOTS, TOP, files, modules, short, tree

STANDS_ALONE = {
    "agents/stepwatch/cli/start.py": "the console command (pyproject.toml, project.scripts)",
}


def test_every_module_of_the_product_is_imported_by_another() -> None:
    imported = _imported(*ROOTS)
    dead = [
        short(path)
        for path in modules(*ROOTS)
        if path.name not in {"__init__.py", "__main__.py"}
        and short(path) not in STANDS_ALONE
        and _module_name(path) not in imported
        and not _run_as_a_process(path)
    ]
    assert dead == [], "imported by no other module of the product: use it, delete it, or say why in STANDS_ALONE"


def test_every_file_named_as_standing_alone_exists() -> None:
    assert [name for name in STANDS_ALONE if not (TOP / name).is_file()] == []


def test_every_helper_of_the_tests_is_imported_by_a_test() -> None:
    imported = _imported("tests")
    dead = [
        short(path)
        for path in modules("tests")
        if not path.name.startswith("test_")
        and path.name not in {"__init__.py", "__main__.py", "conftest.py"}
        and _module_name(path) not in imported
        and not _run_as_a_process(path)
    ]
    assert dead == []


def test_every_file_of_data_is_named_or_lies_in_a_folder_that_a_module_names() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in modules(*ROOTS, "tests"))
    dead = [
        short(path)
        for path in files()
        if path.relative_to(TOP).parts[0] in {*ROOTS, "tests"}
        and path.suffix not in {".py", ".pyi"}
        and NATIVE not in path.parents
        and path.name not in {"README.md", "py.typed"}
        and not any(f'"{name}"' in source or f"{name}/" in source for name in _names(path))
    ]
    assert dead == []


def _names(path: Path) -> list[str]:
    """The file's name, its stem, and its folders inside its room or suite, as a module would write them."""
    parts = path.relative_to(TOP).parts
    return [path.name, path.stem, *parts[3 if parts[0] in ROOTS else 1 : -1]]


def _module_name(path: Path) -> str:
    parts = path.relative_to(TOP).with_suffix("").parts
    return ".".join(parts[1:] if parts[0] in ROOTS else parts)


@cache
def _imported(*folders: str) -> frozenset[str]:
    names: set[str] = set()
    for path in modules(*folders):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                above = _module_name(path).split(".")[: -node.level] if node.level else []
                base = ".".join([*above, node.module] if node.module else above)
                names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def _run_as_a_process(path: Path) -> bool:
    """Whether some module or the Makefile starts it by name (`python -m stepwatch.embedded.listener`)."""
    pattern = re.compile(rf"""["'\s]{re.escape(_module_name(path))}["'\s]|{re.escape(path.name)}["']""")
    texts = [p.read_text(encoding="utf-8") for p in modules(*ROOTS, "tests") if p != path]
    return any(pattern.search(text) for text in [*texts, (TOP / "Makefile").read_text(encoding="utf-8")])
