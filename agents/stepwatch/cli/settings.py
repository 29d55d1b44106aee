"""`stepwatch settings`: everything an operator can set."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepwatch.cli import screen

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_PREFIX = "STEPWATCH_"
_LOGIN = re.compile(r"//[^/\s]*@")


def settings(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List every setting and its default.

    Each with its environment variable, its meaning, and what it is set to here. Values come from the environment,
    or from a file `.env` in the working folder.
    """
    from stepwatch.agents.settings import Settings

    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    room = screen.width()
    for row in rows:
        default = "none" if row["default"] in (None, "") else row["default"]
        print(screen.paint(row["variable"], "bold") + f"   default: {default}")
        print(screen.wrapped(row["meaning"], room, "    "))
        if row["set"] is not None:
            print(screen.wrapped(f"set here: {screen.shown(row['set'])}", room, "    "))


def _row(name: str, field: FieldInfo) -> dict[str, Any]:
    variable = _PREFIX + name.upper()
    here = os.environ.get(variable) or None
    if here is not None and name.endswith("password"):
        here = "*****"
    elif here is not None:
        # A password in an address is refused, and must not be shown before that.
        here = _LOGIN.sub("//*****@", here)
    default = field.default
    return {
        "name": name,
        "variable": variable,
        "default": default if isinstance(default, str | int | bool | None) else str(default),
        "meaning": field.description or "",
        "set": here,
    }
