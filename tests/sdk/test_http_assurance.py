"""Assurance asked of the server: what it says is believed, and where it cannot be known a proof is demanded."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from stepwatch.embedded import ports
from stepwatch.schemas.times import SECOND_US, parse_time
from stepwatch.sdk.assurance import Proof
from stepwatch.sdk.http_assurance import AssuranceUnknown, HttpAssurance
from stepwatch.sdk.stepup import StepUpNeed, require_step_up
from tests.sdk.codes import START_US
from tests.sdk.stand import Stand, problem, status

TOKEN = "tok-0123456789"
TAP: dict[str, Any] = {
    "verification": "v-7",
    "kind": "step_up",
    "at": "2026-01-01T00:00:00.000000Z",
    "time": "2026-01-01T00:00:01.500000Z",
    "age_ms": 1200,
    "amr": ["hwk", "user"],
    "acr": "phr",
    "session": "s-1",
    "root_session": "r-1",
    "bound_action": "a.b",
    "transaction": "sha256:1",
    "credential": "c-1",
    "source": "/idp",
}


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand() as stand:
        yield stand


def said(*verifications: Any, **more: Any) -> Any:
    body = {"tenant": "acme", "subject": "alice", "as_of": TAP["time"], "verifications": verifications, **more}
    return lambda events: (200, {"Content-Type": "application/json"}, json.dumps(body).encode())


def asked(assurance: HttpAssurance) -> StepUpNeed:
    return require_step_up(
        "a.b",
        max_age="5m",
        subject="alice",
        session="s-1",
        tenant="acme",
        assurance=assurance,
        now=lambda: START_US + 60 * SECOND_US,
    )


def test_every_field_of_a_verification_is_in_the_proof(stand: Stand) -> None:
    stand.answers.append(said(TAP))
    time_us = parse_time(TAP["time"])
    assert time_us is not None
    assert HttpAssurance(stand.url, token=TOKEN).proofs("acme", "alice") == (
        Proof(
            verification="v-7",
            kind="step_up",
            at_us=START_US,
            time_us=time_us,
            amr=("hwk", "user"),
            acr="phr",
            session="s-1",
            root_session="r-1",
            bound_action="a.b",
            transaction="sha256:1",
            credential="c-1",
        ),
    )


def test_texts_that_are_missing_are_empty_and_fields_of_a_newer_server_are_passed_over(stand: Stand) -> None:
    bare = {name: TAP[name] for name in ("verification", "kind", "at", "time")}
    stand.answers.append(said({**bare, "kind": "login", "mood": 7}, {**TAP, "kind": "hunch"}, more=1))
    (proof,) = HttpAssurance(stand.url, token=TOKEN).proofs("acme", "alice")
    assert (proof.kind, proof.amr, proof.session, proof.acr) == ("login", (), "", "")


def test_a_subject_may_hold_anything_and_the_token_goes_with_it(stand: Stand) -> None:
    stand.answers.append(said())
    assert HttpAssurance(stand.url, token=TOKEN).proofs("acme", "arn:aws/a b?ü#") == ()
    (request,) = stand.requests
    assert request.path == "/v1/assurance/acme/arn%3Aaws%2Fa%20b%3F%C3%BC%23"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("tenant", "subject", "path"),
    [("acme", "..", "acme/%2E%2E"), ("acme", ".", "acme/%2E"), ("..", "bob", "%2E%2E/bob"), ("a..b", "...", None)],
)
def test_a_name_of_dots_is_no_folder_above(stand: Stand, tenant: str, subject: str, path: str | None) -> None:
    stand.answers.append(said())
    assert HttpAssurance(stand.url, token=TOKEN).proofs(tenant, subject) == ()
    (request,) = stand.requests
    assert request.path == f"/v1/assurance/{path or 'a..b/%2E%2E%2E'}"


def test_a_proof_of_another_process_lets_an_action_pass(stand: Stand) -> None:
    assurance = HttpAssurance(stand.url, token=TOKEN)
    stand.answers.append(said())
    assert asked(assurance).lacking == "no_step_up"
    stand.answers[0] = said(TAP)
    assert asked(assurance).verification == "v-7"


UNKNOWN: list[tuple[str, Any]] = [
    ("answered 503", status(503, Retry_After="5")),
    ("answered 401", lambda events: problem(401, [], detail="no such token")),
    ("answered 404", status(404)),
    ("answered 302", status(302, Location="/elsewhere")),
    ("no assurance", lambda events: (200, {}, b"<html>")),
    ("no assurance", lambda events: (200, {}, b'{"verifications": null}')),
    ("at: expected", said({**TAP, "at": "yesterday"})),
    ("no assurance", said({"kind": "step_up"})),
    ("Remote end closed", lambda events: None),
]


@pytest.mark.parametrize(("words", "answer"), UNKNOWN, ids=[f"{n}-{row[0]}" for n, row in enumerate(UNKNOWN)])
def test_where_it_cannot_be_known_a_proof_is_demanded_and_the_reason_is_said(
    stand: Stand, words: str, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stand.answers.append(answer)
    assurance = HttpAssurance(stand.url, token=TOKEN)
    need = asked(assurance)
    assert (need.required, need.lacking) == (True, "unknown")
    assert words in caplog.text
    assert TOKEN not in caplog.text + repr(assurance)
    with pytest.raises(AssuranceUnknown, match=words):
        assurance.proofs("acme", "alice")


def test_a_server_that_hangs_holds_an_action_up_for_the_timeout_only(stand: Stand) -> None:
    stand.hold = threading.Event()
    assurance = HttpAssurance(stand.url, token=TOKEN, timeout_s=0.05)
    with pytest.raises(AssuranceUnknown, match="timed out"):
        assurance.proofs("acme", "alice")


def test_a_server_that_is_away_is_unknown_too() -> None:
    with pytest.raises(AssuranceUnknown, match="Connection refused"):
        HttpAssurance(f"http://{ports.HOST}:{ports.any_free()}", token=TOKEN).proofs("acme", "alice")


def test_many_threads_may_ask_at_once(stand: Stand) -> None:
    stand.answers.append(said(TAP))
    assurance = HttpAssurance(stand.url, token=TOKEN, timeout_s=10)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(assurance.proofs("acme", "alice")))) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 30


FORKS = """
import os, sys
from stepwatch.sdk.http_assurance import HttpAssurance
assurance = HttpAssurance(sys.argv[1], token="t", timeout_s=10)
assurance.proofs("acme", "alice")
child = os.fork()
assurance.proofs("acme", "bob")
assurance.proofs("acme", "bob")
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_has_a_connection_of_its_own(stand: Stand) -> None:
    stand.answers.append(said(TAP))
    subprocess.run([sys.executable, "-c", FORKS, stand.url], timeout=60, check=True)
    times = Counter(request.client_port for request in stand.requests)
    assert sorted(times.values()) == [2, 3]


@pytest.mark.parametrize(
    ("name", "wrong"), [("url", {"url": "localhost"}), ("token", {"token": ""}), ("timeout_s", {"timeout_s": 0})]
)
def test_a_wrong_argument_is_named(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        HttpAssurance(**{"url": "https://localhost:7310", "token": TOKEN, **wrong})
