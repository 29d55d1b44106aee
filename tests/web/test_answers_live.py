"""The role with a real ClickHouse: the verdict of an action; and with a certificate: TLS, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from stepwatch.agents.errors import SettingWrong
from stepwatch.agents.surroundings import check_page
from stepwatch.ingest.gate import need_files
from tests.live.harness import until, with_topics
from tests.live.road import Role
from tests.servers import ClickHouseSettings
from tests.web.api import POLICY, Api, event, serving
from tests.wire.certificates import Certificates, make_certificates

pytestmark = pytest.mark.live


def test_the_verdict_of_an_action_is_answered_with_its_revisions_and_an_unknown_one_is_not(
    kafka: str, clickhouse: ClickHouseSettings, tmp_path: Path
) -> None:
    api = Api(
        kafka,
        tmp_path,
        clickhouse_url=clickhouse.url,
        clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,
        clickhouse_database=clickhouse.database,
    )
    (tmp_path / "policies" / "none.yaml").write_text(POLICY)
    asyncio.run(with_topics(api.settings))
    roles = [Role(api.settings, tmp_path / f"{name}.log", name) for name in ("correlate", "store")]
    # The tables are shared with other tests: an id of our own.
    name = f"{api.settings.prefix}po/1"
    path = f"/v1/actions/acme/%2Fapp/{name.replace('/', '%2F')}"

    async def said(verdict: str) -> bool:
        answer = api.ask(path)
        return answer.status == 200 and bool(answer.said["verdict"] == verdict)

    try:
        with serving(api):
            proof = event("proof", "stepup.verified", amr=["hwk"])
            assert api.post(event(name)).status == 202
            asyncio.run(until(lambda: said("unverified"), 60, "the first verdict"))
            # Of before the action, and late.
            assert api.post(proof).status == 202
            asyncio.run(until(lambda: said("verified"), 60, "the second verdict"))
            answer = api.ask(path).said
            assert (answer["tenant"], answer["source"], answer["id"]) == ("acme", "/app", name)
            revisions = [(one["revision"], one["verdict"], one["reason"]) for one in answer["revisions"]]
            assert revisions == [(1, "unverified", "no_step_up"), (2, "verified", "step_up")]
            assert answer["revisions"][1]["verification"] == "proof"
            unknown = api.ask(path + "x")
            assert (unknown.status, unknown.headers["content-type"]) == (404, "application/problem+json")
            assert "was it reported under this id and source?" in unknown.said["detail"]
    finally:
        for role in roles:
            role.kill()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "client", "lock")


def test_with_a_certificate_events_are_taken_over_tls_and_plain_http_is_not_answered(
    kafka: str, tmp_path: Path, certificates: Certificates
) -> None:
    (tmp_path / "ca.pem").write_bytes(certificates.ca.read_bytes())
    api = Api(kafka, tmp_path, ingest_tls_cert=certificates.server, ingest_tls_key=certificates.server)
    asyncio.run(with_topics(api.settings))
    with serving(api):
        assert api.post(event("t1")).status == 202
        port = api.settings.ingest_port
        page = check_page("ingest", "127.0.0.1", port, expected=True, tls=True)
        assert (page.do, page.words) == ("", f"ready, says https://127.0.0.1:{port}/readyz")
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30)


def test_silent_clients_do_not_shut_others_out_of_tls(kafka: str, tmp_path: Path, certificates: Certificates) -> None:
    (tmp_path / "ca.pem").write_bytes(certificates.ca.read_bytes())
    api = Api(
        kafka,
        tmp_path,
        ingest_tls_cert=certificates.server,
        ingest_tls_key=certificates.server,
        ingest_connections=50,
        ingest_head_ms=500,
    )
    asyncio.run(with_topics(api.settings))
    with serving(api) as worker, contextlib.ExitStack() as stack:
        resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE, (256, 256))
        silent = [stack.enter_context(api.connect()) for _ in range(300)]
        # Its own patience is a minute, and 30 s is ours: every one is ended by the limit of the head, or at once.
        for one in silent:
            with contextlib.suppress(ConnectionError):
                assert one.recv(1) == b""
        assert asyncio.run(until(api.ready, 30, "served again"))
        assert "no connection can be let in" not in worker.said


def test_a_process_asks_for_the_files_that_its_connections_need_and_refuses_what_it_cannot_get() -> None:
    before = _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        need_files(500, "STEPWATCH_INGEST_CONNECTIONS")
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (628, hard)
        need_files(400, "STEPWATCH_INGEST_CONNECTIONS")
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (628, hard)
        with pytest.raises(SettingWrong, match=f"STEPWATCH_INGEST_CONNECTIONS={hard} needs {hard + 128} open files"):
            need_files(hard, "STEPWATCH_INGEST_CONNECTIONS")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("key", ["strange_key", "locked_key", "ca"])
def test_a_key_that_is_not_the_certificates_ends_the_role_in_words(
    tmp_path: Path, certificates: Certificates, key: str
) -> None:
    named = getattr(certificates, key)
    api = Api("127.0.0.1:1", tmp_path, policies_dir=None)
    changes = {"ingest_tls_cert": certificates.client_cert, "ingest_tls_key": named}
    api.settings = api.settings.model_copy(update=changes)
    worker = api.start()
    assert worker.wait(60) == 2
    assert f"STEPWATCH_INGEST_TLS_KEY={named} cannot be used" in worker.said
    assert "a certificate and its own key in PEM, the key without a password" in worker.said
