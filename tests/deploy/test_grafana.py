"""The dashboards are what their source makes, fit Grafana's schema, and ask for what there is."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import clickhouse_connect
import pytest
import yaml
from clickhouse_connect.driver.client import Client
from prometheus_client import REGISTRY

from deploy.grafana.__main__ import FOLDER, texts
from deploy.grafana.panels import sql_of
from stepwatch import agents, notifiers
from stepwatch.embedded import clickhouse_files
from stepwatch.store.answers import ask, read_answer
from stepwatch.store.querybook import questions
from tests.deploy.grafana_schema import Dashboard
from tests.servers import ClickHouseSettings
from tests.store import book_world
from tests.store.conftest import emptied
from tests.store.test_query_book import NOW

GRAFANA = FOLDER.parent
DEPLOY = GRAFANA.parent
DASHBOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
PANELS = [
    pytest.param(panel, id=f"{name}-{panel['title']}")
    for name, one in DASHBOARDS.items()
    for panel in one["panels"]
    if panel["type"] != "row"
]
ASKING_TABLES = [param for param in PANELS if param.values[0]["datasource"]["type"] == "grafana-clickhouse-datasource"]
ASKING_METRICS = [param for param in PANELS if param not in ASKING_TABLES]
BY_TITLE = {one.title: one for one in questions().values()}
TIMELINE = questions()["subject_timeline"].title
"""It needs a tenant and a subject; the others show all."""
SCRAPED_WITH = {"job", "instance", "le"}
BEGIN_MS, END_MS = 1_795_392_000_000, 1_795_564_800_000
"""The world's two days, 2026-11-23 to 2026-11-25, as Grafana writes a period."""


def as_grafana_sends(sql: str, *, tenant: str = "'*'", subject: str = "'alice'") -> str:
    """A query after Grafana and its data source have put in period and variables."""
    begin, end = BEGIN_MS // 1000, END_MS // 1000
    sql = sql.replace("${tenant:singlequote}", tenant).replace("${subject:singlequote}", subject)
    sql = sql.replace("${__from}", str(BEGIN_MS)).replace("${__to}", str(END_MS))
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 >= toDateTime({begin}) AND \1 <= toDateTime({end})", sql)
    return re.sub(r"\$__timeInterval\((\w+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 600 second)", sql)


@pytest.fixture(scope="module")
def analyst(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    """The world of the query book, read as Grafana does: by the user `analyst`."""
    with emptied(clickhouse) as owner:
        book_world.build(owner, clickhouse.database)
        client = clickhouse_connect.get_client(
            host=clickhouse.host, port=clickhouse.port, database=clickhouse.database,
            username=clickhouse.reader_user, password=clickhouse.reader_password,
        )  # fmt: skip
        yield client
        client.close()


def test_the_files_are_what_their_source_makes() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == texts(), (
        "run `python -m deploy.grafana`"
    )


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_fits_grafanas_schema(name: str) -> None:
    one = Dashboard.model_validate(DASHBOARDS[name])
    assert one.uid == name
    ids = [panel.id for panel in one.panels]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_no_panel_lies_on_another_or_leaves_the_page(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_and_asks_a_data_source_that_is_provisioned(panel: dict[str, Any]) -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/stepwatch.yaml").read_text(encoding="utf-8"))
    known = {(one["type"], one["uid"]) for one in provisioned["datasources"]}
    asked = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert {(one["type"], one["uid"]) for one in asked} <= known
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert panel["description"].endswith((".", "`"))


@pytest.mark.live
@pytest.mark.parametrize("panel", ASKING_TABLES)
def test_every_query_of_a_panel_is_answered_by_the_world_of_the_book(analyst: Client, panel: dict[str, Any]) -> None:
    (target,) = panel["targets"]
    tenant = "'acme'" if panel["title"] == TIMELINE else "'*'"
    got = read_answer(analyst.raw_query(as_grafana_sends(target["rawSql"], tenant=tenant), fmt="JSONCompact"))
    assert got.rows, "nothing to see"
    if panel["type"] == "timeseries":
        assert got.names[0] == "time"
        assert got.types[0].startswith("DateTime")
        assert len(got.names) == 3
    if panel["type"] == "stat":
        assert len(got.rows) == len(got.names) == 1
        assert isinstance(got.rows[0][0], int | float)


@pytest.mark.live
@pytest.mark.parametrize(
    "panel", [param for param in ASKING_TABLES if param.values[0]["title"] in BY_TITLE.keys() - {TIMELINE}]
)
def test_a_question_of_the_book_has_its_answer_on_the_dashboard(analyst: Client, panel: dict[str, Any]) -> None:
    question = BY_TITLE[panel["title"]]
    period = {"since": book_world.SINCE, "until": book_world.UNTIL}
    for tenant, sent in {"": "'*'", "acme": "'acme'", "nobody": "'nobody'"}.items():
        known = {one.name for one in question.parameters}
        given = {key: value for key, value in {**period, "tenant": tenant}.items() if key in known}
        wanted = ask(analyst, question, question.bind(given, NOW))
        sql = as_grafana_sends(panel["targets"][0]["rawSql"], tenant=sent)
        settings = {"output_format_json_quote_64bit_integers": 0, "output_format_json_quote_denormals": 0}
        got = read_answer(analyst.raw_query(sql, fmt="JSONCompact", settings=settings))
        assert (got.names, got.rows) == (wanted.names, wanted.rows)


@pytest.mark.live
def test_the_tenants_to_choose_from_are_those_of_the_last_days(analyst: Client) -> None:
    (variable,) = (one for one in DASHBOARDS["stepwatch-analysts"]["templating"]["list"] if one["type"] == "query")
    # The world's day lies where a clock of today need not be.
    sql = variable["query"].replace("now()", "toDateTime('2026-12-01 00:00:00')")
    assert analyst.query(sql).result_rows == [("acme",), ("umbrella",)]


def test_a_parameter_for_which_nothing_stands_is_refused_when_the_dashboard_is_made() -> None:
    with pytest.raises(KeyError, match="session"):
        sql_of(questions()["session_timeline"])


@pytest.mark.parametrize("panel", ASKING_METRICS)
def test_a_panel_asks_only_for_metrics_and_labels_that_a_role_serves(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        named = set(re.findall(r"\bstepwatch_\w+", target["expr"]))
        assert named
        assert named <= set(served())
        have = SCRAPED_WITH.union(*(served()[name] for name in named))
        grouped = {label.strip() for by in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in by.split(",")}
        matched = set(re.findall(r"(\w+)(?:=~?|!=|!~)\"", target["expr"]))
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert grouped | matched <= have
        assert shown <= grouped, "a name is made only of labels by which the panel is grouped"


def test_every_metric_that_an_alarm_speaks_of_is_on_the_dashboard_too() -> None:
    rules = (DEPLOY / "prometheus/stepwatch.rules.yml").read_text(encoding="utf-8")
    spoken = set(re.findall(r"\bstepwatch_\w+", rules))
    shown = set(re.findall(r"\bstepwatch_\w+", json.dumps(DASHBOARDS["stepwatch-operators"])))
    # Of these an alarm says whether; there is nothing to draw.
    assert spoken - shown <= {
        "stepwatch_deadman_missed", "stepwatch_notify_disabled", "stepwatch_policy_sets",
        "stepwatch_pulses_refused_total", "stepwatch_transactions_total",
    }  # fmt: skip


def test_prometheus_itself_takes_every_expression(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on PATH: make test-tools")
    exprs = [target["expr"] for param in ASKING_METRICS for target in param.values[0]["targets"]]
    rules = [
        {"record": f"panel:{place}", "expr": expr.replace("$__rate_interval", "1m")} for place, expr in enumerate(exprs)
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_provisioning_names_folders_hosts_and_users_of_the_compose_file() -> None:
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    mounted = dict(mount.split(":")[:2] for mount in compose["grafana"]["volumes"])
    assert (
        mounted["./deploy/grafana/dashboards"]
        == yaml.safe_load((GRAFANA / "provisioning/dashboards/stepwatch.yaml").read_text(encoding="utf-8"))[
            "providers"
        ][0]["options"]["path"]
    )
    prometheus, tables = yaml.safe_load(
        (GRAFANA / "provisioning/datasources/stepwatch.yaml").read_text(encoding="utf-8")
    )["datasources"]
    assert prometheus["url"] == "http://prometheus:9090"
    assert tables["jsonData"]["host"] in compose
    assert tables["jsonData"]["username"] == clickhouse_files.READER
    variable = tables["secureJsonData"]["password"].removeprefix("$")
    assert compose["grafana"]["environment"][variable] == compose["clickhouse"]["environment"][variable]
    assert compose["grafana"]["environment"]["GF_PLUGINS_PREINSTALL_SYNC"].startswith(tables["type"] + "@")


def test_the_reader_of_the_compose_file_has_the_limits_of_the_embedded_one(tmp_path: Path) -> None:
    ours = ElementTree.parse(DEPLOY / "clickhouse/analyst.xml").getroot()
    clickhouse_files.write_config(tmp_path, port=1, log=tmp_path / "log", keeper="x")
    embedded = ElementTree.parse(tmp_path / "users.xml").getroot()

    def said(element: ElementTree.Element | None) -> dict[str, Any]:
        assert element is not None
        return {one.tag: (one.text or "").strip() or said(one) for one in element}

    assert said(ours.find("profiles/analyst")) == said(embedded.find("profiles/reader"))
    assert [one.text for one in ours.iterfind("users/analyst/grants/query")] == [
        one.text for one in embedded.iterfind("users/analyst/grants/query")
    ]
    password = ours.find("users/analyst/password")
    assert password is not None
    assert password.attrib == {"from_env": "STEPWATCH_ANALYST_PASSWORD"}


@cache
def served() -> dict[str, set[str]]:
    """Every name of a series of ours, with its labels."""
    importlib.import_module("stepwatch.ingest.metrics")
    for room in (agents, notifiers):
        for module in pkgutil.iter_modules(room.__path__):
            importlib.import_module(f"{room.__name__}.{module.name}")
    return {
        name: set(getattr(metric, "_labelnames", ())) for name, metric in list(REGISTRY._names_to_collectors.items())
    }
