"""Whatever an end user puts into a request: the action runs, is reported, and two of them are told apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwatch.sdk import Actions, Client, Context, Event, MemoryReporter, Resource, Source, use
from stepwatch.sdk.fitting import CLAIM_MAX, TEXT_MAX, fit_text
from tests.sdk.codes import Desk

BANK = Source("/bank")
HOSTILE = ["\ud800", "x" * 300_000, "é" * TEXT_MAX + "\udfff", "\ud800" * 300_000, "a\0b"]


def reported(**said: Any) -> Event:
    """What is on record of an action with these arguments that was done, reported around it and after it."""
    memory, done = MemoryReporter(), []
    with Actions(memory, BANK).performing("a.b", subject="alice", **said):
        done.append("paid")
    memory.report(BANK.action_performed("a.b", subject="alice", **said))
    assert done == ["paid"]
    first, second = memory.events
    assert first["data"] == second["data"]
    return first


@pytest.mark.parametrize("text", HOSTILE, ids=range(5))
def test_an_id_a_device_or_a_claim_of_any_text_neither_stops_an_action_nor_keeps_it_off_the_record(text: str) -> None:
    client = Client(ip=text, device=text, user_agent=text, country=text)
    event = reported(resource=Resource("payout", text), client=client, token={"sid": text, "amr": [text, "otp"]})
    assert event["data"]["resource"]["type"] == "payout"
    assert event["data"]["token"]["amr"][1] == "otp"
    assert len(event["data"]["resource"]["id"]) == len(event["data"]["client"]["device"]) <= TEXT_MAX


@pytest.mark.parametrize("text", HOSTILE, ids=range(5))
def test_what_the_context_of_the_request_knows_may_be_as_hostile(text: str) -> None:
    memory = MemoryReporter()
    with use(Context(subject="alice", client=Client(device=text))) as context:
        context.fill(token={"scope": text, "aud": [text] * 20})
        memory.report(BANK.action_performed("a.b", subject="alice"))
    assert memory.events[0]["data"]["client"]["device"] == fit_text(text)
    desk = Desk()
    desk.enrolled()
    desk.challenged(client=Client(device=text))
    assert desk.last["data"]["client"]["device"] == fit_text(text)


DEEP: Any = []
for _ in range(2000):
    DEEP = [DEEP]


CLAIMS: list[Any] = [
    *(DEEP, {"roles": ["x" * CLAIM_MAX]}, ["x"] * CLAIM_MAX),
    *({"k": "\ud800"}, object(), 2**70, {"a"}, ["x", 7], float("nan")),
]


@pytest.mark.parametrize("claim", CLAIMS, ids=range(9))
def test_a_claim_of_any_shape_keeps_nothing_off_the_record(claim: Any) -> None:
    assert reported(token={"acr": "phr", "aud": claim})["data"]["token"]["acr"] == "phr"


def test_claims_that_fit_stay_as_they_are() -> None:
    claims = {"acr": "phr", "auth_time": 7, "scope": "x" * CLAIM_MAX, "realm": {"roles": ["a", "b"]}, "ok": True}
    assert reported(token=claims)["data"]["token"] == claims


@pytest.mark.parametrize(("depth", "kept"), [(13, True), (14, False)])
def test_a_claim_is_as_deep_as_an_event_may_be_with_it(depth: int, kept: bool) -> None:
    claim: Any = {}
    for _ in range(depth - 1):
        claim = {"in": claim}
    said = reported(token={"x": claim})["data"]["token"]["x"]
    assert (said == claim) is kept
    assert kept or said.startswith('{"in":{"in":')


@pytest.mark.parametrize("filler", ["x", "é"])
def test_a_text_that_fits_is_the_same_and_one_that_is_longer_by_one_is_cut_and_says_so(filler: str) -> None:
    at, past = filler * TEXT_MAX, filler * (TEXT_MAX + 1)
    assert fit_text(at) is at
    assert (len(fit_text(past)), fit_text(past).count("…sha256:")) == (TEXT_MAX, 1)


@given(st.text(st.characters(codec=None), max_size=12), st.text(st.characters(codec=None), max_size=12))
def test_two_texts_are_never_taken_for_one_and_one_never_for_two(one: str, other: str) -> None:
    cut = [fit_text(text, 48) for text in (one * 5, other * 5)]
    assert (cut[0] == cut[1]) == (one * 5 == other * 5)
    for text in cut:
        assert len(text.encode().decode()) <= 48
