"""docker-compose.yml fits the Compose specification, our commands and our settings; no engine is asked."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.deploy.compose_schema import Compose, Service

TOP = Path(__file__).resolve().parents[2]
ROLES = ("correlate", "store", "notify", "ingest", "console")
OURS = (*ROLES, "topics")
DASHBOARDS = ("prometheus", "grafana")


@cache
def compose() -> Compose:
    document = yaml.safe_load((TOP / "docker-compose.yml").read_text(encoding="utf-8"))
    return Compose.model_validate({key: value for key, value in document.items() if not key.startswith("x-")})


def service(name: str) -> Service:
    return compose().services[name]


def test_the_file_fits_the_compose_specification_and_has_both_servers_and_every_role() -> None:
    assert set(compose().services) == {"kafka", "clickhouse", *OURS, *DASHBOARDS}


@pytest.mark.parametrize("name", OURS)
def test_the_command_of_each_role_is_a_console_command(name: str) -> None:
    from stepwatch.cli.main import app

    program, *words = service(name).command or []
    assert program == "stepwatch"
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert re.search(rf"Usage: \S+ {' '.join(words)}\b", result.output), result.output


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_a_setting_and_its_value_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from stepwatch.agents.settings import Settings

    variables = {key: _default(str(value)) for key, value in service(name).environment.items()}
    unknown = [v for v in variables if v.removeprefix("STEPWATCH_").lower() not in Settings.model_fields]
    assert unknown == []
    assert all(variable.startswith("STEPWATCH_") for variable in variables)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    settings = Settings(_env_file=None)
    assert settings.kafka_bootstrap == "kafka:9092"
    assert settings.clickhouse_url == "http://clickhouse:8123"


@pytest.mark.parametrize("name", compose().services)
def test_each_image_has_a_pinned_version(name: str) -> None:
    tag = service(name).image.partition(":")[2]
    assert re.match(r"v?\d+\.\d+\.\d+", tag), f"{service(name).image}: a moving tag is another program tomorrow"


def test_our_own_image_has_the_version_of_the_package() -> None:
    version = re.search(r'^version = "(.+)"', (TOP / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version
    assert {service(name).image for name in OURS} == {f"stepwatch:{version[1]}"}


@pytest.mark.parametrize("name", compose().services)
def test_ports_are_open_on_the_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service(name).ports)


@pytest.mark.parametrize("name", compose().services)
def test_whatever_a_service_names_is_there(name: str) -> None:
    for needed, dependency in service(name).depends_on.items():
        assert needed in compose().services
        healthy = dependency.condition == "service_healthy"
        assert not healthy or service(needed).healthcheck, f"{needed} has no health check to wait for"
    for mount in service(name).volumes:
        source = mount.split(":")[0]
        assert (TOP / source).exists() if source.startswith(".") else source in compose().volumes
    build = service(name).build
    assert build is None or (TOP / build.context / build.dockerfile).is_file()


@pytest.mark.parametrize("name", ROLES)
def test_the_health_check_of_a_role_asks_the_port_on_which_it_answers(name: str) -> None:
    role = service(name)
    variable = (
        f"STEPWATCH_{name.upper()}_PORT" if name in ("ingest", "console") else f"STEPWATCH_{name.upper()}_WEB_PORT"
    )
    port = str(role.environment[variable])
    assert role.healthcheck
    assert f"http://127.0.0.1:{port}/readyz" in shlex.join(role.healthcheck.test)
    assert role.ports == [f"127.0.0.1:{port}:{port}"]


@pytest.mark.parametrize("name", ROLES)
def test_a_role_that_ends_is_started_again_and_waits_for_its_topics(name: str) -> None:
    assert service(name).restart == "unless-stopped"
    assert service(name).depends_on["topics"].condition == "service_completed_successfully"


def test_kafka_and_clickhouse_keep_their_data_over_restarts() -> None:
    kept = {service(name).volumes[0].split(":")[0] for name in ("kafka", "clickhouse")}
    assert kept == {"kafka-data", "clickhouse-data"}
    kafka = service("kafka")
    assert kafka.environment["KAFKA_LOG_DIRS"] == kafka.volumes[0].split(":")[1]


def test_store_and_clickhouse_agree_on_user_password_and_database() -> None:
    server, client = service("clickhouse").environment, service("store").environment
    for theirs, ours in [("DB", "DATABASE"), ("USER", "USER"), ("PASSWORD", "PASSWORD")]:
        assert server[f"CLICKHOUSE_{theirs}"] == client[f"STEPWATCH_CLICKHOUSE_{ours}"]


@pytest.mark.parametrize(
    ("name", "setting", "volume"),
    [
        ("ingest", "STEPWATCH_TOKENS_FILE", "tokens"),
        ("console", "STEPWATCH_CONSOLE_USERS_FILE", "console-users"),
    ],
)
def test_who_may_do_what_outlives_the_container_in_a_folder_that_the_image_made_for_its_user(
    name: str, setting: str, volume: str
) -> None:
    folder = Path(str(service(name).environment[setting])).parent
    assert service(name).volumes == [f"{volume}:{folder}"]
    made = re.search(r"--owner stepwatch --mode 0700 ([^\n]*)", (TOP / "deploy" / "Dockerfile").read_text("utf-8"))
    assert made
    assert str(folder) in made[1].split()


def test_the_console_is_started_only_where_it_is_asked_for_since_without_a_user_it_ends() -> None:
    assert [name for name, one in compose().services.items() if "console" in one.profiles] == ["console"]


def _default(value: str) -> str:
    """A value with `${NAME:-default}` replaced by the default, as Compose does where NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
