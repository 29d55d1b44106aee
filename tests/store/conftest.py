"""A ClickHouse database for each test: empty, or with our tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from stepwatch.agents.settings import Settings
from stepwatch.store.client import open_client
from stepwatch.store.migrate import migrate
from tests.servers import ClickHouseSettings


def settings_of(clickhouse: ClickHouseSettings) -> Settings:
    """The product's settings for a ClickHouse of the tests."""
    # Typed loosely: pydantic-settings reads `_env_file`, and a text is a secret, where mypy sees fields only.
    build: Any = Settings
    settings: Settings = build(
        _env_file=None,
        clickhouse_url=clickhouse.url,
        clickhouse_user=clickhouse.user,
        clickhouse_password=clickhouse.password,
        clickhouse_database=clickhouse.database,
    )
    return settings


@contextmanager
def emptied(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    """A client whose database is not there, and is there again afterwards."""
    settings = settings_of(clickhouse)
    client = open_client(settings, with_database=False)
    client.command(f"DROP DATABASE IF EXISTS {settings.clickhouse_database} SYNC")
    yield client
    # Other tests of the session find the database as they were promised: there.
    client.command(f"CREATE DATABASE IF NOT EXISTS {settings.clickhouse_database}")
    client.close()


@pytest.fixture
def settings(clickhouse: ClickHouseSettings) -> Settings:
    return settings_of(clickhouse)


@pytest.fixture
def server(clickhouse: ClickHouseSettings) -> Iterator[Client]:
    """A client whose database is not there."""
    with emptied(clickhouse) as client:
        yield client


@pytest.fixture
def db(server: Client, settings: Settings) -> Client:
    """A client whose database has our tables, all empty."""
    migrate(server, settings.clickhouse_database)
    return server
