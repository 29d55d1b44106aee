"""Text of a policy file -> checked models, with file, line and field of every complaint (contract 4)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stepwatch.schemas.policy import Defaults, Identity, Policy, PolicyFile, SourceSpec
from stepwatch.schemas.times import parse_time
from stepwatch.streams.yamltext import Path, Problem, read_yaml, show_path

_Part = TypeVar("_Part", bound=BaseModel)


class PolicyRefused(Exception):
    """A policy set with a fault is refused whole.

    Attributes:
        problems: every complaint, in the order of the files and lines.
    """

    code = "policy_refused"
    retriable = False

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = list(problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


@dataclass(slots=True)
class LoadedFile:
    """One policy file; where it has problems, it holds what is whole by itself, so that this is checked too.

    Attributes:
        name: as given.
        text: as given.
        lines: path of a key or list item -> its line, from 1.
        defaults: None where they are faulty.
        sources, identities, policies: each part with its place in the file's list.
        raw_policies: all entries of `policies` that are mappings, whole or not, as written.
    """

    name: str
    text: str
    problems: list[Problem] = field(default_factory=list)
    lines: dict[Path, int] = field(default_factory=dict)
    effective_from_us: int | None = None
    defaults: Defaults | None = None
    sources: list[tuple[int, SourceSpec]] = field(default_factory=list)
    identities: list[tuple[int, Identity]] = field(default_factory=list)
    policies: list[tuple[int, Policy]] = field(default_factory=list)
    raw_policies: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest part around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, path: Path, message: str) -> Problem:
        """A complaint about the part at a path."""
        return Problem(self.name, self.line(path), show_path(path), message)


def load_text(name: str, text: str) -> LoadedFile:
    """Read one policy file.

    Args:
        name: for the complaints.
        text: YAML.

    Returns:
        The file with all complaints about its form; `building` checks what reaches over several parts.
    """
    document = read_yaml(name, text)
    file = LoadedFile(name, text, document.problems, document.lines)
    data = document.data
    if data is None and file.problems:
        return file
    try:
        PolicyFile.model_validate(data)
    except ValidationError as refused:
        for error in refused.errors(include_url=False):
            file.problems.append(file.problem(error["loc"], _explain(error)))
    if isinstance(data, dict):
        begins = data.get("effective_from")
        file.effective_from_us = parse_time(begins) if begins and isinstance(begins, str) else None
        file.defaults = next((part for _, part in _parts(Defaults, [data.get("defaults", {})])), None)
        file.sources = list(_parts(SourceSpec, data.get("sources")))
        file.identities = list(_parts(Identity, data.get("identities")))
        file.policies = list(_parts(Policy, data.get("policies")))
        raw = data.get("policies")
        found = enumerate(raw) if isinstance(raw, list) else ()
        file.raw_policies = [(index, said) for index, said in found if isinstance(said, dict)]
    return file


def _parts(model: type[_Part], items: object) -> Iterator[tuple[int, _Part]]:
    for index, item in enumerate(items if isinstance(items, list) else ()):
        try:
            yield index, model.model_validate(item)
        except ValidationError:
            continue  # complained about with the whole file


_EXPECTED = {
    "string_type": "a text",
    "list_type": "a list",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "model_type": "a mapping",
    "string_too_short": "a text that is not empty",
    "greater_than_equal": "1 or more",
    "too_short": "at least one entry",
    "string_pattern_mismatch": "the exact name of a tenant, or *",
}


def _explain(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "missing":
        return "this key is required"
    if kind == "extra_forbidden":
        return _unknown_key(str(error["loc"][-1]), _known_keys(error["loc"][:-1]))
    if kind in ("given", "reason"):
        return error["msg"]
    if kind == "literal_error":
        said = f"expected one of {error['ctx']['expected']}"
    else:
        said = f"expected {_EXPECTED[kind]}" if kind in _EXPECTED else error["msg"]
    return f"{said}; got {_shown(error['input'])}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return f"{str(value).lower()} (YAML reads bare yes, no, on and off so; quote it if it is a text)"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value if len(value) <= 60 else value[:59] + '…'!r}"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "a mapping" if isinstance(value, Mapping) else "nothing"


def _unknown_key(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"unknown key; did you mean `{near[0]}`?" if near else f"unknown key; known here: {', '.join(known)}"


def _known_keys(path: Iterable[str | int]) -> list[str]:
    model: type[BaseModel] = PolicyFile
    for step in path:
        if isinstance(step, str):
            model = _model_in(model.model_fields[step].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
