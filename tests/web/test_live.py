"""The role as a process, over real sockets and a real Kafka: what it takes, whom it lets in, what it withstands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwatch.ingest.tokens import revoke_token
from stepwatch.schemas.keys import partition_of
from tests.live.harness import Worker, read, until, with_topics
from tests.servers import KafkaServer
from tests.web.api import Api, event

pytestmark = pytest.mark.live
POLICY = """\
version: 1
policies:
  - id: payout
    match: {action: ["payments.payout.*"]}
    require: {amr_any: [hwk]}
    alert: {grace: 0s}
"""
PAST_MEBIBYTE = (1 << 20) + 1


@contextlib.contextmanager
def serving(api: Api) -> Iterator[Worker]:
    """The process, ready, and stopped at the end."""
    worker = api.start()
    try:
        asyncio.run(until(api.ready, 60, "ready"))
        yield worker
    finally:
        status = worker.stop()
        assert api.secret not in worker.said
    assert status == 0, worker.said


@pytest.fixture(scope="module")
def api(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One that is quick to lose its patience."""
    tmp = tmp_path_factory.mktemp("api")
    one = Api(kafka, tmp, ingest_head_ms=500, ingest_body_ms=500, ingest_idle_ms=1000, ingest_connections=40)
    asyncio.run(with_topics(one.settings))
    with serving(one):
        yield one


def test_what_was_accepted_lies_in_kafka_with_its_key_and_partition_and_no_header(api: Api) -> None:
    answer = api.post(event("k1", subject="kay"), event("k2", "session.started", subject="kay", amr=["hwk"]))
    assert (answer.status, answer.said) == (202, {"accepted": 2, "skipped": 0})
    topics = api.settings.topics
    for topic, id in ((topics.actions, "k1"), (topics.authentications, "k2")):
        (record,) = [r for r in asyncio.run(read(api.settings, topic)) if json.loads(r.value)["id"] == id]
        assert record.key == b"acme/kay"
        assert record.partition == partition_of(record.key, api.settings.partitions)
        assert list(record.headers) == []


def test_of_a_request_with_one_bad_event_none_is_taken(api: Api) -> None:
    answer = api.post(event("n1"), event("n2", action=7), event("n3"))
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert [(error["index"], error["field"]) for error in answer.said["errors"]] == [(1, "data.action")]
    assert answer.said["instance"] == "/v1/events"
    assert b'"n1"' not in b"".join(r.value for r in asyncio.run(read(api.settings, api.settings.topics.actions)))


ROUTES = ("/v1/events", "/v1/assurance/acme/alice", "/v1/actions/acme/%2Fapp/e1")


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("none", (401, 401, 401)),
        ("unknown", (401, 401, 401)),
        ("revoked", (401, 401, 401)),
        ("read", (403, 200, 503)),
        ("post", (202, 403, 403)),
        ("other tenant", (403, 403, 403)),
        ("other source", (403, 200, 503)),
        ("all", (202, 200, 503)),
    ],
)
def test_every_route_answers_each_kind_of_token_as_the_contract_says(
    api: Api, path: str, kind: str, expected: tuple[int, int, int]
) -> None:
    name = f"{kind.replace(' ', '-')}-{ROUTES.index(path)}"
    words: dict[str, dict[str, list[str]]] = {
        "revoked": {},
        "read": {"may": ["read"]},
        "post": {"may": ["post"]},
        "other tenant": {"tenants": ["other"], "may": ["post", "read"]},
        "other source": {"sources": ["/other"], "may": ["post", "read"]},
    }
    token = {"none": "", "unknown": "swt_unknown", "all": api.secret}.get(kind)
    if token is None:
        token = api.token(name, **words[kind])
    if kind == "revoked":
        revoke_token(api.settings.tokens_path, name)
    body = json.dumps(event("t1")).encode() if path == "/v1/events" else None
    answer = api.ask(path, body, token=token)
    # No ClickHouse runs here, so who may ask for a verdict is told so.
    assert answer.status == expected[ROUTES.index(path)]
    assert ("www-authenticate" in answer.headers) == (answer.status == 401)
    assert ("retry-after" in answer.headers) == (answer.status == 503)


def test_the_pages_of_health_need_no_token_and_others_are_problems(api: Api) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"):
        assert api.ask(path, token="").status == 200
    assert api.ask("/v1/nothing", token="").said["status"] == 404
    assert api.ask("/v1/events", token="").headers["allow"] == "POST"
    assert b"stepwatch_ingest_requests_total" in api.ask("/metrics", token="").body


def test_an_application_that_asks_right_after_the_tap_finds_it_and_no_revoked_one(api: Api) -> None:
    for number in range(5):
        api.post(event(f"v{number}", "stepup.verified", subject="ann", amr=["hwk"], credential=f"c{number}"))
        found = api.ask("/v1/assurance/acme/ann?session=s-1").said["verifications"]
        assert [one["verification"] for one in found] == [f"v{n}" for n in range(number, -1, -1)]
    assert found[0]["kind"] == "step_up"
    assert 0 <= found[0]["age_ms"] < 60_000
    api.post(event("r1", "credential.changed", subject="ann", credential="c4", change="revoked"))
    found = api.ask("/v1/assurance/acme/ann").said["verifications"]
    assert [one["verification"] for one in found] == ["v3", "v2", "v1", "v0"]
    assert api.ask("/v1/assurance/acme/ann?session=s-2").said["verifications"] == []
    nobody = api.ask("/v1/assurance/acme/nobody")
    assert (nobody.status, nobody.said["verifications"]) == (200, [])


def test_a_body_of_a_mebibyte_is_read_and_one_byte_more_is_not(api: Api) -> None:
    assert api.ask("/v1/events", b" " * (PAST_MEBIBYTE - 1)).said["detail"] == "the body holds no event"
    assert api.ask("/v1/events", b" " * PAST_MEBIBYTE).status == 413
    assert api.ask("/v1/events", b"{}", Content_Encoding="br").status == 415


def test_a_head_that_comes_too_slowly_is_ended_and_others_are_served_meanwhile(api: Api) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(api.connect()) for _ in range(20)]
        for one in slow:
            one.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        assert api.ask("/healthz", token="").status == 200
        for one in slow:
            assert one.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_comes_too_slowly_is_ended(api: Api) -> None:
    with api.connect() as slow:
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.secret}\r\nContent-Length: 100\r\n\r\n"
        )
        slow.sendall(head.encode() + b"{")
        assert slow.makefile("rb").read().startswith(b"HTTP/1.1 408 ")


def test_a_silent_connection_is_ended(api: Api) -> None:
    with api.connect() as silent:
        assert silent.makefile("rb").read().startswith(b"HTTP/1.1 408 ")


def test_a_flood_of_headers_is_refused_and_others_are_served(api: Api) -> None:
    with api.connect() as flood:
        with contextlib.suppress(ConnectionError):
            flood.sendall(b"GET /healthz HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(10_000)))
        with contextlib.suppress(ConnectionError):
            assert flood.recv(100).startswith(b"HTTP/1.1 400 ")
    assert api.ask("/healthz", token="").status == 200


def test_a_huge_body_is_not_read_to_its_end(api: Api) -> None:
    with api.connect() as huge, contextlib.suppress(ConnectionError):
        head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.secret}\r\n"
        huge.sendall(f"{head}Content-Length: {1 << 40}\r\n\r\n".encode())
        sent = 0
        while sent < 1 << 30:
            huge.sendall(bytes(1 << 20))
            sent += 1 << 20
        pytest.fail("a gibibyte was read")
    assert api.ask("/healthz", token="").status == 200


def test_more_connections_than_there_may_be_are_refused(api: Api) -> None:
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(api.connect()) for _ in range(60)]
        answers = [one.makefile("rb").readline() for one in many]
    assert answers.count(b"HTTP/1.1 503 Service Unavailable\r\n") >= 20
    assert asyncio.run(until(api.ready, 30))


def test_while_kafka_is_away_nothing_is_accepted_and_afterwards_a_repeat_counts_once(
    kafka: str, kafka_server: KafkaServer, tmp_path: Path
) -> None:
    api = Api(kafka, tmp_path, ingest_ack_ms=1500)
    # What no policy matches is not remembered (contract section 3), so of that each copy would have its row.
    (tmp_path / "policies" / "none.yaml").write_text(POLICY)
    asyncio.run(with_topics(api.settings))
    with serving(api):
        first = event("once", subject="bo")
        assert api.post(first).status == 202
        kafka_server.stop()
        try:
            for _ in range(2):
                answer = api.post(first, event("away", subject="bo"))
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert answer.headers["content-type"] == "application/problem+json"
            assert api.ask("/v1/assurance/acme/bo").status == 503
        finally:
            kafka_server.start()
        asyncio.run(until(api.ready, 60, "ready again"))
        assert api.post(first, event("away", subject="bo")).status == 202
        judge = Worker(api.settings, tmp_path / "correlate.log", "stepwatch.cli.main correlate")
        try:

            async def judged() -> list[str]:
                rows = await read(api.settings, api.settings.topics.audit)
                ids = sorted(json.loads(row.value)["action_id"] for row in rows)
                return ids if "away" in ids else []

            assert asyncio.run(until(judged, 60, "judged")) == ["away", "once"]
        finally:
            judge.stop()


def test_a_port_that_is_taken_ends_the_role_in_words(kafka: str, tmp_path: Path) -> None:
    api = Api(kafka, tmp_path)
    with socket.create_server(("127.0.0.1", api.settings.ingest_port)):
        worker = api.start()
        assert worker.wait(60) == 2
    assert "STEPWATCH_INGEST_PORT" in worker.said
