"""An answer of the query book as a table, JSON, JSON lines, CSV or TSV."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from stepwatch.cli import screen
from stepwatch.store.cells import is_number, is_time, safe_cell

if TYPE_CHECKING:
    from stepwatch.store.answers import Answer


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"


def written(answer: Answer, fmt: Format) -> str:
    """The answer in a format, with its line feed at the end; a table of no rows is empty."""
    if fmt is Format.TABLE:
        return _table(answer)
    if fmt is Format.JSON:
        return json.dumps(answer.objects(), ensure_ascii=False, indent=1) + "\n"
    if fmt is Format.JSONL:
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in answer.objects())
    between = "," if fmt is Format.CSV else "\t"
    lines = [answer.names, *(_cells(row, answer.types) for row in answer.rows)]
    return "".join(between.join(_quoted(cell, between) for cell in line) + "\n" for line in lines)


def _cells(row: Sequence[Any], types: Sequence[str]) -> list[str]:
    return [safe_cell(_text(value), kind) for value, kind in zip(row, types, strict=True)]


def _quoted(cell: str, between: str) -> str:
    """A cell in quotes where it needs them (RFC 4180); the csv module forgets a lone carriage return."""
    if any(sign in cell for sign in (between, '"', "\r", "\n")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _table(answer: Answer) -> str:
    if not answer.rows:
        return ""
    right = {index for index, kind in enumerate(answer.types) if is_number(kind)}
    whole = right | {index for index, kind in enumerate(answer.types) if is_time(kind)}
    rows = [
        [screen.shown(_shown(value, kind)) for value, kind in zip(row, answer.types, strict=True)]
        for row in answer.rows
    ]
    return screen.table([*map(screen.shown, answer.names)], rows, right, whole) + "\n"


def _shown(value: Any, kind: str) -> str:
    """A value for a person: no fraction of a second where it is none."""
    text = _text(value)
    return text.removesuffix(".000000") if is_time(kind) else text


def _text(value: Any) -> str:
    """A value as one cell; of a list its members with commas between."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
