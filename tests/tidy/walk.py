"""The files of the checkout, as the tidy tests read them: what is kept, not what tools leave behind."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
ROOTS = ("schemas", "streams", "agents")
"""The three folders whose `stepwatch` folders make one namespace package."""
NATIVE = TOP / "streams" / "native"
"""The crate of the native core: Rust, with tools and rules of its own (`cargo fmt`, `clippy`)."""
TEXT_SUFFIXES = {
    ".py",
    ".md",
    ".yaml",
    ".yml",
    ".toml",
    ".sql",
    ".sh",
    ".txt",
    ".json",
    ".jsonl",
    ".xml",
    ".rs",
    ".pyi",
    ".html",
    "",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def files() -> tuple[Path, ...]:
    """Every kept file of the checkout, sorted: no hidden folder but .ci, no cache, no virtual environment."""
    return tuple(sorted(_walk(TOP)))


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir():
            left_behind = path.name in {"__pycache__", "build", "dist", "target"} or path.name.endswith(".egg-info")
            hidden = path.name.startswith(".") and path.name != ".ci"
            if not (left_behind or hidden or (path / "pyvenv.cfg").exists()):
                yield from _walk(path)
        elif path.is_file() and path.suffix != ".so":
            yield path


def text_files() -> list[Path]:
    """The kept files that hold text."""
    return [path for path in files() if path.suffix in TEXT_SUFFIXES]


def modules(*folders: str) -> list[Path]:
    """The Python files under the top folders named, without what only builds the native core."""
    python = [path for path in files() if path.suffix == ".py" and path.relative_to(TOP).parts[0] in folders]
    return [path for path in python if NATIVE not in path.parents]


@cache
def tree(path: Path) -> ast.Module:
    """The parsed module."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(path: Path) -> Iterator[tuple[str, Function]]:
    """Each function of a module, nested ones too, with its dotted name."""
    yield from _functions(tree(path), "")


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        name = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}."
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name[:-1], child
        yield from _functions(child, name)


def short(path: Path) -> str:
    """The path as a person writes it, from the top of the checkout."""
    return path.relative_to(TOP).as_posix()
