"""`stepwatch events example` and `schema`: full, valid, and told field by field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from stepwatch.cli.events_check import Checker
from stepwatch.cli.events_schema import texts
from stepwatch.cli.lines import Origin
from stepwatch.schemas import events as ev
from stepwatch.schemas.examples import build_example
from stepwatch.schemas.fields import FIELDS
from stepwatch.schemas.jsonschema import documents
from stepwatch.streams.decode import ACTION, AUTHENTICATION, Event, Heartbeat, decode
from tests.cli.console import run
from tests.core.driver import T0_US

KINDS = sorted(ev.EVENT_TYPES)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_type_is_taken_without_a_finding(kind: str) -> None:
    value = json.dumps(build_example(kind, T0_US, "e-1")).encode()
    outcome = decode(value, T0_US, ACTION if kind == ev.ACTION_PERFORMED else AUTHENTICATION)
    assert isinstance(outcome, Heartbeat if kind == ev.HEARTBEAT else Event)
    assert Checker(None, T0_US).look(value, Origin("", 1)) == ("e-1", [])


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_type_is_full_and_right_by_its_schema(kind: str) -> None:
    example = build_example(kind, T0_US, "e-1")
    schema = documents()[kind.removeprefix("stepwatch.")]
    assert [error.message for error in Draft202012Validator(schema).iter_errors(example)] == []
    meant = {field.path for field in FIELDS if field.is_of(kind)} - {"arrival", "data"}
    assert meant <= set(_paths(example, ""))


def _paths(value: object, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [path]
    return [path, *(inner for name, one in value.items() for inner in _paths(one, f"{path}.{name}".lstrip(".")))]


@pytest.mark.parametrize("name", ["stepup.verified", "stepwatch.stepup.verified"])
def test_the_event_goes_to_standard_output_and_its_fields_to_standard_error(tmp_path: Path, name: str) -> None:
    done = run(tmp_path, "events", "example", name)
    assert done.status == 0
    assert json.loads(done.out)["type"] == "stepwatch.stepup.verified"
    assert [line.split()[0] for line in done.err.splitlines()[2:]] == [
        field.path for field in FIELDS if field.is_of("stepwatch.stepup.verified")
    ]


def test_an_example_can_be_piped_into_send_and_two_are_two_events(tmp_path: Path) -> None:
    shown = [run(tmp_path, "events", "example", "action.performed").out for _ in range(2)]
    done = run(tmp_path, "send", "--dry-run", "-", stdin="".join(shown).encode())
    assert done.status == 0, done.err
    assert len({row["id"] for row in done.rows}) == 2


def test_the_list_has_every_type(tmp_path: Path) -> None:
    done = run(tmp_path, "events", "example", "--list")
    assert {f"stepwatch.{line.split()[0]}" for line in done.out.splitlines()[1:]} == ev.EVENT_TYPES


@pytest.mark.parametrize(
    ("name", "words"),
    [("", "which type?"), ("stepup.verifed", "did you mean `stepup.verified`?"), ("zzz", "known are action.performed")],
)
def test_a_type_that_is_none_ends_with_two_and_names_what_is(tmp_path: Path, name: str, words: str) -> None:
    done = run(tmp_path, "events", "example", *filter(None, [name]))
    assert (done.status, done.out) == (2, "")
    assert words in done.err


def test_every_schema_is_listed_shown_and_written(tmp_path: Path) -> None:
    listed = run(tmp_path, "events", "schema", "--list").out.split()
    assert {*listed} == {*documents(), "asyncapi"}
    assert run(tmp_path, "events", "schema", "--into", "made").status == 0
    written = {str(path.relative_to(tmp_path / "made")) for path in (tmp_path / "made").rglob("*") if path.is_file()}
    assert written == set(texts())
    for name in ("policy", "stepwatch.heartbeat", "asyncapi"):
        file = "asyncapi.yaml" if name == "asyncapi" else f"json/{name.removeprefix('stepwatch.')}.json"
        assert run(tmp_path, "events", "schema", name).out == (tmp_path / "made" / file).read_text()


@pytest.mark.parametrize("args", [(), ("polici",)])
def test_a_schema_that_is_none_ends_with_two(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = run(tmp_path, "events", "schema", *args)
    assert (done.status, done.out) == (2, "")
    assert "known are" in done.err
