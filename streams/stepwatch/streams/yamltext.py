"""YAML text -> JSON values and the line of each of them.

Not by the YAML library's constructor: it lets the second of two equal keys win, turns times into objects
without their zone, and merges mappings. What is left is JSON: mappings with text keys, lists, texts, numbers,
bools.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import yaml

FILE_CHARS_MAX: Final = 1024 * 1024
NODES_MAX: Final = 200_000
"""Values of one file, those behind an alias counted each time: a few lines can stand for billions."""
DEPTH_MAX: Final = 32
"""Nested lists and mappings: a test's event, 16 deep, lies 7 deep in its file. Ends recursive aliases."""
INT_BITS_MAX: Final = 64

Path = tuple[str | int, ...]
_TAG: Final = "tag:yaml.org,2002:"
_TEXT_TAGS: Final = frozenset(_TAG + kind for kind in ("str", "timestamp", "value", "merge"))


class Problem(NamedTuple):
    """One complaint about a policy file. `line` counts from 1; 0 where there is none."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


class Document(NamedTuple):
    """What a file says. `lines` has the line of each key and list item, from 1."""

    data: Any
    lines: dict[Path, int]
    problems: list[Problem]


class _TooLarge(Exception):
    pass


def show_path(path: Path) -> str:
    """A path as people write it: `policies[0].match.when`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def read_yaml(name: str, text: str) -> Document:
    """Read one YAML document.

    Args:
        name: of the file, for the complaints.
        text: at most FILE_CHARS_MAX characters.

    Returns:
        The data, None where there is none. Members that are null are left out: null means absent. Of a
        key given twice the first counts, and there is a complaint.
    """
    try:
        if len(text) > FILE_CHARS_MAX:
            raise _TooLarge(f"expected at most {FILE_CHARS_MAX} characters, got {len(text)}")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return Document(None, {}, [Problem(name, 1, "", "empty; expected `version: 1` and `policies`")])
        reader = _Reader(name)
        return Document(reader.read(root, ()), reader.lines, reader.problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.problem, error.context) if part)
        problem = Problem(name, mark.line + 1 if mark else 0, "", f"not YAML: {said}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = Problem(name, line, "", f"not YAML: {error.reason}")
    except (_TooLarge, RecursionError) as error:
        said = str(error) if isinstance(error, _TooLarge) else f"expected at most {DEPTH_MAX} levels"
        problem = Problem(name, 0, "", said)
    return Document(None, {}, [problem])


class _Reader:
    def __init__(self, name: str) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._name = name
        self._scalars = yaml.constructor.SafeConstructor()
        self._read_count = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._read_count += 1
        if len(path) > DEPTH_MAX or self._read_count > NODES_MAX:
            bound = f"{DEPTH_MAX} levels" if len(path) > DEPTH_MAX else f"{NODES_MAX} values"
            raise _TooLarge(f"expected at most {bound}, aliases written out")
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._complain(node, path, f"the tag {node.tag.replace(_TAG, '!!')} is not allowed")
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        first_lines: dict[str, int] = {}
        members: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag not in _TEXT_TAGS:
                shown = repr(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
                self._complain(key_node, path, f"expected a text as key, got {shown}; quote it if it is one")
                continue
            key = self._scalar(key_node, path)
            here = (*path, key)
            if key_node.tag == _TAG + "merge":
                self._complain(key_node, here, "unknown key; mappings are not merged here, write the keys out")
                continue
            if key in first_lines:
                said = f"this key was given before, on line {first_lines[key]}, in the same mapping"
                self._complain(key_node, here, said)
                continue
            first_lines[key] = self.lines[here] = key_node.start_mark.line + 1
            value = self.read(value_node, here)
            if value is not None:
                members[key] = value
        return members

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if node.tag in _TEXT_TAGS:
            if any("\ud800" <= char <= "\udfff" for char in node.value):
                self._complain(node, path, "a lone surrogate is no text")
                return ""
            return node.value
        kind = node.tag.removeprefix(_TAG)
        if kind not in ("null", "bool", "int", "float"):
            self._complain(node, path, f"the tag {node.tag.replace(_TAG, '!!')} is not allowed")
            return None
        try:
            value = getattr(self._scalars, f"construct_yaml_{kind}")(node)
        except (ValueError, KeyError, IndexError):
            self._complain(node, path, f"{node.value[:40]!r} is no {kind}")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self._complain(node, path, "expected a finite number")
            return None
        if isinstance(value, int) and value.bit_length() > INT_BITS_MAX:
            self._complain(node, path, f"expected a number of at most {INT_BITS_MAX} bits")
            return None
        return value

    def _complain(self, node: yaml.Node, path: Path, message: str) -> None:
        self.problems.append(Problem(self._name, node.start_mark.line + 1, show_path(path), message))
