"""Builders: what they make is an event to the worker, and what is wrong with a call is said in the call."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from stepwatch.schemas import events as ev
from stepwatch.sdk import Client, Decision, Event, EventError, MemoryReporter, Resource, Source
from stepwatch.sdk.checking import check_event
from stepwatch.streams.decode import ACTION, Heartbeat, decode
from stepwatch.streams.decode import Event as Decoded

BANK = Source("/payments/api", tenant="acme")
ALL: dict[str, Callable[[], Event]] = {
    ev.ACTION_PERFORMED: lambda: BANK.action_performed("payments.payout.approve", subject="alice"),
    ev.STEPUP_REQUIRED: lambda: BANK.stepup_required(subject="alice", reason="new_payee"),
    ev.STEPUP_CHALLENGED: lambda: BANK.stepup_challenged(subject="alice", challenge="c-1"),
    ev.STEPUP_VERIFIED: lambda: BANK.stepup_verified(subject="alice", amr=["otp"]),
    ev.STEPUP_FAILED: lambda: BANK.stepup_failed(subject="alice", failure="wrong_code"),
    ev.STEPUP_DENIED: lambda: BANK.stepup_denied(subject="alice"),
    ev.STEPUP_EXPIRED: lambda: BANK.stepup_expired(subject="alice"),
    ev.STEPUP_CANCELLED: lambda: BANK.stepup_cancelled(subject="alice"),
    ev.STEPUP_BYPASSED: lambda: BANK.stepup_bypassed(subject="alice"),
    ev.SESSION_STARTED: lambda: BANK.session_started(subject="alice", session="s-81"),
    ev.SESSION_REVOKED: lambda: BANK.session_revoked(subject="alice", session=None),
    ev.CREDENTIAL_CHANGED: lambda: BANK.credential_changed(subject="alice", credential="k-1", change="created"),
    ev.APPROVAL_GRANTED: lambda: BANK.approval_granted(subject="alice", approver="bob"),
    ev.APPROVAL_REVOKED: lambda: BANK.approval_revoked(subject="alice"),
    ev.HEARTBEAT: BANK.heartbeat,
}


def now_us() -> int:
    return time.time_ns() // 1000


def test_there_is_a_builder_for_every_type_of_the_contract() -> None:
    assert ALL.keys() == ev.EVENT_TYPES


@pytest.mark.parametrize("kind", sorted(ALL))
def test_what_a_builder_makes_is_an_event_to_the_worker(kind: str) -> None:
    event = ALL[kind]()
    decoded = decode(check_event(event).value, now_us())
    assert event["type"] == kind
    assert event["specversion"] == "1.0"
    if kind == ev.HEARTBEAT:
        assert isinstance(decoded, Heartbeat)
        return
    assert isinstance(decoded, Decoded)
    assert (decoded.tenant, decoded.subject, decoded.source) == ("acme", "alice", "/payments/api")
    assert (decoded.family == ACTION) == (kind == ev.ACTION_PERFORMED)
    assert check_event(event).key == b"acme/alice"


def test_every_argument_arrives_under_its_name() -> None:
    event = BANK.action_performed(
        "payments.payout.approve",
        subject="alice",
        session="s-81",
        root_session="s-80",
        outcome="denied",
        resource=Resource("payout", "po_991", "critical"),
        on_behalf_of="carol",
        transaction="sha256:5f1c",
        token={"acr": "phr", "amr": ["hwk"]},
        decision=Decision("required", "amount_over_limit"),
        verification="v-7",
        challenge="c-7",
        client=Client(ip="203.0.113.7", asn=64500),
        extra={"order": 12},
    )
    assert event["data"] == {
        "tenant": "acme",
        "session": "s-81",
        "root_session": "s-80",
        "action": "payments.payout.approve",
        "outcome": "denied",
        "resource": {"type": "payout", "id": "po_991", "sensitivity": "critical"},
        "on_behalf_of": "carol",
        "transaction": "sha256:5f1c",
        "token": {"acr": "phr", "amr": ["hwk"]},
        "decision": {"result": "required", "reason": "amount_over_limit"},
        "verification": "v-7",
        "challenge": "c-7",
        "client": {"ip": "203.0.113.7", "asn": 64500},
        "order": 12,
    }


WRONG: list[tuple[str, Callable[[], Any]]] = [
    ("source", lambda: Source("")),
    ("data.tenant", lambda: Source("/a", tenant="two words")),
    ("data.tenant", lambda: Source("/a", tenant="x" * 65)),
    ("source", lambda: Source("stepwatch")),
    ("subject", lambda: BANK.stepup_denied(subject="")),
    ("subject", lambda: BANK.stepup_denied(subject=12)),  # type: ignore[arg-type]
    ("data.action", lambda: BANK.action_performed("", subject="alice")),
    ("data.outcome", lambda: BANK.action_performed("a.b", subject="alice", outcome="sucess")),  # type: ignore[arg-type]
    ("data.resource.sensitivity", lambda: Resource("payout", "po", "hgih")),  # type: ignore[arg-type]
    ("data.resource.id", lambda: BANK.action_performed("a.b", subject="a", resource=Resource("p", 7))),  # type: ignore[arg-type]
    ("data.decision.result", lambda: Decision("maybe")),  # type: ignore[arg-type]
    ("data.token", lambda: BANK.action_performed("a.b", subject="a", token="eyJhbGciOi...")),  # type: ignore[arg-type]
    ("data.amr", lambda: BANK.stepup_verified(subject="a", amr=[])),
    ("data.amr", lambda: BANK.stepup_verified(subject="a", amr="otp")),
    ("data.auth_time", lambda: BANK.stepup_verified(subject="a", amr=["otp"], auth_time=float("nan"))),
    ("data.auth_time", lambda: BANK.stepup_verified(subject="a", amr=["otp"], auth_time=time.time() * 1000)),
    ("data.otp_step", lambda: BANK.stepup_verified(subject="a", amr=["otp"], otp_step="123456")),  # type: ignore[arg-type]
    ("data.failure", lambda: BANK.stepup_failed(subject="a", failure="wrong")),  # type: ignore[arg-type]
    ("data.change", lambda: BANK.credential_changed(subject="a", credential="k", change="made")),  # type: ignore[arg-type]
    ("data.credential", lambda: BANK.credential_changed(subject="a", credential="", change="created")),
    ("data.approver", lambda: BANK.approval_granted(subject="a", approver="")),
    ("data.client", lambda: BANK.stepup_denied(subject="a", client={"ip": "::1"})),  # type: ignore[arg-type]
    ("data.client.ip", lambda: BANK.stepup_denied(subject="a", client=Client(ip=1))),  # type: ignore[arg-type]
    ("data.session", lambda: BANK.stepup_denied(subject="a", session=81)),  # type: ignore[arg-type]
    ("data.session", lambda: BANK.stepup_denied(subject="a", session="\ud800")),
    ("data.session", lambda: BANK.stepup_denied(subject="a", extra={"session": "s"})),
    ("data.thing", lambda: BANK.stepup_denied(subject="a", extra={"thing": object()})),
    ("json", lambda: BANK.stepup_denied(subject="a", extra={"text": "x" * 2**18})),
    ("time", lambda: BANK.stepup_denied(subject="a", time=datetime.now())),
    ("time", lambda: BANK.stepup_denied(subject="a", time="2026-01-01T00:00:00Z")),  # type: ignore[arg-type]
    ("time", lambda: BANK.stepup_denied(subject="a", time=datetime.now(UTC) + timedelta(minutes=11))),
    ("time", lambda: BANK.stepup_denied(subject="a", time=datetime(1969, 12, 31, tzinfo=UTC))),
    ("data.complete_to", lambda: BANK.heartbeat(complete_to=datetime.now())),
]


@pytest.mark.parametrize(("field", "call"), WRONG, ids=[f"{n}-{field}" for n, (field, _) in enumerate(WRONG)])
def test_a_wrong_argument_is_an_error_that_names_its_field(field: str, call: Callable[[], Any]) -> None:
    with pytest.raises(EventError) as caught:
        call()
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


def test_a_misspelt_argument_is_no_silent_extra() -> None:
    with pytest.raises(TypeError, match="sesion"):
        BANK.stepup_denied(subject="alice", sesion="s-1")  # type: ignore[call-arg]


@pytest.mark.parametrize("raw", ["eyJhbGciOiJIUzI1NiJ9.secret.sig"])
def test_a_raw_token_is_refused_without_being_repeated(raw: str) -> None:
    with pytest.raises(EventError) as caught:
        BANK.action_performed("a.b", subject="alice", token=raw)  # type: ignore[arg-type]
    assert raw not in str(caught.value)


def test_the_deepest_nesting_that_is_allowed_passes_and_one_more_does_not() -> None:
    def nested(depth: int) -> Any:
        return {} if depth == 1 else {"in": nested(depth - 1)}

    # The event and its data are two levels of the sixteen.
    BANK.action_performed("a.b", subject="alice", extra={"x": nested(14)})
    with pytest.raises(EventError, match="nested"):
        BANK.action_performed("a.b", subject="alice", extra={"x": nested(15)})


def test_a_time_of_any_zone_is_said_in_utc() -> None:
    at = datetime(2026, 1, 2, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert BANK.stepup_denied(subject="alice", time=at)["time"] == "2026-01-01T23:30:00.000000Z"


def test_an_id_is_the_callers_or_else_a_new_uuid_of_version_7() -> None:
    assert BANK.stepup_denied(subject="alice", id="mine")["id"] == "mine"
    before_ms = time.time_ns() // 1_000_000
    ids = [uuid.UUID(BANK.stepup_denied(subject="alice")["id"]) for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {(i.version, i.variant) for i in ids} == {(7, uuid.RFC_4122)}
    assert all(before_ms <= i.int >> 80 <= time.time_ns() // 1_000_000 for i in ids)


@pytest.mark.parametrize("wrong", [None, 7, "text", [("id", "e-1")], object()])
def test_what_is_no_object_at_all_is_no_event(wrong: Any) -> None:
    with pytest.raises(EventError, match=r"^json: expected an object, got "):
        MemoryReporter().report(wrong)


def test_an_event_that_is_no_plain_dict_is_checked_as_its_json() -> None:
    class Mapped(dict[str, Any]):
        pass

    event = Mapped(BANK.stepup_denied(subject="alice"))
    assert msgspec.json.decode(check_event(event).value) == event
