"""The models as JSON Schema (draft 2020-12): one document for each type of event, one for any, one of a policy file.

They refuse what the worker refuses, as far as JSON Schema can say it. It cannot say: that the text is JSON without NaN,
lone surrogates and bad UTF-8, at most 256 KiB and 16 levels deep; that a day exists and a year is one of 1970 to 2261;
that a leap second is at the end of a UTC day; how far `time` and `auth_time` may be ahead; that `5.0` is no integer and
1e400 no finite number. `$ref` points into the same document, so each works alone.
"""

from __future__ import annotations

import types
import typing
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, BeforeValidator

from stepwatch.schemas import events as ev
from stepwatch.schemas.fields import MEANINGS, TYPES, WORDS
from stepwatch.schemas.policy import REASONS, PolicyFile, show_duration

Schema = dict[str, Any]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
ANY_EVENT: Final = "event"
POLICY: Final = "policy"
TIME: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])(?![\s\S])"
)
"""`$` would let a line break follow, in some languages."""
TENANT: Final = r"^[A-Za-z0-9._-]{0,64}(?![\s\S])"
_NAMES: Final = {str: "string", int: "integer", float: "number"}


def documents() -> dict[str, Schema]:
    """Every document by its name: `action.performed`, ..., `event` (any of them) and `policy`."""
    named = {kind.removeprefix(ev.TYPE_PREFIX): event_schema(kind) for kind in TYPES}
    return {**named, ANY_EVENT: any_event_schema(), POLICY: policy_schema()}


def event_schema(kind: str) -> Schema:
    """The document of one type.

    Args:
        kind: the full type, one of `EVENT_TYPES`.
    """
    return {"$schema": DRAFT, "title": kind, **_envelope(kind, _data_of(kind)), "$defs": _parts(kind)}


def any_event_schema() -> Schema:
    """The document of an event of whatever type; types that begin with `stepwatch.` and are unknown are let through."""
    cases = [
        {"if": {"properties": {"type": {"const": kind}}}, "then": {"$ref": f"#/$defs/{kind}"}} for kind in sorted(TYPES)
    ]
    kinds = {kind: _envelope(kind, _data_of(kind)) for kind in sorted(TYPES)}
    return {
        "$schema": DRAFT,
        "title": "an event of any type",
        "type": "object",
        "required": ["id", "source", "type"],
        "properties": {
            "id": _required_text("id"),
            "source": _required_text("source"),
            "type": {**_required_text("type"), "pattern": r"^stepwatch\."},
        },
        "allOf": cases,
        "$defs": {**kinds, **_parts(ev.ACTION_PERFORMED)},
    }


def _envelope(kind: str, data: Schema) -> Schema:
    is_heartbeat = kind == ev.HEARTBEAT
    needed = ["id", "source", "type", "time"]
    properties: Schema = {
        "specversion": {"description": MEANINGS["specversion"], "examples": ["1.0"]},
        "id": _required_text("id"),
        "source": _required_text("source"),
        "type": {"const": kind, "description": TYPES[kind]},
        "time": {"type": "string", "pattern": TIME, "description": MEANINGS["time"]},
    }
    if not is_heartbeat:
        needed.append("subject")
        properties["subject"] = _required_text("subject")
    properties["arrival"] = {
        "anyOf": [{"type": "null"}, {"const": ""}, {"type": "string", "pattern": TIME}],
        "description": MEANINGS["arrival"],
    }
    if ev.REQUIRED_FIELDS.get(kind):
        needed.append("data")
    properties["data"] = data
    return {"type": "object", "description": TYPES[kind], "required": needed, "properties": properties}


def _required_text(path: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": MEANINGS[path]}


def _data_of(kind: str) -> Schema:
    if kind == ev.HEARTBEAT:
        meaning = {"complete_to": {"description": MEANINGS["data.complete_to"]}}
        return _or_absent({"type": "object", "properties": meaning})
    required = ev.REQUIRED_FIELDS.get(kind, ())
    if not required:
        return _or_absent({"$ref": "#/$defs/data"})
    texts: Schema = {name: {"type": "string", "minLength": 1} for name in required}
    return {"$ref": "#/$defs/data", "type": "object", "required": [*required], "properties": texts}


def _parts(kind: str) -> Schema:
    """The known fields of `data`, which are checked whatever the type; of a heartbeat none is."""
    return {} if kind == ev.HEARTBEAT else {"data": _object(ev.Data, "data")}


def _object(model: type[BaseModel], path: str) -> Schema:
    hints = typing.get_type_hints(model, include_extras=True)
    return {
        "type": "object",
        "properties": {name: _field(hints[name], f"{path}.{name}") for name in model.model_fields},
    }


def _field(annotation: Any, path: str) -> Schema:
    """One known field as its annotation has it, with what it means."""
    kinds, empty = _alternatives(annotation, path)
    if empty and {"type": "string"} not in kinds:
        kinds.append({"const": ""})
    if path == "data.tenant":
        kinds = [{"type": "string", "pattern": TENANT} if kind == {"type": "string"} else kind for kind in kinds]
    said = MEANINGS.get(path, "")
    words = WORDS.get(path)
    return {
        **_joined(kinds),
        **({"description": said} if said else {}),
        # Examples and no `enum`: another word is no fault, it counts as missing or unknown.
        **({"examples": [*words]} if words else {}),
    }


def _joined(kinds: list[Schema]) -> Schema:
    if all([*kind] == ["type"] for kind in kinds):
        names = sorted({kind["type"] for kind in kinds} - ({"integer"} if {"type": "number"} in kinds else set()))
        return {"type": names[0] if len(names) == 1 else names}
    return {"anyOf": kinds}


def _alternatives(annotation: Any, path: str) -> tuple[list[Schema], bool]:
    """What a value may be, and whether `""` counts as absent."""
    origin = get_origin(annotation)
    if origin is typing.Annotated:
        inner, *notes = get_args(annotation)
        kinds, empty = _alternatives(inner, path)
        return kinds, empty or any(isinstance(note, BeforeValidator) and note.func is ev._absent for note in notes)
    if origin in (typing.Union, types.UnionType):
        found = [_alternatives(part, path) for part in get_args(annotation)]
        return [kind for kinds, _ in found for kind in kinds], any(empty for _, empty in found)
    return [_plain(annotation, path)], False


def _plain(annotation: Any, path: str) -> Schema:
    if annotation is type(None):
        return {"type": "null"}
    if get_origin(annotation) is list:
        return {"type": "array", "items": _plain(get_args(annotation)[0], path)}
    if get_origin(annotation) is dict:
        return {"type": "object"}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _object(annotation, path)
    return {"type": _NAMES[annotation]}


def _or_absent(schema: Schema) -> Schema:
    return {"anyOf": [{"type": "null"}, {"const": ""}, schema], "description": MEANINGS["data"]}


def policy_schema() -> Schema:
    """The document of a policy file, for editors.

    It cannot say what reaches over several parts: ids used twice, aliases of two subjects, conditions that do not
    parse, `max_age` longer than `lookback`.
    """
    schema = PolicyFile.model_json_schema()
    given = schema["$defs"]["GivenEvent"]
    given["oneOf"] = [{"required": ["action"]}, {"required": ["type"]}]
    schema["$defs"]["Expect"]["allOf"] = [
        {
            "if": {"properties": {"verdict": {"const": verdict}}},
            "then": {"properties": {"reason": {"enum": [*sorted(reasons), None]}}},
        }
        for verdict, reasons in REASONS.items()
    ]
    _polish(schema)
    schema["title"] = "a policy file of Stepwatch"
    return {"$schema": DRAFT, **schema}


def _polish(node: Any) -> None:
    """Durations of defaults as a file writes them, null where a key may be absent, no made-up titles."""
    if isinstance(node, list):
        for item in node:
            _polish(item)
    if not isinstance(node, dict):
        return
    properties = node.get("properties")
    if isinstance(properties, dict):
        required = node.get("required", [])
        for name, said in properties.items():
            said.pop("title", None)
            default = said.get("default")
            if isinstance(default, int) and not isinstance(default, bool) and said.get("type") == "string":
                said["default"] = show_duration(default)
            if "default" in said and said["default"] is None:
                del said["default"]
            if name not in required and {"type": "null"} not in said.get("anyOf", []):
                properties[name] = _or_null(said)
    for value in list(node.values()):
        _polish(value)


def _or_null(said: Schema) -> Schema:
    kept: Schema = {name: said[name] for name in ("description", "default") if name in said}
    rest = {name: value for name, value in said.items() if name not in kept}
    return {"anyOf": [rest, {"type": "null"}], **kept}
