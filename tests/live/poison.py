"""Records that cannot be taken, each with what must be said of it and the event that was meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stepwatch.schemas import events as ev
from stepwatch.schemas.times import HOUR_US, MINUTE_US, format_time

ACTIONS, AUTHENTICATIONS, RESPONSES = "actions", "authentications", "responses"
TENANT = "poison"
Headers = list[tuple[str, bytes | None]]


@dataclass(slots=True)
class Poison:
    """One bad record.

    Attributes:
        name: of its kind; its subject and its event's id are made of it.
        topic: the input that it is sent to.
        error: what `dead-letters list --error` finds it by.
        value, headers: of the record.
        repaired: the event that was meant; None: the record is put back as it is.
        elsewhere: it is sent to a partition where it does not belong.
    """

    name: str
    topic: str
    error: str
    value: bytes | None
    repaired: bytes | None
    headers: Headers = field(default_factory=list)
    elsewhere: bool = False

    @property
    def key(self) -> bytes:
        """Of the record: `tenant/subject`."""
        return f"{TENANT}/{self.name}".encode()


class Kitchen:
    """Makes every kind of bad record, around one moment.

    Args:
        now_us: the wall clock; what is "ahead" is ahead of it.
    """

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us

    def event(self, name: str, kind: str = ev.ACTION_PERFORMED, /, **changes: Any) -> dict[str, Any]:
        """An event that is right but for the changes; of the data where `data_`; None takes a field away."""
        data: dict[str, Any] = {"tenant": TENANT, "session": "s-1"}
        if kind == ev.ACTION_PERFORMED:
            data |= {"action": "payments.payout.approve", "resource": {"type": "payout", "sensitivity": "critical"}}
        else:
            data |= {"amr": ["hwk"], "credential": "k-1", "change": "created", "approver": "somebody"}
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": name,
            "source": "/app",
            "type": kind,
            "time": format_time(self.now_us - MINUTE_US),
            "subject": name,
            "data": data,
        }
        for field_name, value in changes.items():
            where = data if field_name.startswith("data_") else event
            where[field_name.removeprefix("data_")] = value
        for where in (data, event):
            for absent in [key for key, value in where.items() if value is None]:
                del where[absent]
        return event

    def right(self, name: str, kind: str = ev.ACTION_PERFORMED, /, **changes: Any) -> bytes:
        """The bytes of such an event."""
        return json.dumps(self.event(name, kind, **changes)).encode()

    def all(self) -> list[Poison]:
        """Every kind, each with a name of its own."""
        return [
            *self._no_json(),
            *self._envelopes(),
            *self._times(),
            *self._data(),
            *self._binary(),
            *self._placed(),
            *self._responses(),
        ]

    def _action(self, name: str, error: str, value: bytes | None = None, **changes: Any) -> Poison:
        bad = self.right(name, **changes) if changes else value
        return Poison(name, ACTIONS, error, bad, self.right(name))

    def _evidence(self, name: str, kind: str, error: str, **changes: Any) -> Poison:
        bad, meant = self.right(name, kind, **changes), self.right(name, kind)
        return Poison(name, AUTHENTICATIONS, error, bad, meant)

    def _no_json(self) -> Iterator[Poison]:
        def action(name: str, value: bytes | None) -> Poison:
            return self._action(name, "json", value)

        deep = '{"a":' * 15 + "1" + "}" * 15
        yield action("bad-utf-8", self.right("bad-utf-8")[:-2] + b',"x":"\xff"}}')
        yield action("lone-surrogate", self.right("lone-surrogate")[:-2] + b',"x":"\\ud800"}}')
        yield action("nan", self.right("nan")[:-2] + b',"x":NaN}}')
        yield action("infinity", self.right("infinity")[:-2] + b',"x":Infinity}}')
        yield action("minus-infinity", self.right("minus-infinity")[:-2] + b',"x":-Infinity}}')
        yield self._action("too-large", "json", data_note="x" * (256 * 1024))
        yield action("depth-17", self.right("depth-17")[:-2] + b',"x":' + deep.encode() + b"}}")
        yield action("an-array", b"[1,2]")
        yield action("a-string", b'"stepwatch"')
        yield action("a-number", b"17")
        yield action("json-null", b"null")
        yield action("empty-value", b"")
        yield action("null-value", None)
        yield action("cut-off", self.right("cut-off")[:-20])
        yield action("a-batch", b"[" + self.right("a-batch") + b"," + self.right("a-batch") + b"]")
        yield action("two-lines", self.right("two-lines") + b"\n" + self.right("two-lines"))
        yield action("byte-order-mark", b"\xef\xbb\xbf" + self.right("byte-order-mark"))
        yield action("single-quotes", self.right("single-quotes").replace(b'"', b"'"))

    def _envelopes(self) -> Iterator[Poison]:
        for name in ("id", "source", "type", "time", "subject"):
            yield self._action(f"without-{name}", name, **{name: None})
        yield self._action("id-a-number", "id", id=7)
        yield self._action("source-empty", "source", source="")
        yield self._action("subject-a-list", "subject", subject=["a", "b"])
        yield self._action("foreign-type", "type", type="com.example.thing")

    def _times(self) -> Iterator[Poison]:
        yield self._action("time-in-words", "time", time="yesterday")
        yield self._action("time-without-zone", "time", time="2026-11-24T09:15:02")
        yield self._action("time-before-1970", "time", time="1969-12-31T23:59:59Z")
        yield self._action("time-ahead", "time", time=format_time(self.now_us + 2 * HOUR_US))
        ahead_s = (self.now_us + 2 * HOUR_US) // 1_000_000
        yield self._evidence("auth-time-ahead", ev.STEPUP_VERIFIED, "data.auth_time", data_auth_time=ahead_s)
        yield self._evidence("auth-time-in-words", ev.STEPUP_VERIFIED, "data.auth_time", data_auth_time="now")

    def _data(self) -> Iterator[Poison]:
        yield self._action("data-a-list", "data", data=[])
        yield self._action("wrong-tenant", "data.tenant", data_tenant="a b/c")
        yield self._action("tenant-a-number", "data.tenant", data_tenant=12)
        yield self._action("without-action", "data.action", data_action=None)
        yield self._action("client-a-string", "data.client", data_client="203.0.113.7")
        yield self._action("address-a-number", "data.client.ip", data_client={"ip": 17})
        yield self._action("session-an-object", "data.session", data_session={})
        yield self._evidence("amr-a-string", ev.STEPUP_VERIFIED, "data.amr", data_amr="hwk")
        yield self._evidence("otp-step-a-string", ev.STEPUP_VERIFIED, "data.otp_step", data_otp_step="5")
        yield self._evidence("without-change", ev.CREDENTIAL_CHANGED, "data.change", data_change=None)
        yield self._evidence("without-credential", ev.CREDENTIAL_CHANGED, "data.credential", data_credential=None)
        yield self._evidence("without-approver", ev.APPROVAL_GRANTED, "data.approver", data_approver=None)

    def _binary(self) -> Iterator[Poison]:
        def binary(name: str, error: str, body: bytes | None = None, **changes: bytes | None) -> Poison:
            event = self.event(name)
            data = event.pop("data")
            headers: Headers = [(f"ce_{key}", str(value).encode()) for key, value in event.items()]
            headers = [(key, value) for key, value in headers if key.removeprefix("ce_") not in changes]
            headers += [(f"ce_{key}", value) for key, value in changes.items()]
            value = json.dumps(data).encode() if body is None else body
            return Poison(name, ACTIONS, error, value, self.right(name), headers)

        yield binary("binary-bad-header", "json", source=b"\xff\xfe")
        yield binary("binary-bad-body", "json", body=b"{no json")
        yield binary("binary-without-time", "time", time=None)
        yield binary("binary-empty-type", "type", type=b"")

    def _placed(self) -> Iterator[Poison]:
        """Right events in a wrong place."""
        first = self.event("conflict", data_outcome="failure")
        yield Poison(
            "conflict",
            ACTIONS,
            "conflict",
            json.dumps(first).encode(),
            self.right("conflict", id="conflict-of-its-own"),
        )
        yield Poison("action-among-proofs", AUTHENTICATIONS, "type", self.right("action-among-proofs"), None)
        proof = self.right("proof-among-actions", ev.STEPUP_VERIFIED)
        yield Poison("proof-among-actions", ACTIONS, "type", proof, None)
        moved: Headers = [("stepwatch-moves", b"3")]
        yield Poison("misrouted", ACTIONS, "misrouted", self.right("misrouted"), None, moved, elsewhere=True)
        beat = {"id": "heartbeat", "source": "/feed", "type": ev.HEARTBEAT, "time": "soon"}
        meant = {**beat, "time": format_time(self.now_us)}
        yield Poison("heartbeat", AUTHENTICATIONS, "time", json.dumps(beat).encode(), json.dumps(meant).encode())

    def _responses(self) -> Iterator[Poison]:
        meant = {"id": "r", "alert_id": "al_0", "seen_version": 1, "decision": "note", "by": "me", "at": "now"}

        def response(name: str, error: str, value: bytes) -> Poison:
            return Poison(name, RESPONSES, error, value, json.dumps({**meant, "id": name}).encode())

        yield response("response-cut-off", "json", json.dumps(meant).encode()[:-9])
        yield response("response-undecided", "decision", json.dumps({**meant, "decision": "perhaps"}).encode())
        without = {key: value for key, value in meant.items() if key != "alert_id"}
        yield response("response-to-nothing", "alert_id", json.dumps(without).encode())
