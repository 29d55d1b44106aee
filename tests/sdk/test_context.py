"""What a request's context fills in, and for whom it must not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from stepwatch.sdk import Client, Context, Event, Source, current, use

BANK = Source("/payments/api")
CLIENT = Client(ip="203.0.113.7")
REQUEST = {"session": "s-81", "root_session": "s-80", "client": CLIENT, "token": {"acr": "phr"}}

FILLED: list[tuple[str, set[str], Callable[[str], Event]]] = [
    ("an action", {"session", "root_session", "client", "token"}, lambda s: BANK.action_performed("a.b", subject=s)),
    ("a proof", {"session", "root_session", "client"}, lambda s: BANK.stepup_verified(subject=s, amr=["otp"])),
    ("a denial", {"session", "root_session", "client"}, lambda s: BANK.stepup_denied(subject=s)),
    ("a login", {"client"}, lambda s: BANK.session_started(subject=s, session="new")),
    ("a revocation", set(), lambda s: BANK.session_revoked(subject=s, session=None)),
    ("a credential", set(), lambda s: BANK.credential_changed(subject=s, credential="k", change="revoked")),
    ("an approval", set(), lambda s: BANK.approval_granted(subject=s, approver="bob")),
]


@pytest.mark.parametrize(("what", "filled", "build"), FILLED, ids=[row[0] for row in FILLED])
@pytest.mark.parametrize("signed_in", [None, "alice"])
def test_the_context_fills_in_what_it_knows_of_whoever_acts(
    what: str, filled: set[str], build: Callable[[str], Event], signed_in: str | None
) -> None:
    without = build("alice")["data"].keys()
    with use(Context(subject=signed_in, **REQUEST)):  # type: ignore[arg-type]
        assert build("alice")["data"].keys() - without == filled


@pytest.mark.parametrize(("what", "filled", "build"), FILLED, ids=[row[0] for row in FILLED])
def test_an_event_about_somebody_else_takes_nothing_from_the_context(
    what: str, filled: set[str], build: Callable[[str], Event]
) -> None:
    without = build("alice")["data"]
    with use(Context(subject="an admin", **REQUEST)):  # type: ignore[arg-type]
        assert build("alice")["data"] == without


def test_what_the_call_says_goes_before_the_context_and_a_root_never_comes_from_another_session() -> None:
    with use(Context(**REQUEST)):  # type: ignore[arg-type]
        event = BANK.action_performed("a.b", subject="alice", session="s-99", client=Client(ip="::1"), token={})
    assert event["data"] == {
        "tenant": "default",
        "action": "a.b",
        "outcome": "success",
        "session": "s-99",
        "client": {"ip": "::1"},
        "token": {},
    }


def test_what_an_inner_layer_learns_is_known_in_the_other_threads_of_the_request() -> None:
    with use(Context()) as context, ThreadPoolExecutor(1) as pool:
        pool.submit(copy_context().run, lambda: current().fill(session="s-81", subject="alice")).result()
        assert context.session == "s-81"
        assert BANK.stepup_denied(subject="alice")["data"]["session"] == "s-81"
    assert current().session is None


def test_of_a_tokens_claims_only_those_that_are_evidence_are_kept() -> None:
    context = Context()
    context.fill(token={"acr": "phr", "amr": ["hwk"], "email": "a@b.example", "access_token": "eyJ..."})
    assert context.token == {"acr": "phr", "amr": ["hwk"]}


@pytest.mark.parametrize("raw", ["eyJhbGciOi.x.y", b"eyJ", 12])
def test_a_raw_token_is_no_claims(raw: Any) -> None:
    with pytest.raises(TypeError, match="expected a mapping of claims"):
        Context().fill(token=raw)
