"""The OpenAPI page is true: schemathesis makes requests from it, and every answer is one that it names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from stepwatch.ingest.api import openapi
from tests.live.harness import until, with_topics
from tests.web.api import Api

CHECKS = (content_type_conformance, response_schema_conformance, status_code_conformance)
# A stream has no end, so it is asked by hand below and in test_alerts_live.
SCHEMA = schemathesis.openapi.from_dict(openapi()).exclude(path="/v1/stream")


@pytest.fixture(scope="module")
def api(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A process whose ClickHouse is away."""
    tmp: Path = tmp_path_factory.mktemp("openapi")
    one = Api(kafka, tmp, clickhouse_url="http://127.0.0.1:9")
    asyncio.run(with_topics(one.settings))
    worker = one.start()
    try:
        asyncio.run(until(one.ready, 60, "ready"))
        yield one
    finally:
        worker.stop()


@pytest.mark.live
@SCHEMA.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_answer_to_a_made_up_request_is_one_that_the_page_names(api: Api, case: Any) -> None:
    headers = {"Authorization": f"Bearer {api.secret}"}
    answer = case.call(base_url=f"http://127.0.0.1:{api.settings.ingest_port}", headers=headers)
    case.validate_response(answer, checks=CHECKS, excluded_checks=[not_a_server_error])


@pytest.mark.live
@pytest.mark.parametrize(
    ("query", "last_id", "status"),
    [("?state=closed", "", 400), ("?x=1", "", 400), ("", "7", 400), ("?tenant=b", "", 403)],
)
def test_a_stream_that_cannot_be_is_refused_as_the_page_names_it(
    api: Api, query: str, last_id: str, status: int
) -> None:
    answer = api.ask(f"/v1/stream{query}", Last_Event_ID=last_id)
    assert answer.status == status
    named = openapi()["paths"]["/v1/stream"]["get"]["responses"][str(status)]["content"]
    assert list(named) == [answer.headers["content-type"]]


def test_the_page_says_how_each_parameter_may_be_given() -> None:
    listed = {one["name"]: one for one in openapi()["paths"]["/v1/alerts"]["get"]["parameters"]}
    assert listed["state"]["schema"]["items"]["enum"] == ["open", "acknowledged", "resolved", "all"]
    streamed = {one["name"]: one["in"] for one in openapi()["paths"]["/v1/stream"]["get"]["parameters"]}
    assert streamed == {name: "query" for name in listed if name not in ("limit", "cursor")} | {
        "Last-Event-ID": "header"
    }


def test_every_route_of_the_contract_is_on_the_page_with_its_problems() -> None:
    paths = openapi()["paths"]
    assert set(paths["/v1/events"]["post"]["responses"]) >= {"202", "400", "401", "403", "413", "415", "503"}
    assert set(paths["/v1/assurance/{tenant}/{subject}"]["get"]["responses"]) >= {"200", "401", "403", "503"}
    assert set(paths["/v1/actions/{tenant}/{source}/{id}"]["get"]["responses"]) >= {"200", "401", "403", "404", "503"}
    for word in ("acknowledge", "resolve"):
        decided = paths[f"/v1/alerts/{{id}}/{word}"]["post"]
        assert set(decided["responses"]) >= {"200", "202", "400", "401", "403", "404", "409", "503"}
        assert decided["description"] == "The token must be one that may respond."
    assert list(paths["/v1/stream"]["get"]["responses"]["200"]["content"]) == ["text/event-stream"]
