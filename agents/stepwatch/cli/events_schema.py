"""The JSON Schema and AsyncAPI documents as text: shown, or written into a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stepwatch.cli.errors import Misused
from stepwatch.cli.screen import counted, say
from stepwatch.schemas.asyncapi import document
from stepwatch.schemas.jsonschema import documents

ASYNCAPI = "asyncapi"


def list_schemas() -> None:
    """Every name, one a line."""
    print("\n".join([*documents(), ASYNCAPI]))


def show_schema(name: str) -> None:
    """One document.

    Raises:
        Misused: there is none of that name.
    """
    named = documents()
    short = name.removeprefix("stepwatch.")
    if short == ASYNCAPI:
        print(asyncapi_text(), end="")
    elif short in named:
        print(schema_text(named[short]), end="")
    else:
        raise Misused(f"{name or 'no name'}: no such schema; known are {', '.join([*named, ASYNCAPI])}")


def write_schemas(folder: Path) -> None:
    """All of them: `asyncapi.yaml`, and in `json/` one file each."""
    (folder / "json").mkdir(parents=True, exist_ok=True)
    written = texts()
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    say(f"{counted(len(written), 'file')} written into {folder}")


def texts() -> dict[str, str]:
    """Every file by its path in the folder."""
    return {
        "asyncapi.yaml": asyncapi_text(),
        **{f"json/{name}.json": schema_text(schema) for name, schema in documents().items()},
    }


def schema_text(schema: dict[str, Any]) -> str:
    """A JSON Schema document as its file has it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def asyncapi_text() -> str:
    """The AsyncAPI document as its file has it."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Without anchors: what is said twice is written twice."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    head = "# Made by `stepwatch events schema --into schemas` from the models; edit those.\n"
    return head + yaml.dump(document(), Dumper=Plain, sort_keys=False, allow_unicode=True, width=120)
