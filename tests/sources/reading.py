"""Helpers of the adapters' tests: the real files, and what contract section 3 demands of an event."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from stepwatch.schemas import events as ev
from stepwatch.schemas.times import SECOND_US, parse_time
from stepwatch.sources import ADAPTERS, Event, Skip
from stepwatch.sources.amr import RFC_8176

ABSENT = "no shared logs: set STEPWATCH_SHARED, or put a folder `shared` beside the checkout"


def shared_folder() -> Path:
    """Where the shared logs lie, if they are there."""
    return Path(os.environ.get("STEPWATCH_SHARED") or Path(__file__).parents[3] / "shared")


def shared(*path: str) -> Path:
    """A file or folder of the shared logs; the test is skipped where they are absent."""
    folder = shared_folder().joinpath(*path)
    if not folder.exists():
        pytest.skip(ABSENT)
    return folder


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file."""
    return path.read_bytes().splitlines()


def read(adapter: str, row: Any) -> list[Any]:
    """What an adapter makes of one row, given as a value or as bytes; each event is checked."""
    line = row if isinstance(row, bytes) else json.dumps(row).encode()
    found = ADAPTERS[adapter].events(line)
    for one in found:
        if isinstance(one, Skip):
            assert one.reason
            assert one.field
        else:
            check_event(one)
    return list(found)


def one(adapter: str, row: Any) -> Any:
    """The one event or skip of a row."""
    (found,) = read(adapter, row)
    return found


def check_event(event: Event) -> None:
    """That the event is none that contract section 3 would reject, and says nothing by halves."""
    value = json.dumps(event, allow_nan=False).encode()
    assert len(value) <= 256 * 1024
    value.decode()
    model = ev.Event.model_validate_json(value)
    assert model.specversion == "1.0"
    assert model.id
    assert model.source
    assert model.type in ev.EVENT_TYPES
    time_us = parse_time(model.time)
    assert time_us is not None
    assert model.subject
    assert "unknown" not in (model.subject.lower(), model.id.lower())
    _check_data(event, model, time_us)


def _check_data(event: Event, model: ev.Event, time_us: int) -> None:
    data = event["data"]
    assert isinstance(data, dict)
    assert model.data is not None
    assert not [name for name, value in data.items() if value in (None, "", [], {})], "an empty member"
    for name in ev.REQUIRED_FIELDS.get(model.type, ()):
        assert data.get(name), name
    assert set(data.get("amr", [])) <= RFC_8176
    assert data.get("outcome") in (None, *ev.OUTCOMES, "unknown")
    assert data.get("change") in (None, "created", "revoked", "updated")
    if "auth_time" in data:
        assert data["auth_time"] * SECOND_US <= time_us
    if model.type == ev.ACTION_PERFORMED:
        assert data["resource"]["sensitivity"] in ev.SENSITIVITIES
        assert data["action"] == data["action"].lower()
        assert "." in data["action"]
    assert data.get("session") != "unknown"
    assert "token" not in data
