"""The fast decoders and encoders are the pydantic models, compiled: same decision, same values (DESIGN section 5)."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from stepwatch.schemas import events as ev
from stepwatch.schemas.alerts import AlertRow
from stepwatch.schemas.audit import AuditRow, EvidenceRow
from stepwatch.schemas.compiled import (
    FastAlertRow,
    FastAuditRow,
    FastData,
    FastEvidenceRow,
    decode_data,
    encode_json,
)
from stepwatch.streams import decode as decoding
from stepwatch.streams.decode import Decoded, Event, Fault, Heartbeat, Skipped, decode
from tests.core.driver import T0_US
from tests.core.json_texts import any_event, broken_event, clean_event, data_of

THOROUGH = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def fast(value: bytes, arrival_us: int | None, family: str | None) -> Decoded | None:
    """What the fast path says; None where it leaves the record to the slow one."""
    if not decoding._is_plain(value):
        return None
    try:
        return decoding._decode_fast(value, arrival_us, family)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def shown(outcome: Decoded) -> Any:
    """An outcome so that what means the same is the same; the members of `token` are read by nobody."""
    if not isinstance(outcome, Event):
        return outcome
    fields = {name: getattr(outcome, name) for name in outcome.__struct_fields__}
    return fields | {"data": known(msgspec.to_builtins(outcome.data))}


def known(data: dict[str, Any]) -> Any:
    """`data` without `token` and without what is absent."""
    return plain({name: value for name, value in data.items() if name != "token"})


def plain(value: Any) -> Any:
    """Without absent members; -0 is 0."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if plain(item) not in (None, [], {})}
    if isinstance(value, list):
        return [plain(item) for item in value if item != ""]
    return value if value != "" and value != 0 else value or None


@THOROUGH
@given(any_event(), st.sampled_from([T0_US, None]), st.sampled_from(["action", "authentication", None]))
def test_the_fast_decoder_accepts_nothing_that_the_models_refuse_and_gives_the_same_values(
    value: bytes, arrival_us: int | None, family: str | None
) -> None:
    quick = fast(value, arrival_us, family)
    slow = decoding._decode_slowly(value, arrival_us, family)
    event(f"fast: {type(quick).__name__}, slow: {type(slow).__name__}")
    assert isinstance(slow, Event | Heartbeat | Skipped | Fault)
    if quick is not None:
        assert shown(quick) == shown(slow)
    assert shown(decode(value, arrival_us, family)) == shown(slow)


@THOROUGH
@given(clean_event())
def test_an_event_without_oddities_never_needs_the_slow_decoder(value: bytes) -> None:
    outcome = fast(value, T0_US, None)
    assert isinstance(outcome, Event)
    assert shown(outcome) == shown(decoding._decode_slowly(value, T0_US, None))


@THOROUGH
@given(broken_event())
def test_text_that_is_no_json_is_refused_by_both(value: bytes) -> None:
    slow = decoding._decode_slowly(value, T0_US, None)
    quick = fast(value, T0_US, None)
    assert quick is None or shown(quick) == shown(slow)
    assert shown(decode(value, T0_US)) == shown(slow)


@THOROUGH
@given(data_of())
@example(b'{"otp_step":1.0}')
@example(b'{"otp_step":1e3}')
@example(b'{"otp_step":true}')
@example(b'{"auth_time":false}')
@example(b'{"auth_time":1e309}')
@example(b'{"auth_time":-0.0}')
@example(b'{"amr":[""],"client":{"ip":null,"ip":"1"},"client":{}}')
@example(b'{"token":{"a":[1e308,-1e-400,18446744073709551616]}}')
def test_what_the_struct_of_data_takes_the_model_takes_with_the_same_values(text: bytes) -> None:
    try:
        quick = decode_data(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        event("struct refuses")
        return
    event("struct takes")
    try:
        model = ev.Data.model_validate(json.loads(text))
    except ValidationError as refused:
        raise AssertionError(f"the struct took {quick}") from refused
    dumped = model.model_dump()
    assert known(msgspec.to_builtins(quick)) == known(dumped)
    assert isinstance(quick.auth_time, int | None) or math.isfinite(quick.auth_time)


@pytest.mark.parametrize(
    ("model", "struct"),
    [
        (ev.Data, FastData),
        (AuditRow, FastAuditRow),
        (EvidenceRow, FastEvidenceRow),
        (AlertRow, FastAlertRow),
    ],
)
def test_a_struct_has_the_fields_of_its_model_in_their_order_with_their_defaults(
    model: type[BaseModel], struct: Any
) -> None:
    assert struct.__struct_fields__ == tuple(model.model_fields)
    assert struct.__struct_encode_fields__ == tuple(name.removesuffix("_") for name in model.model_fields)
    needed = {name: "x" for name, field in model.model_fields.items() if field.is_required()}
    made = struct(**needed)
    for name, field in model.model_fields.items():
        if not field.is_required():
            assert getattr(made, name) == field.default, name


@pytest.mark.parametrize("struct", [FastAuditRow, FastEvidenceRow, FastAlertRow])
def test_a_list_that_is_a_default_is_not_shared_between_rows(struct: Any) -> None:
    needed = dict.fromkeys(struct.__struct_fields__, "x")
    lists = [name for name in needed if isinstance(getattr(struct(**_required(struct)), name), list)]
    assert lists
    first, second = struct(**_required(struct)), struct(**_required(struct))
    getattr(first, lists[0]).append("x")
    assert getattr(second, lists[0]) == []


def _required(struct: Any) -> dict[str, str]:
    defaults = len(struct.__struct_defaults__)
    info = msgspec.structs.fields(struct)
    assert defaults
    return {field.name: "x" for field in info if field.required}


def test_a_row_that_is_encoded_is_read_by_its_model() -> None:
    row = FastEvidenceRow(
        tenant="acme", subject="zoë", source="/idp", event_id="e", type="stepup.verified", time="t", arrival="a"
    )
    read = json.loads(encode_json(row))
    assert read["schema"] == row.schema_
    read["schema_"] = read.pop("schema")
    assert EvidenceRow.model_validate(read).subject == "zoë"


def test_every_known_type_is_in_one_family_and_has_the_prefix() -> None:
    assert all(kind.startswith(ev.TYPE_PREFIX) for kind in ev.EVENT_TYPES)
    assert len(ev.EVENT_TYPES) == len(ev.AUTHENTICATION_TYPES) + 2 == 15
    assert set(ev.REQUIRED_FIELDS) <= ev.EVENT_TYPES
