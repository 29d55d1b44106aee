"""Alerts over HTTP, with a real Kafka and a worker that judges: found, decided on, followed."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwatch.ingest.tokens import revoke_token
from stepwatch.schemas.keys import subject_key
from tests.cli.console import ROOT
from tests.live.harness import read, until, with_topics
from tests.live.road import Role
from tests.web.api import POLICY, Answer, Api, event, serving
from tests.web.listening import Listener

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def judged(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, Role]]:
    """The API and a worker; it beats often, and waits briefly for a worker that is not there."""
    tmp = tmp_path_factory.mktemp("alerts")
    one = Api(kafka, tmp, ingest_beat_ms=200, ingest_respond_ms=9000, ingest_streams=3)
    (tmp / "policies" / "none.yaml").write_text(POLICY)
    asyncio.run(with_topics(one.settings))
    worker = Role(one.settings, tmp / "correlate.log", "correlate")
    try:
        with serving(one):
            yield one, worker
    finally:
        worker.kill()


@pytest.fixture(scope="module")
def api(judged: tuple[Api, Role]) -> Api:
    return judged[0]


def alerts_of(api: Api, query: str = "", token: str | None = None) -> list[dict[str, Any]]:
    """The alerts of one page."""
    answer = api.ask("/v1/alerts" + query, token=token)
    assert answer.status == 200, answer.body
    rows: list[dict[str, Any]] = answer.said["alerts"]
    return rows


def alerted(api: Api, subject: str, count: int = 1) -> dict[str, Any]:
    """Let a subject act without proof until its alert has so many actions; returns the alert."""
    assert api.post(event(f"{subject}-{count}", subject=subject)).status == 202

    async def found() -> list[dict[str, Any]]:
        return [row for row in alerts_of(api, f"?subject={subject}") if row["count"] == count]

    (alert,) = asyncio.run(until(found, 60, f"the alert of {subject}"))
    return dict(alert)


def decide(api: Api, alert_id: str, what: str, token: str | None = None, **said: Any) -> Answer:
    body = json.dumps(said).encode()
    return api.ask(f"/v1/alerts/{alert_id}/{what}", body, token, Content_Type="application/json")


def test_alerts_are_listed_by_filters_and_page_by_page_and_each_once(api: Api) -> None:
    ids = {alerted(api, name)["alert_id"] for name in ("lea", "leo", "lou")}
    seen: list[str] = []
    cursor = ""
    while True:
        said = api.ask(f"/v1/alerts?limit=1&kind=unverified_action&policy=payout&severity=high&cursor={cursor}").said
        seen += [row["alert_id"] for row in said["alerts"]]
        cursor = said["next"]
        if not cursor:
            break
    assert said["count"] == len(seen) == len(set(seen))
    assert ids <= set(seen)
    assert alerts_of(api, "?severity=low") == []
    assert alerts_of(api, "?state=resolved&subject=lea") == []
    assert alerts_of(api, "?since=2199-01-01T00:00:00Z") == []


def test_who_acknowledged_and_resolved_when_and_why_is_there_with_the_next_question(api: Api) -> None:
    pager = api.token("pager", may=["respond"])
    alert = alerted(api, "ada")
    done = decide(api, alert["alert_id"], "acknowledge", pager, by="rosa", note="calling her")
    assert (done.status, done.said["state"], done.said["by"]) == (200, "acknowledged", "token:pager/rosa"), done.body
    assert done.said["seen_version"] == alert["version"] < done.said["version"]
    shown = api.ask(f"/v1/alerts/{alert['alert_id']}").said
    assert shown["alert"]["state"] == "acknowledged"
    again = decide(api, alert["alert_id"], "acknowledge", pager)
    assert (again.status, "it is acknowledged already" in again.said["detail"]) == (409, True)

    ended = api.ask(f"/v1/alerts/{alert['alert_id']}/resolve", b"", pager)
    assert (ended.status, ended.said["state"], ended.said["resolved_by"]) == (200, "resolved", "person")
    late = decide(api, alert["alert_id"], "resolve", pager)
    assert (late.status, "it is resolved already by person" in late.said["detail"]) == (409, True)

    shown = api.ask(f"/v1/alerts/{alert['alert_id']}").said
    steps = [(step["what"], step["result"], step["by"], step["note"]) for step in shown["history"]]
    assert [step for step in steps if step[0] == "decision"] == [
        ("decision", "acknowledge", "token:pager/rosa", "calling her"),
        ("decision", "resolve", "token:pager", ""),
    ]
    changes = [step[1] for step in steps if step[0] == "change"]
    assert changes == ["high open", "high acknowledged", "high resolved by person"]
    assert shown["omitted"] == 0
    keys = {record.key for record in asyncio.run(read(api.settings, api.settings.topics.responses))}
    assert subject_key("acme", "ada") in keys


def test_an_alert_of_another_tenant_is_answered_like_one_that_there_is_not(api: Api) -> None:
    other = api.token("other", tenants=["other"], may=["read", "respond"])
    alert_id = alerted(api, "eve")["alert_id"]
    unknown = "al_" + "0" * 32
    for path, body in (("", None), ("/acknowledge", b"{}"), ("/resolve", b"{}")):
        said = [
            api.ask(f"/v1/alerts/{one}{path}", body, other, Content_Type="application/json")
            for one in (alert_id, unknown)
        ]
        assert [answer.status for answer in said] == [404, 404]
        assert said[0].said["detail"].replace(alert_id, unknown) == said[1].said["detail"]
    assert alerts_of(api, token=other) == []
    assert api.ask("/v1/alerts?tenant=acme", token=other).status == 403
    assert api.ask("/v1/stream?tenant=acme", token=other).status == 403
    assert alerts_of(api, "?subject=eve")[0]["state"] == "open"


@pytest.mark.parametrize(
    ("path", "body", "may", "status"),
    [
        ("/v1/alerts", None, ["post", "respond"], 403),
        ("/v1/alerts/al_1", None, ["post", "respond"], 403),
        ("/v1/stream", None, ["post", "respond"], 403),
        ("/v1/alerts/al_1/acknowledge", b"", ["post", "read"], 403),
        ("/v1/alerts/al_1/resolve", b"", ["post", "read"], 403),
        ("/v1/alerts/al_1/resolve", None, ["respond"], 405),
        ("/v1/alerts/al_1/close", b"", ["respond"], 404),
        ("/v1/alerts/al_1/resolve", b"{}", ["respond"], 415),
        ("/v1/alerts?state=closed", None, ["read"], 400),
        ("/v1/stream?since=yesterday", None, ["read"], 400),
    ],
)
def test_a_token_without_the_right_and_a_request_that_is_none_are_problems(
    api: Api, path: str, body: bytes | None, may: list[str], status: int
) -> None:
    # As a file that lists are posted with: no JSON.
    answer = api.ask(path, body, api.token(f"t{len(api.settings.tokens_path.read_text())}", may=may))
    assert (answer.status, answer.said["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_decision_does_not_cover_what_joined_since_and_says_so(api: Api) -> None:
    first = alerted(api, "joe")
    second = alerted(api, "joe", count=2)
    said = decide(api, first["alert_id"], "resolve", seen_version=first["version"])
    assert said.status == 409
    assert f"since version {first['version']}, which you saw, something has joined it" in said.said["detail"]
    early = decide(api, first["alert_id"], "resolve", seen_version=second["version"] + 50)
    assert (early.status, "nobody has seen" in early.said["detail"]) == (400, True)


def test_a_stream_tells_of_each_change_of_the_tokens_tenants_alone(api: Api) -> None:
    with (
        Listener(api, "?subject=sue") as mine,
        Listener(api, token=api.token("far", tenants=["far"], may=["read"])) as others,
    ):
        alert = alerted(api, "sue")
        alerted(api, "sid")
        assert decide(api, alert["alert_id"], "acknowledge").status == 200
        said = [mine.alert(), mine.alert()]
        assert [one["state"] for one in said] == ["open", "acknowledged"]
        assert {one["subject"] for one in said} == {"sue"}
        # What was told to nobody else had been sent by then: its comments come after that.
        others.beat()
        assert others.alerts == []


def test_whoever_comes_back_is_told_what_changed_meanwhile(api: Api) -> None:
    with Listener(api, "?subject=tom") as before:
        alert = alerted(api, "tom")
        assert before.alert()["state"] == "open"
        last = before.last_id
    assert decide(api, alert["alert_id"], "acknowledge").status == 200
    with Listener(api, "?subject=tom", last_id=last) as after:
        assert after.alert()["state"] == "acknowledged"
    with Listener(api, "?subject=tom&since=2199-01-01T00:00:00Z") as later:
        later.beat()
        assert later.alerts == []


def test_a_stream_ends_when_its_token_is_revoked(api: Api) -> None:
    with Listener(api, token=api.token("leaver", may=["read"])) as stream:
        stream.beat()
        revoke_token(api.settings.tokens_path, "leaver")
        stream.until_ended()


def test_who_only_asks_whether_there_is_a_stream_opens_none(api: Api) -> None:
    url = f"http://127.0.0.1:{api.settings.ingest_port}/v1/stream"
    for _ in range(api.settings.ingest_streams + 1):
        head = urllib.request.Request(url, headers={"Authorization": f"Bearer {api.secret}"}, method="HEAD")
        with urllib.request.urlopen(head, timeout=30) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.read() == b""


def test_one_stream_more_than_there_may_be_is_refused_and_one_that_closed_makes_room(api: Api) -> None:
    with Listener(api), Listener(api):
        with Listener(api):
            refused = api.ask("/v1/stream")
            assert (refused.status, refused.headers["retry-after"]) == (503, "30")

        async def room() -> bool:
            try:
                with Listener(api):
                    return True
            except AssertionError:
                return False

        assert asyncio.run(until(room, 30, "room for another"))
    assert b"stepwatch_ingest_streams " in api.ask("/metrics", token="").body


def section() -> str:
    """The lines of the page of the on-call that are about this."""
    page = (ROOT / "agents" / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^### Over HTTP$(.*?)^##", page, re.S | re.M)
    assert found is not None
    return found[1]


def test_the_lines_of_the_page_of_the_on_call_do_what_they_say(api: Api, tmp_path: Path) -> None:
    alert_id = alerted(api, "uma")["alert_id"]
    lines = [line.strip() for line in section().splitlines() if line.startswith("    ")]
    env = {
        "PATH": "/usr/bin:/bin",
        "API": f"http://127.0.0.1:{api.settings.ingest_port}",
        "TOKEN": api.token("page", may=["read", "respond"]),
        "ID": alert_id,
    }
    curls = [line for line in lines if line.startswith("curl")]
    *asked, stream = curls
    answers = []
    for line in asked:
        done = subprocess.run(["sh", "-c", line], env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (line, done.stderr)
        answers.append(json.loads(done.stdout))
    listed, shown, acknowledged, resolved = answers
    assert alert_id in {row["alert_id"] for row in listed["alerts"]}
    assert shown["alert"]["alert_id"] == alert_id
    assert (acknowledged["state"], acknowledged["by"]) == ("acknowledged", "token:page/rosa")
    assert (resolved["state"], resolved["note"]) == ("resolved", "it was her, key forgotten")
    listening = subprocess.Popen(["sh", "-c", f"exec {stream}"], env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert listening.stdout is not None
        assert listening.stdout.readline() == "retry: 3000\n"
    finally:
        listening.kill()
        listening.communicate()
    assert "--may read --may respond" in lines[0]


def test_a_decision_that_no_worker_reads_is_accepted_and_counts_when_one_does(judged: tuple[Api, Role]) -> None:
    api, worker = judged
    alert_id = alerted(api, "zoe")["alert_id"]
    worker.kill()
    said = decide(api, alert_id, "resolve", note="nobody there")
    assert (said.status, said.said["state"]) == (202, "open")
    assert "Kafka has it, but no worker has read it within 9 s" in said.said["words"]
    again = Role(api.settings, worker.log, "correlate")
    try:

        async def over() -> bool:
            return bool(api.ask(f"/v1/alerts/{alert_id}").said["alert"]["state"] == "resolved")

        assert asyncio.run(until(over, 60, "the decision"))
    finally:
        again.kill()
