"""The SDK's check and the worker's decoder give one answer (contract section 3)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwatch.schemas import events as ev
from stepwatch.schemas.compiled import encode_json
from stepwatch.sdk import EventError
from stepwatch.sdk.checking import check_event
from stepwatch.streams.decode import Fault, decode

ODD: Any = st.sampled_from([None, "", "x", 3, 1.5, True, [], ["otp", ""], [1], {}, {"id": 3}, {"ip": ""}, 2**70])
MEMBERS = st.dictionaries(st.sampled_from(sorted(ev.Data.model_fields)), ODD, max_size=4)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["e-1", "", None, 5]),
        "source": st.sampled_from(["/app", "", 5]),
        "type": st.sampled_from([*sorted(ev.EVENT_TYPES), "other", 5]),
        "time": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01", "1969-01-01T00:00:00Z", "", 5]),
        "subject": st.sampled_from(["alice", "", None, 5]),
        "data": st.one_of(MEMBERS, ODD),
    },
)
WHOLE = {"id": "e", "source": "/app", "type": ev.STEPUP_DENIED, "time": "2026-01-01T00:00:00Z", "subject": "alice"}


def agree(event: dict[str, Any]) -> None:
    worker = decode(encode_json(event), time.time_ns() // 1000)
    if isinstance(worker, Fault):
        with pytest.raises(EventError) as caught:
            check_event(event)
        assert caught.value.field == worker.field
    else:
        check_event(event)


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_it_refuses_what_the_worker_refuses_and_names_the_same_field(event: dict[str, Any]) -> None:
    agree(event)


@settings(max_examples=300, deadline=None)
@given(MEMBERS, st.sampled_from(sorted(ev.EVENT_TYPES)))
def test_the_same_of_every_member_of_a_whole_event(data: dict[str, Any], kind: str) -> None:
    agree({**WHOLE, "type": kind, "data": data})


def test_a_type_that_only_a_newer_version_knows_is_a_fault_of_this_program() -> None:
    with pytest.raises(EventError, match=r"stepwatch\.action\.performed"):
        check_event({**WHOLE, "type": "stepwatch.newer.thing"})
