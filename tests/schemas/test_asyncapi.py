"""The AsyncAPI document: each reference leads somewhere, and it says what topics, models and decoder say.

It was also valid by the specification's own JSON Schema (@asyncapi/specs 6.11.1, 3.0.0), too large to be kept here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from stepwatch.schemas import events as ev
from stepwatch.schemas.alerts import AlertRow
from stepwatch.schemas.asyncapi import INTERNAL
from stepwatch.schemas.audit import AuditRow, EvidenceRow
from stepwatch.schemas.compiled import FastAlertRow, FastAuditRow, FastEvidenceRow
from stepwatch.schemas.topics import Topics
from stepwatch.streams.decode import ACTION, AUTHENTICATION, Fault, decode
from tests.core.driver import TOPICS, Driver
from tests.tidy.walk import TOP

FOLDER = TOP / "schemas"
DOCUMENT: dict[str, Any] = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text(encoding="utf-8"))
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
EXAMPLES = [(name, shown["payload"]) for name, said in MESSAGES.items() for shown in said.get("examples", [])]
NAMED = {"servers", "channels", "operations", "components", "info", "asyncapi", "defaultContentType"}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def test_it_is_a_document_of_version_three_with_known_parts_only() -> None:
    assert DOCUMENT["asyncapi"].startswith("3.0.")
    assert set(DOCUMENT) == NAMED
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert all({"host", "protocol"} <= set(server) for server in DOCUMENT["servers"].values())


def test_every_reference_leads_to_something() -> None:
    references = set(_references(DOCUMENT))
    assert len(references) > 30
    for reference in references:
        file, _, path = reference.partition("#")
        found: Any = json.loads((FOLDER / file).read_text(encoding="utf-8")) if file else DOCUMENT
        for name in filter(None, path.split("/")):
            assert name in found, reference
            found = found[name]


def test_every_topic_but_the_internal_ones_is_a_channel() -> None:
    topics = Topics()
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    assert addresses == {spec.name for spec in topics.specs()} - {topics.prefix + name for name in INTERNAL}
    assert set(topics.inputs) <= addresses


def test_each_operation_takes_the_messages_of_its_own_channel() -> None:
    for name, operation in DOCUMENT["operations"].items():
        channel = operation["channel"]["$ref"]
        assert operation["action"] in ("send", "receive"), name
        assert operation["messages"], name
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])


def test_the_inputs_carry_the_families_that_the_worker_takes_from_them() -> None:
    kinds = {
        name: {MESSAGES[message]["name"] for message in DOCUMENT["channels"][name]["messages"]}
        for name in ("actions", "authentications")
    }
    assert kinds["actions"] == {ev.ACTION_PERFORMED, ev.HEARTBEAT}
    assert kinds["authentications"] == ev.AUTHENTICATION_TYPES | {ev.HEARTBEAT}


@pytest.mark.parametrize(("name", "payload"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_every_example_is_an_event_by_the_decoder_and_by_its_schema(name: str, payload: dict[str, Any]) -> None:
    family = ACTION if name == "action.performed" else AUTHENTICATION
    outcome = decode(json.dumps(payload).encode(), None, family)
    assert not isinstance(outcome, Fault), outcome
    schema = json.loads((FOLDER / "json" / f"{name}.json").read_text(encoding="utf-8"))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(payload)] == []


def test_there_is_an_example_of_every_type() -> None:
    assert {payload["type"] for _, payload in EXAMPLES} == ev.EVENT_TYPES


@pytest.mark.parametrize(
    ("model", "struct"), [(AuditRow, FastAuditRow), (EvidenceRow, FastEvidenceRow), (AlertRow, FastAlertRow)]
)
def test_a_row_is_told_with_the_columns_that_are_written(model: type, struct: Any) -> None:
    told = DOCUMENT["components"]["schemas"][model.__name__]
    assert set(told["properties"]) == set(struct.__struct_encode_fields__)
    assert set(told["required"]) <= set(told["properties"])


def test_a_row_that_a_correlator_writes_is_right_by_the_document() -> None:
    driver = Driver("version: 1\npolicies: [{id: payout, match: {action: [x.y]}}]")
    driver.action("a-1", action="x.y")
    driver.evidence("stepup.verified", "v-1", session="s2", amr=["hwk"])
    driver.pulse(driver.log.now_us + 11_000_000)
    schemas = DOCUMENT["components"]["schemas"]
    written = (("AuditRow", driver.rows), ("EvidenceRow", driver.evidence_rows), ("AlertRow", driver.alerts))
    for name, rows in written:
        assert rows, name
        for row in rows:
            assert [error.message for error in Draft202012Validator(schemas[name]).iter_errors(row)] == []


def test_a_dead_letter_is_told_with_the_headers_that_are_written() -> None:
    driver = Driver("version: 1\npolicies: []")
    driver.send(TOPICS.actions, b"{no")
    (letter,) = driver.dead_letters
    assert {name for name, _ in letter.headers} == set(MESSAGES["dead-letter"]["headers"]["required"])
