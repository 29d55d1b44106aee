"""Fast decoders and encoders, derived at import from the pydantic models (DESIGN section 5).

A struct has the fields of its model in their order. What the fast decoder refuses may still be right (`""` where an
object belongs means absent): pydantic decides then, and words the fault.
"""

from __future__ import annotations

import types
import typing
from functools import cache
from typing import Any, get_args, get_origin

import msgspec
from pydantic import BaseModel

from stepwatch.schemas.alerts import AlertRow
from stepwatch.schemas.audit import AuditRow, EvidenceRow
from stepwatch.schemas.events import Client, Data, Decision, Resource


class AnyObject(msgspec.Struct, gc=False):
    """A JSON object of which no member is read: what is in it is skipped, that it is one is checked."""


def _plain(annotation: Any) -> Any:
    """The annotation without pydantic's validators, with models turned into structs."""
    origin = get_origin(annotation)
    if origin is typing.Annotated:
        return _plain(get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_plain(part) for part in get_args(annotation))]  # noqa: UP007 - built at run time
    if origin is dict:
        return AnyObject
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return struct_of(annotation)
    return annotation


@cache
def struct_of(model: type[BaseModel]) -> type[msgspec.Struct]:
    """The msgspec struct with the fields, types and defaults of a model.

    A field that ends in `_` (a name that Python or pydantic keeps for itself) is written without it. Values may be
    given in order: to name forty of them takes ten times as long. For that, a field that must be given has the default
    None where it follows one with a default.
    """
    fields: list[Any] = []
    renamed: dict[str, str] = {}
    follows_default = False
    hints = typing.get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        kind = _plain(hints[name])
        if name.endswith("_"):
            renamed[name] = name[:-1]
        if field.is_required():
            fields.append((name, kind, None) if follows_default else (name, kind))
            continue
        follows_default = True
        if isinstance(field.default, list):
            fields.append((name, kind, msgspec.field(default_factory=list)))
        else:
            fields.append((name, kind, field.default))
    return msgspec.defstruct(f"Fast{model.__name__}", fields, rename=renamed or None, gc=False)


def rest_of_row(model: type[BaseModel], struct: type[msgspec.Struct], **said: object) -> bytes:
    """The end of a JSON row: every column of the model that a struct of fewer columns does not write.

    Args:
        model: of the whole row.
        struct: that writes its beginning.
        said: columns with other values than their defaults.

    Returns:
        `,"column":value,...}`: what follows the struct's JSON without its closing brace.
    """
    columns = _unwritten(model, struct)
    assert said.keys() <= columns.keys(), f"no columns of the row's end: {said.keys() - columns.keys()}"
    return b"," + msgspec.json.encode({**columns, **said})[1:]


@cache
def _unwritten(model: type[BaseModel], struct: type[msgspec.Struct]) -> dict[str, object]:
    """The columns of a row that a struct does not write, with their defaults; those without one are null."""
    written = set(struct.__struct_encode_fields__)
    return {
        field.encode_name: [] if field.default_factory is list else field.default
        for field in msgspec.structs.fields(struct_of(model))
        if field.encode_name not in written
    }


class DataOnly(msgspec.Struct, gc=False):
    """Nothing but `data`, as bytes: whatever the rest of the envelope looks like."""

    data: msgspec.Raw = msgspec.Raw()


class Envelope(msgspec.Struct, gc=False):
    """The envelope of an event as it lies on the wire; `data` is left as bytes for the audit record."""

    id: str | None = None
    source: str | None = None
    type: str | None = None
    time: str | None = None
    subject: str | None = None
    data: msgspec.Raw = msgspec.Raw()


class FileEnvelope(Envelope, gc=False):
    """The same in a file, where an event says its arrival itself (contract section 1)."""

    arrival: str | None = None


FastData: Any = struct_of(Data)
FastClient: Any = struct_of(Client)
FastResource: Any = struct_of(Resource)
FastDecision: Any = struct_of(Decision)
FastAuditRow: Any = struct_of(AuditRow)
FastEvidenceRow: Any = struct_of(EvidenceRow)
FastAlertRow: Any = struct_of(AlertRow)

decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_data_only = msgspec.json.Decoder(DataOnly).decode
decode_file_envelope = msgspec.json.Decoder(FileEnvelope).decode
decode_data = msgspec.json.Decoder(FastData).decode
decode_json = msgspec.json.Decoder().decode
encode_json = msgspec.json.Encoder().encode
encode_sorted = msgspec.json.Encoder(order="sorted").encode
