"""The topics as an AsyncAPI 3.0 document: what goes in, what comes out, under which keys and settings (contract 2, 3).

Payloads of events are the JSON Schema documents beside it (`json/`); those of what comes out are told by their models.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from stepwatch.schemas import events as ev
from stepwatch.schemas.alerts import AlertRow
from stepwatch.schemas.audit import AuditRow, EvidenceRow
from stepwatch.schemas.examples import build_example
from stepwatch.schemas.fields import TYPES
from stepwatch.schemas.policy import PolicyRecord
from stepwatch.schemas.responses import Response
from stepwatch.schemas.times import SECOND_US
from stepwatch.schemas.topics import Topics, TopicSpec

Document = dict[str, Any]

VERSION: Final = "3.0.0"
EXAMPLE_US: Final = 1_795_511_702 * SECOND_US
"""24 November 2026, 09:15:02 UTC."""
INTERNAL: Final = ("state", "notifications")
"""Topics of which only Stepwatch itself reads and writes: what lies there may change with any version."""
_BINDING: Final = {"bindingVersion": "0.5.0"}
_KEY: Final = "`tenant/subject`, canonical subject; partition: murmur2 of its UTF-8 bytes (librdkafka: murmur2_random)"
_ROWS: Final[dict[str, tuple[type[BaseModel], str]]] = {
    "audit": (AuditRow, "one revision of a verdict: the row of table `audit`"),
    "evidence": (EvidenceRow, "one accepted authentication event: the row of table `authentications`"),
    "alerts": (AlertRow, "the latest state of one alert"),
    "responses": (Response, "what a person decided about an alert; written by the API and the console only"),
    "policies": (PolicyRecord, "one policy set, whole"),
}
_KEYS: Final = {
    "alerts": "`tenant/alert_id`, in the partition of the alert's subject",
    "policies": "hash of the set",
    "dead-letters": "as received",
}
_RECEIVED: Final = ("actions", "authentications", "responses", "policies")
_ATTRIBUTES: Final = ("specversion", "id", "source", "type", "time", "subject")
_LETTER_HEADERS: Final = ("error", "field", "topic", "partition", "offset", "time")


def document() -> Document:
    """The whole document, with the topics' usual prefix."""
    topics = Topics()
    named = {spec.name.removeprefix(topics.prefix): spec for spec in topics.specs()}
    specs = {name: spec for name, spec in named.items() if name not in INTERNAL}
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Stepwatch",
            "version": "1.0.0",
            "description": "Was this high-risk action done by somebody who had just proved who they are? Contract, v1.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {"host": "localhost:9092", "protocol": "kafka", "description": "any Kafka of yours"},
        },
        "channels": {name: _channel(name, spec) for name, spec in specs.items()},
        "operations": {_operation_name(name): _operation(name) for name in specs},
        "components": {
            "messages": {**_event_messages(), **_row_messages(), "dead-letter": _dead_letter()},
            "schemas": {model.__name__: _model(model) for model, _ in _ROWS.values()},
        },
    }


def _channel(name: str, spec: TopicSpec) -> Document:
    return {
        "address": spec.name,
        "description": _about(name),
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in _messages_of(name)},
        "bindings": {"kafka": {"topic": spec.name, **_configured(spec), **_BINDING}},
    }


def _about(name: str) -> str:
    if name == "actions":
        return "What subjects did. Heartbeats may lie here too. Arrival is the broker's append time."
    if name == "authentications":
        return "How subjects proved who they are; heartbeats, each sent to every partition. Arrival as in actions."
    if name == "dead-letters":
        return "Records that could not be taken: their own bytes and key, and why, in headers."
    return f"{_ROWS[name][1][:1].upper()}{_ROWS[name][1][1:]}."


def _configured(spec: TopicSpec) -> Document:
    """The settings that a binding has words for: `stepwatch topics` sets the others too."""
    said: Document = {}
    if policy := spec.config.get("cleanup.policy"):
        said["cleanup.policy"] = [policy]
    for name in ("retention.ms", "retention.bytes", "max.message.bytes"):
        if name in spec.config:
            said[name] = int(spec.config[name])
    partitions = {"partitions": 1} if spec.single else {}
    return {**partitions, **({"topicConfiguration": said} if said else {})}


def _messages_of(name: str) -> list[str]:
    if name == "actions":
        return [_short(ev.ACTION_PERFORMED), _short(ev.HEARTBEAT)]
    if name == "authentications":
        return [_short(kind) for kind in TYPES if kind != ev.ACTION_PERFORMED]
    return ["dead-letter" if name == "dead-letters" else name]


def _operation_name(name: str) -> str:
    return f"{'receive' if name in _RECEIVED else 'send'}-{name}"


def _operation(name: str) -> Document:
    return {
        "action": "receive" if name in _RECEIVED else "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{message}"} for message in _messages_of(name)],
    }


def _event_messages() -> Document:
    return {_short(kind): _event_message(kind) for kind in TYPES}


def _event_message(kind: str) -> Document:
    key = "none: sent to every partition" if kind == ev.HEARTBEAT else _KEY
    return {
        "name": kind,
        "summary": TYPES[kind],
        "description": "CloudEvents 1.0, structured mode; in binary mode attributes are headers that begin with ce_.",
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "description": "in binary mode only; they win over the body",
            "properties": {f"ce_{name}": {"type": "string"} for name in _ATTRIBUTES},
        },
        "payload": {"$ref": f"./json/{_short(kind)}.json"},
        **_keyed(key),
        "examples": [
            {"name": _short(kind), "payload": build_example(kind, EXAMPLE_US, f"example-{_short(kind)}")},
        ],
    }


def _row_messages() -> Document:
    return {
        name: {
            "name": name,
            "summary": about,
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
            **_keyed(_KEYS.get(name, _KEY)),
        }
        for name, (model, about) in _ROWS.items()
    }


def _dead_letter() -> Document:
    headers = {name: {"type": "string"} for name in _LETTER_HEADERS}
    return {
        "name": "dead-letter",
        "summary": "the original bytes, whatever they are, and why they could not be taken",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "required": [*_LETTER_HEADERS], "properties": headers},
        **_keyed(_KEYS["dead-letters"]),
    }


def _keyed(description: str) -> Document:
    return {"bindings": {"kafka": {"key": {"type": "string", "description": description}, **_BINDING}}}


def _model(model: type[BaseModel]) -> Document:
    """A model by itself: what it refers to stands inside it, and a column has its own name, not Python's."""
    schema = model.model_json_schema(ref_template=f"#/components/schemas/{model.__name__}/$defs/{{model}}")
    for name in [name for name in schema["properties"] if name.endswith("_")]:
        schema["properties"][name[:-1]] = schema["properties"].pop(name)
    schema["required"] = [name.removesuffix("_") for name in schema.get("required", [])]
    return schema


def _short(kind: str) -> str:
    return kind.removeprefix(ev.TYPE_PREFIX)
