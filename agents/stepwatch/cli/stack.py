"""Everything on one machine: both embedded servers, topics, policies and the roles, as `stepwatch up` runs them."""

from __future__ import annotations

import asyncio
import http.client
import secrets
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from pydantic import SecretStr

from stepwatch.agents.policies import policy_paths, read_sets
from stepwatch.agents.policy_publishing import publish_policies
from stepwatch.agents.settings import Role, Settings
from stepwatch.agents.topics import create_topics
from stepwatch.cli.screen import say as say_to_person
from stepwatch.cli.target import data_folder, embedded_clickhouse, embedded_kafka, quiet_logs, read_settings
from stepwatch.embedded import ports
from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.embedded.kafka import EmbeddedKafka
from stepwatch.embedded.supervisor import Supervisor
from stepwatch.streams.sets import load_files

ROLES: tuple[Role, ...] = ("correlate", "store", "notify", "ingest", "console")
_LOOK_S = 0.2
_OURS = (
    *("kafka_bootstrap", "kafka_security_protocol", "kafka_replication"),
    *("clickhouse_url", "clickhouse_user", "clickhouse_password", "clickhouse_password_file", "clickhouse_database"),
    *("data", "policies_dir", "correlate_web_port", "store_web_port", "notify_web_port", "ingest_port"),
    *("console_port", "console_token"),
)
"""The settings that the servers started here decide, whatever the environment says."""


class Stack:
    """The servers and roles of one data folder.

    Attributes:
        folder: the data folder, locked from `start()` to `stop()`.
        kafka, clickhouse: the servers; they have addresses after `start()`.
        supervisor: keeps servers and roles running.
        settings: after `start()`, what the roles connect with.
        env: the same as variables for a child process.
        published: digests of the policy sets that `start()` published.
        policies_known: after `start()`, whether any set was ever applied.
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        policies: Path | None = None,
        apply_now: bool = False,
        base: Settings | None = None,
        say: Callable[[str], None] = say_to_person,
        notices: Callable[[str], None] | None = None,
    ) -> None:
        """A stack that does not run yet.

        Args:
            data: the data folder; None: the one set, or the usual one.
            policies: a folder of policy files to publish; None: none.
            apply_now: they hold at once, without the 11 minutes of notice.
            base: partitions, prefix and log level are taken from it; None: of this process.
            say: takes a line about what the supervisor did.
            notices: takes each line that the notify role prints; called from another thread.
        """
        self.settings = read_settings() if base is None else base
        self.folder = data_folder(data, self.settings)
        self.kafka = EmbeddedKafka(self.folder)
        self.clickhouse = EmbeddedClickHouse(self.folder)
        self.supervisor = Supervisor(self.folder, say=say)
        self.env: dict[str, str] = {}
        self.published: list[str] = []
        self.policies_known = False
        self._policies = policies
        self._apply_now = apply_now
        self._notices = notices
        self._held = ExitStack()

    def start(self) -> None:
        """Start everything; returns when the roles were started (`wait_ready` says when they work).

        Raises:
            PoliciesRefused, PolicyRefused: before anything was started.
            FolderTaken, EmbeddedError, RoleError: nothing is left running.
        """
        files = policy_paths(self._policies) if self._policies is not None else []
        if files:
            load_files(files)
        quiet_logs(self.settings)
        try:
            self._held.enter_context(self.folder.lock())
            for server in (self.kafka, self.clickhouse):
                server.start()
                self.supervisor.watch(server)
            self._set_up(files)
            for role in ROLES:
                argv = [sys.executable, "-m", "stepwatch.cli.main", role]
                self.supervisor.add(role, argv, self.env, lines=self._notices if role == "notify" else None)
            self.supervisor.start()
        except BaseException:
            self.stop()
            raise

    def wait_ready(self, timeout_s: float = 60.0) -> list[str]:
        """Wait until every role does its work.

        Args:
            timeout_s: seconds, at least 0.

        Returns:
            What the others wait for, in words; empty: all work.
        """
        give_up = time.monotonic() + timeout_s
        while (waiting := self._waiting()) and time.monotonic() < give_up:
            time.sleep(_LOOK_S)
        return waiting

    def run(self) -> int | None:
        """Keep everything running until SIGINT or SIGTERM, then stop it; only from the main thread.

        Returns:
            The signal that ended it.
        """
        try:
            return self.supervisor.run()
        finally:
            self._held.close()

    def stop(self) -> None:
        """Stop roles, then servers, and give the folder back; nothing happens if nothing runs."""
        try:
            self.supervisor.stop()
            for server in (self.clickhouse, self.kafka):
                server.stop()
        finally:
            self._held.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def ingest_url(self) -> str:
        """Where the ingest API is, from this machine."""
        return f"http{'s' if self.settings.ingest_tls_cert else ''}://{ports.HOST}:{self.settings.ingest_port}"

    @property
    def console_url(self) -> str:
        """Where the console is, from this machine; with the token that opens it, unless people have passwords."""
        settings = self.settings
        url = f"http{'s' if settings.console_tls_cert else ''}://{ports.HOST}:{settings.console_port}/"
        if settings.console_token is None or settings.console_users_path.exists():
            return url
        return f"{url}sign-in?{urlencode({'token': settings.console_token.get_secret_value()})}"

    def _set_up(self, files: list[Path]) -> None:
        """Settings, topics and policies, once the servers answer."""
        changes: dict[str, Any] = embedded_kafka(self.kafka.bootstrap)
        changes |= embedded_clickhouse(
            self.clickhouse.url, self.clickhouse.user, self.clickhouse.password, self.clickhouse.database
        )
        changes |= {"data": self.folder.path, "policies_dir": None}
        for role in ROLES:
            usual = self.settings.web_port(role)
            if usual is not None:
                name = f"{role}_port" if role in ("ingest", "console") else f"{role}_web_port"
                changes[name] = ports.choose(self.folder, f"{role}_web", usual)
        # Known here already, so that the address which is shown opens it; where people have passwords it opens nothing.
        changes["console_token"] = self.settings.console_token or SecretStr(secrets.token_urlsafe(24))
        self.settings = self.settings.model_copy(update=changes)
        self.env = {f"STEPWATCH_{name.upper()}": self._text(name) for name in _OURS}
        asyncio.run(create_topics(self.settings))
        if files:
            self.published = asyncio.run(publish_policies(self.settings, files, now=self._apply_now))
        self.policies_known = bool(files) or asyncio.run(read_sets(self.settings)) is not None

    def _text(self, name: str) -> str:
        value = getattr(self.settings, name)
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        return "" if value is None else str(value)

    def _waiting(self) -> list[str]:
        waiting = []
        for role in ROLES:
            port = self.settings.web_port(role)
            certs = {"ingest": self.settings.ingest_tls_cert, "console": self.settings.console_tls_cert}
            tls = certs.get(role) is not None
            words = "" if port is None else _not_ready(port, tls=tls)
            waiting += [f"{role}: {line}" for line in words.splitlines()]
        return waiting


def _not_ready(port: int, *, tls: bool) -> str:
    """What a role waits for, by its /readyz; empty: nothing."""
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=2)
    if tls:
        # Its certificate names the host that others know it by; here it is only asked how it is, on loopback.
        connection = http.client.HTTPSConnection(ports.HOST, port, timeout=2, context=ssl._create_unverified_context())
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        words = answer.read().decode(errors="replace").strip()
        return "" if answer.status == 200 else words or f"status {answer.status}"
    except (OSError, http.client.HTTPException):
        return "starting"
    finally:
        connection.close()
