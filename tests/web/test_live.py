"""The role as a process, over real sockets and a real Kafka: what it takes, whom it lets in, what it withstands."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwatch.ingest.tokens import revoke_token
from stepwatch.schemas.keys import partition_of
from tests.live.harness import Worker, produce, read, until, with_topics
from tests.servers import KafkaServer
from tests.store.rows import alert
from tests.web.api import POLICY, Api, event, serving
from tests.web.listening import Listener

pytestmark = pytest.mark.live
PAST_MEBIBYTE = (1 << 20) + 1


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
    assert (answer.status, answer.said) == (202, {"accepted": 2, "skipped": 0, "skipped_types": []})
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


def test_a_file_of_tokens_that_cannot_be_used_is_named_in_the_log_and_to_no_stranger(api: Api) -> None:
    path = api.settings.tokens_path
    path.chmod(0o666)
    try:
        for _ in range(2):
            refused = api.ask("/v1/assurance/acme/alice")
            assert (refused.status, str(path) in refused.said["detail"]) == (503, False)
        ready = api.ask("/readyz", token="")
        assert (ready.status, ready.body) == (503, b"tokens: the file of tokens cannot be used: see the log\n")
    finally:
        path.chmod(0o600)
    assert api.ask("/v1/assurance/acme/alice").status == 200
    assert api.ask("/readyz", token="").body == b"ready\n"
    assert api.said().count(f"nobody is let in: {path}: others may write to it") == 1


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


def problem(client: socket.socket) -> tuple[int, str]:
    """What the server says of a connection of one's own before it ends it."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    assert answer.headers["content-type"] == "application/problem+json"
    said = json.loads(answer.read())
    assert said["status"] == answer.status
    return answer.status, said["detail"]


def test_what_is_no_http_is_told_so_as_a_problem(api: Api) -> None:
    with api.connect() as client:
        client.sendall(b"HELO there\r\n\r\n")
        assert problem(client)[0] == 400


def test_a_head_that_comes_too_slowly_is_ended_and_others_are_served_meanwhile(api: Api) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(api.connect()) for _ in range(20)]
        for one in slow:
            one.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        assert api.ask("/healthz", token="").status == 200
        for one in slow:
            assert problem(one) == (408, "the head of the request did not come in time")


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
            assert problem(flood) == (400, "expected an HTTP/1.1 request with a head of at most 16384 bytes")
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
        answers = [problem(one) for one in many]
    assert answers.count((503, "too many connections are open: repeat the request soon")) >= 20
    assert asyncio.run(until(api.ready, 30))


def test_a_client_of_the_stream_that_stops_reading_is_cut(api: Api) -> None:
    settings, text = api.settings, "x" * 100_000
    versions = itertools.count(1)

    def is_open() -> bool:
        return b"\nstepwatch_ingest_streams 1.0\n" in api.ask("/metrics", token="").body

    async def cut() -> bool:
        # More and more, until no buffer on the way has room.
        values = [alert(next(versions), explanation=text) for _ in range(4)]
        await produce(settings, settings.topics.alerts, 0, [(b"acme/al_1", value) for value in values])
        return not is_open()

    with api.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.secret}\r\n\r\n".encode())
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        assert is_open()
        assert asyncio.run(until(cut, 60, "cut"))


def test_while_kafka_is_away_nothing_is_accepted_and_afterwards_a_repeat_counts_once(
    kafka: str, kafka_server: KafkaServer, tmp_path: Path
) -> None:
    api = Api(kafka, tmp_path, ingest_ack_ms=1500, ingest_beat_ms=500)
    # What no policy matches is not remembered (contract section 3), so of that each copy would have its row.
    (tmp_path / "policies" / "none.yaml").write_text(POLICY)
    asyncio.run(with_topics(api.settings))
    with contextlib.ExitStack() as stack:
        stack.enter_context(serving(api))
        first, other = event("once", subject="bo"), event("away", subject="bo")
        assert api.post(first).status == 202
        listening = stack.enter_context(Listener(api))
        kafka_server.stop()
        try:
            for _ in range(2):
                answer = api.post(first, other)
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert answer.headers["content-type"] == "application/problem+json"
            assert api.ask("/v1/assurance/acme/bo").status == 503
            assert api.ask("/v1/alerts").status == 503
            assert api.ask("/v1/alerts/al_1/resolve", b"").status == 503
            listening.until_ended()
            waiting = api.ask("/readyz", token="")
            assert (waiting.status, kafka.encode() in waiting.body) == (503, False)
        finally:
            kafka_server.start()
        asyncio.run(until(api.ready, 60, "ready again"))

        async def taken() -> bool:
            # A broker with the topics of a whole suite needs a while to lead them all again, and 503 says just that.
            return api.post(first, other).status == 202

        asyncio.run(until(taken, 60, "taken again"))
        judge = Worker(api.settings, tmp_path / "correlate.log", "stepwatch.cli.main correlate")
        try:

            async def judged() -> list[str]:
                rows = await read(api.settings, api.settings.topics.audit)
                ids = sorted(json.loads(row.value)["action_id"] for row in rows)
                return ids if "away" in ids else []

            assert asyncio.run(until(judged, 60, "judged")) == ["away", "once"]
        finally:
            judge.stop()


def test_the_role_ends_well_while_somebody_listens(kafka: str, tmp_path: Path) -> None:
    api = Api(kafka, tmp_path)
    asyncio.run(with_topics(api.settings))
    with contextlib.ExitStack() as stack:
        worker = stack.enter_context(serving(api))
        listening = stack.enter_context(Listener(api))
        worker.process.terminate()
        listening.until_ended()
    assert "stopped" in worker.said


def test_a_port_that_is_taken_ends_the_role_in_words(kafka: str, tmp_path: Path) -> None:
    api = Api(kafka, tmp_path)
    with socket.create_server(("127.0.0.1", api.settings.ingest_port)):
        worker = api.start()
        assert worker.wait(60) == 2
    assert "STEPWATCH_INGEST_PORT" in worker.said
