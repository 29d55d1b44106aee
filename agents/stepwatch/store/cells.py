"""Cells of CSV that no spreadsheet takes for a formula.

Values are a producer's, so an attacker may choose them: `=HYPERLINK(...)` as a subject becomes live when the file is
opened. A text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return gets an apostrophe before it, which
spreadsheets take for "this is text" (OWASP, CSV Injection). Whoever reads the file by a program takes one apostrophe
off a text that begins with an apostrophe and one of these; Parquet and JSON have the value as it is. Numbers and times
are not texts: a negative number stays one.
"""

from __future__ import annotations

import re
from typing import Final

STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet may take for the beginning of a formula, or skips before one."""
_NUMBER = re.compile(r"(Nullable\()?(U?Int|Float|Decimal)")
_TIME = re.compile(r"(Nullable\()?Date")


def is_number(kind: str) -> bool:
    """Whether a column of this type of ClickHouse's holds numbers."""
    return bool(_NUMBER.match(kind))


def is_time(kind: str) -> bool:
    """Whether a column of this type of ClickHouse's holds times or days."""
    return bool(_TIME.match(kind))


def is_text(kind: str) -> bool:
    """Whether a column of this type of ClickHouse's holds what somebody else wrote."""
    inner = kind
    for wrapper in ("LowCardinality(", "Nullable("):
        inner = inner.removeprefix(wrapper)
    return inner.startswith(("String", "FixedString", "Enum", "Array", "Map", "Tuple"))


def safe_cell(text: str, kind: str) -> str:
    """A cell's text, made safe where its column holds texts.

    Args:
        text: as it would be written.
        kind: the type of the column, of ClickHouse's.
    """
    return "'" + text if text.startswith(STARTS) and is_text(kind) else text


def safe_in_sql(column: str, kind: str) -> str:
    """The same as an expression of ClickHouse's, for a column of a large export.

    Args:
        column: name of the column, quoted.
        kind: its type.
    """
    if not is_text(kind):
        return column
    starts = ", ".join(f"'{start}'" for start in ("=", "+", "-", "@", "\\t", "\\r"))
    return (
        f"if(substring(toString({column}), 1, 1) IN ({starts}), concat('\\'', toString({column})), toString({column}))"
    )
