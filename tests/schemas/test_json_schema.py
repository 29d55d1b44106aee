"""The JSON Schema documents: valid, current, and of the decoder's opinion as far as JSON Schema can say it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stepwatch.cli.events_schema import texts
from stepwatch.schemas import events as ev
from stepwatch.schemas.fields import FIELDS, TYPES, WORDS
from stepwatch.schemas.jsonschema import documents
from stepwatch.sdk.parts import _WORDS
from stepwatch.streams.decode import Fault, decode, read_object
from stepwatch.streams.sets import PolicyRefused, build_set
from stepwatch.streams.yamltext import read_yaml
from tests.core.json_texts import any_event, clean_event
from tests.core.raw_events import GONE, event, raw
from tests.tidy.walk import TOP

DOCUMENTS = documents()
ANY = Draft202012Validator(DOCUMENTS["event"])
POLICY = Draft202012Validator(DOCUMENTS["policy"])
POLICY_FILES = sorted((TOP / "deploy" / "policies").rglob("*.yaml"))


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_every_document_is_a_schema_by_its_metaschema(name: str) -> None:
    Draft202012Validator.check_schema(DOCUMENTS[name])


@pytest.mark.parametrize("name", sorted(texts()))
def test_every_document_in_the_tree_is_what_the_models_say_now(name: str) -> None:
    assert (TOP / "schemas" / name).read_text(encoding="utf-8") == texts()[name]


def test_no_document_of_the_tree_is_left_of_a_type_that_is_gone() -> None:
    assert sorted(path.stem for path in (TOP / "schemas" / "json").iterdir()) == sorted(DOCUMENTS)


def test_there_is_a_document_for_every_type_of_event() -> None:
    assert {f"stepwatch.{name}" for name in DOCUMENTS} >= ev.EVENT_TYPES == TYPES.keys()


# what JSON Schema cannot say (the module's docstring): an input for which one of these holds proves nothing


def _is_sayable(value: bytes) -> bool:
    try:
        said = read_object(value)
    except ValueError:
        return False
    outcome = decode(value, None)
    if isinstance(outcome, Fault):
        if outcome.field == "json" or "after arrival" in outcome.message or "10 minutes" in outcome.message:
            return False
        if outcome.field in ("time", "arrival") and re.match(r"\d{4}-\d\d-\d\dT\d\d", str(said.get(outcome.field))):
            return False
    data = said.get("data")
    numbers = [data.get("otp_step"), data.get("auth_time")] if isinstance(data, dict) else []
    return not any(isinstance(n, float) and (n.is_integer() or not math.isfinite(n)) for n in numbers)


def _agree(value: bytes) -> None:
    outcome, said = decode(value, None), read_object(value)
    accepted = not isinstance(outcome, Fault)
    assert ANY.is_valid(said) == accepted, outcome
    kind = said.get("type")
    if isinstance(kind, str) and kind in ev.EVENT_TYPES:
        assert Draft202012Validator(DOCUMENTS[kind.removeprefix("stepwatch.")]).is_valid(said) == accepted, outcome


@settings(max_examples=300, deadline=None)
@given(st.one_of(any_event(), any_event(), clean_event()))
def test_the_schemas_accept_what_the_decoder_accepts_and_refuse_what_it_refuses(value: bytes) -> None:
    if _is_sayable(value):
        _agree(value)


RIGHT: dict[str, dict[str, Any]] = {
    "nothing but what is required": event(data={"session": GONE}),
    "an unknown field": event(data={"zz": [1]}, zz=True),
    "null and empty are absent": event(
        data={"client": "", "resource": None, "amr": "", "auth_time": "", "otp_step": None, "tenant": "", "token": ""}
    ),
    "empty words in amr": event(data={"amr": ["", "hwk"]}),
    "a time with an offset and seven digits": event(time="2026-11-24T10:00:00.1234567+01:00"),
    "lower case letters in a time": event(time="2026-11-24t09:00:00z"),
    "any specversion": event(specversion=7),
    "a heartbeat without a subject": event("heartbeat", subject=GONE, data={"session": 5}),
    "an unknown type of ours": {"id": "e", "source": "/s", "type": "stepwatch.new.thing", "data": 5},
}
WRONG: dict[str, dict[str, Any]] = {
    "no id": event(id=GONE),
    "an empty source": event(source=""),
    "a foreign type": event(type="action.performed"),
    "a time without a zone": event(time="2026-11-24T09:00:00"),
    "a time with a line break": event(time="2026-11-24T09:00:00Z\n"),
    "a month 13": event(time="2026-13-24T09:00:00Z"),
    "a number as subject": event(subject=7),
    "an array as data": event() | {"data": []},
    "no action": event(data={"action": GONE}),
    "an empty action": event(data={"action": ""}),
    "no data where an action must be": event() | {"data": None},
    "a number as session": event(data={"session": 4711}),
    "a text as amr": event(data={"amr": "otp"}),
    "null in amr": event(data={"amr": [None]}),
    "a text as client": event(data={"client": "x"}),
    "a number in client": event(data={"client": {"ip": 1}}),
    "true as auth_time": event(data={"auth_time": True}),
    "a text as otp_step": event(data={"otp_step": "1"}),
    "a tenant with a space": event(data={"tenant": "a b"}),
    "a tenant with a line break": event(data={"tenant": "a\n"}),
    "a tenant of 65": event(data={"tenant": "a" * 65}),
    "a credential changed without change": event("credential.changed", data={"change": GONE}),
    "an approval without approver": event("approval.granted", data={"approver": GONE}),
    "data of a heartbeat that is a text": event("heartbeat") | {"data": "x"},
    "an arrival that is no time": event(arrival="soon"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_right_by_both(name: str) -> None:
    assert not isinstance(decode(raw(RIGHT[name]), None), Fault)
    _agree(raw(RIGHT[name]))


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_wrong_by_both(name: str) -> None:
    assert isinstance(decode(raw(WRONG[name]), None), Fault)
    _agree(raw(WRONG[name]))


# fields: one table of meanings, held to the models


def _paths(model: Any, path: str) -> set[str]:
    return {f"{path}.{name}" for name in model.model_fields}


def test_the_table_of_fields_has_every_field_of_the_models_and_no_other() -> None:
    members = _paths(ev.Client, "data.client") | _paths(ev.Resource, "data.resource")
    members |= _paths(ev.Decision, "data.decision") | _paths(ev.HeartbeatData, "data")
    envelope = {*ev.Event.model_fields, "arrival"}
    named = [field.path for field in FIELDS]
    assert sorted(named) == sorted(envelope | _paths(ev.Data, "data") | members)


def test_the_words_of_a_field_are_those_that_the_builders_take() -> None:
    assert {path: set(words) for path, words in WORDS.items()} == {path: set(words) for path, words in _WORDS.items()}


@pytest.mark.parametrize("kind", sorted(ev.REQUIRED_FIELDS))
def test_a_required_field_is_said_to_be_required(kind: str) -> None:
    for name in ev.REQUIRED_FIELDS[kind]:
        (field,) = [field for field in FIELDS if field.path == f"data.{name}"]
        assert field.is_of(kind)
        assert "required" in field.needed_by + field.meaning


# policies


@pytest.mark.parametrize("path", POLICY_FILES, ids=lambda path: path.name)
def test_the_policy_files_of_deploy_are_right_by_the_schema(path: Any) -> None:
    data = read_yaml(path.name, path.read_text(encoding="utf-8")).data
    assert [error.message for error in POLICY.iter_errors(data)] == []


WRONG_POLICIES = [
    "version: 2",
    "policies: []",
    "version: 1\nunknown: 1",
    "version: 1\ndefaults: {max_age: 5 minutes}",
    "version: 1\ndefaults: {max_age: 300}",
    "version: 1\ndefaults: {severity: urgent}",
    "version: 1\npolicies: [{id: 5}]",
    "version: 1\npolicies: [{}]",
    'version: 1\npolicies: [{id: a, match: {action: "x.y"}}]',
    "version: 1\npolicies: [{id: a, require: {max_uses: 0}}]",
    "version: 1\npolicies: [{id: a, require: {accept: []}}]",
    "version: 1\npolicies: [{id: a, tests: [{name: t, given: [{at: 0s}], expect: {verdict: verified}}]}]",
    "version: 1\nsources: [{name: /idp, proves: [push]}]",
    "version: 1\nidentities: [{subject: a, tenant: [a b]}]",
]


@pytest.mark.parametrize("text", WRONG_POLICIES)
def test_a_policy_file_that_is_refused_is_wrong_by_the_schema_too(text: str) -> None:
    with pytest.raises(PolicyRefused):
        build_set([("p.yaml", text)], None)
    assert not POLICY.is_valid(read_yaml("p.yaml", text).data)


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\npolicies:\n",
        "version: 1\neffective_from: 2026-11-01T00:00:00Z\npolicies: [{id: a, owner: , tests: }]",
        "version: 1\npolicies: [{id: a, require: {max_age: 36500d, max_uses: 1}}]\ndefaults: {lookback: 36500d}",
    ],
)
def test_a_key_without_a_value_is_absent_by_both(text: str) -> None:
    build_set([("p.yaml", text)], None)
    assert POLICY.is_valid(read_yaml("p.yaml", text).data)


def test_the_defaults_in_the_schema_are_written_as_a_file_writes_them() -> None:
    shown = DOCUMENTS["policy"]["$defs"]["Defaults"]["properties"]
    written = {name: said["default"] for name, said in shown.items()}
    text = "version: 1\ndefaults: " + json.dumps(written)
    (file,) = build_set([("p.yaml", text)], None).files
    (bare,) = build_set([("p.yaml", "version: 1")], None).files
    assert file.defaults == bare.defaults
