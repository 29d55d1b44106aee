"""Which Kafka and ClickHouse a command talks to: those named, those set, or those of a running `stepwatch up`."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwatch.cli.errors import Misused

if TYPE_CHECKING:
    from stepwatch.agents.settings import Settings
    from stepwatch.embedded.folder import DataFolder
    from stepwatch.embedded.running import Running

PATIENCE_MS = 3000
"""How long a command waits for Kafka: somebody sits before it. A role, which nobody watches, waits longer."""


def read_settings(**changes: Any) -> Settings:
    """The settings of this process, by its environment and `.env`.

    Raises:
        Misused: one is not as it must be; the message names its variable.
    """
    from pydantic import ValidationError

    from stepwatch.agents.settings import Settings

    try:
        return Settings(**changes)
    except ValidationError as refused:
        said = []
        for error in refused.errors(include_url=False):
            name = "STEPWATCH_" + str(error["loc"][0]).upper() if error["loc"] else "settings"
            got = f"; got {error['input']!r}" if error["loc"] and "password" not in name.lower() else ""
            said.append(f"{name}: {error['msg'].removeprefix('Value error, ')}{got}")
        said.append("`stepwatch settings` lists every setting")
        raise Misused("\n".join(said)) from refused


def data_folder(data: Path | None, settings: Settings) -> DataFolder:
    """The folder that is meant: the one named, or else the one set, or else the usual one."""
    from stepwatch.embedded.folder import DataFolder

    if data is None and "data" in settings.model_fields_set:
        data = settings.data_dir
    return DataFolder(data)


def connect(
    data: Path | None = None, bootstrap: str | None = None, *, as_reader: bool = False, patient: bool = False
) -> Settings:
    """The settings of a command that talks to servers.

    Args:
        data: `--data`: the folder of a running `stepwatch up`, and nothing else.
        bootstrap: `--bootstrap`: this Kafka.
        as_reader: where the embedded ClickHouse is meant, as the user who may only read.
        patient: wait for Kafka as long as a role does.

    Raises:
        Misused: a setting is not as it must be.
        EmbeddedError: `data` is given, and nothing runs there.
    """
    from stepwatch.embedded.errors import EmbeddedError
    from stepwatch.embedded.running import running

    settings = read_settings()
    if not patient and "start_timeout_ms" not in settings.model_fields_set:
        settings = settings.model_copy(update={"start_timeout_ms": PATIENCE_MS})
    try:
        found = running(data_folder(data, settings))
    except EmbeddedError:
        if data is not None:
            raise
        found = None
    changes: dict[str, Any] = {}
    if found is not None:
        changes = _of_running(found, settings, by_name=data is not None, as_reader=as_reader)
    if bootstrap is not None:
        changes["kafka_bootstrap"] = bootstrap
    return settings.model_copy(update=changes)


def connect_quietly(data: Path | None = None, bootstrap: str | None = None) -> Settings:
    """The same, for a command in whose output the libraries' words have no place."""
    settings = connect(data, bootstrap)
    quiet_logs(settings)
    return settings


def connect_role(data: Path | None) -> Settings:
    """The settings of a role: as set, or of the `stepwatch up` that runs on `data`; errors as `connect`."""
    return read_settings() if data is None else connect(data, patient=True)


def _of_running(found: Running, settings: Settings, *, by_name: bool, as_reader: bool) -> dict[str, Any]:
    """What a running `stepwatch up` says, where nobody set another server (or its folder was named)."""
    changes: dict[str, Any] = {}
    if by_name or "kafka_bootstrap" not in settings.model_fields_set:
        changes |= embedded_kafka(found.bootstrap)
    if by_name or "clickhouse_url" not in settings.model_fields_set:
        login = (found.reader_user, found.reader_password) if as_reader else (found.user, found.password)
        changes |= embedded_clickhouse(found.url, *login, found.database)
    return changes


def embedded_kafka(bootstrap: str) -> dict[str, Any]:
    """The settings that lead to an embedded Kafka, whatever else was set."""
    return {
        "kafka_bootstrap": bootstrap,
        "kafka_security_protocol": "PLAINTEXT",
        "kafka_replication": 1,
    }


def embedded_clickhouse(url: str, user: str, password: str, database: str) -> dict[str, Any]:
    """The settings that lead to an embedded ClickHouse, whatever else was set."""
    from pydantic import SecretStr

    return {
        "clickhouse_url": url,
        "clickhouse_user": user,
        "clickhouse_password": SecretStr(password),
        "clickhouse_password_file": None,
        "clickhouse_database": database,
    }


def quiet_logs(settings: Settings) -> None:
    """Send what the libraries say to standard error, from warnings on unless somebody set another level."""
    from stepwatch.agents.logs import configure_logs

    if "log_level" in settings.model_fields_set:
        configure_logs(settings)
        return
    configure_logs(settings.model_copy(update={"log_level": "warning"}))
    for name in ("aiokafka", "clickhouse_connect", "urllib3.connectionpool"):
        # They report what they try again as if it were lost; what stays wrong reaches us as an exception.
        logging.getLogger(name).setLevel(logging.CRITICAL)


def trace_wanted() -> bool:
    """Whether somebody asked for everything there is to say."""
    return os.environ.get("STEPWATCH_LOG_LEVEL", "").lower() == "debug"
