"""A full example of a type of event, and what each of its fields means."""

from __future__ import annotations

import difflib
import json
import time

from stepwatch.cli.errors import Misused
from stepwatch.cli.screen import say, table
from stepwatch.schemas.events import TYPE_PREFIX
from stepwatch.schemas.examples import build_example
from stepwatch.schemas.fields import FIELDS, TYPES
from stepwatch.sdk.ids import new_id


def list_types() -> None:
    """Every type and what it says."""
    print(table(["type", "says"], [[kind.removeprefix(TYPE_PREFIX), says] for kind, says in TYPES.items()]))


def show_example(name: str) -> None:
    """One event to standard output, what its fields mean to standard error.

    Raises:
        Misused: there is no such type.
    """
    kind = TYPE_PREFIX + name.removeprefix(TYPE_PREFIX)
    if kind not in TYPES:
        raise Misused(_unknown(name))
    print(json.dumps(build_example(kind, time.time_ns() // 1000, new_id()), indent=2, ensure_ascii=False))
    rows = [[field.path, field.meaning, field.needed_by] for field in FIELDS if field.is_of(kind)]
    say(f"{kind}: {TYPES[kind]}")
    say(table(["field", "what to write", "who needs it"], rows))


def _unknown(name: str) -> str:
    known = [kind.removeprefix(TYPE_PREFIX) for kind in TYPES]
    if not name:
        return f"which type? Known are {', '.join(known)}"
    near = difflib.get_close_matches(name.removeprefix(TYPE_PREFIX), known, n=1)
    meant = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
    return f"{name}: no such type of event; {meant}"
