"""Everything an operator can set, with unit and default (`STEPWATCH_<NAME>` in the environment or `.env`)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from stepwatch.agents.errors import SettingWrong
from stepwatch.agents.kafka_tls import build_ssl_context
from stepwatch.schemas.topics import Topics

Role = Literal["correlate", "store", "notify", "ingest", "console"]


class Settings(BaseSettings):
    """The settings of every role; a role reads those that it needs.

    Each `*_file` names a file that holds a secret (a mounted one, say); it wins over the value itself. A
    secret is never printed: `repr` shows stars.
    """

    model_config = SettingsConfigDict(
        env_prefix="STEPWATCH_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        # What pydantic says of a wrong setting would show all the others beside it, passwords among them.
        hide_input_in_errors=True,
    )

    # Kafka
    kafka_bootstrap: str = Field(
        default="127.0.0.1:9092", description="Kafka brokers to ask first: host:port, comma between."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How connections to Kafka are protected."
    )
    kafka_ssl_ca: Path | None = Field(
        default=None,
        description="PEM file of the authorities that sign the brokers' certificates; none: the system's.",
    )
    kafka_ssl_cert: Path | None = Field(default=None, description="PEM file of our certificate, for mutual TLS.")
    kafka_ssl_key: Path | None = Field(default=None, description="PEM file of our certificate's key.")
    kafka_ssl_key_password: SecretStr | None = Field(default=None, description="Password of that key.")
    kafka_ssl_key_password_file: Path | None = Field(default=None, description="File that holds that password.")
    kafka_ssl_check_hostname: bool = Field(
        default=True, description="Whether a broker's certificate must name the host that we connect to."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="SASL mechanism, where the protocol is SASL_*."
    )
    kafka_sasl_username: str = Field(default="", description="SASL user.")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="SASL password.")
    kafka_sasl_password_file: Path | None = Field(default=None, description="File that holds the SASL password.")
    kafka_replication: int = Field(
        default=1,
        ge=1,
        le=32767,
        description="Replication factor of topics that `stepwatch topics create` creates.",
    )
    prefix: str = Field(
        default="stepwatch.",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="What every topic's, consumer group's and transactional id's name begins with.",
    )
    partitions: int = Field(
        default=4,
        ge=1,
        le=10_000,
        description="Partitions of every topic but `policies`; fixed for ever once data is in them.",
    )
    session_timeout_ms: int = Field(
        default=10_000,
        ge=1000,
        description="How long Kafka waits for a sign of life of a worker before others take over, ms.",
    )
    request_timeout_ms: int = Field(
        default=20_000, ge=1000, description="How long an answer of Kafka is waited for, ms."
    )
    start_timeout_ms: int = Field(
        default=30_000,
        ge=0,
        description="How long a starting role waits for Kafka to come up before it gives up, ms.",
    )
    transaction_timeout_ms: int = Field(
        default=15_000,
        ge=1000,
        description="When Kafka aborts a transaction that its owner neither commits nor aborts, ms.",
    )

    # The correlate role
    policies_dir: Path | None = Field(
        default=None,
        description="Folder of policy files (*.yaml) to publish as a set at start; none: publish nothing.",
    )
    pulse_ms: int = Field(
        default=250,
        ge=10,
        description="At most how often a pulse is written into a quiet partition, ms (contract section 2).",
    )
    batch_records: int = Field(default=4000, ge=1, description="The most records of one topic that a batch holds.")
    native: bool = Field(
        default=True,
        description="Read with the native core where it is installed; off: Python reads every record, at some 5 times "
        "the cost.",
    )
    position_events: int = Field(
        default=20_000,
        ge=1,
        description="Records after which a position is committed though nothing else changed.",
    )
    position_ms: int = Field(
        default=1000,
        ge=1,
        description="Time after which a position is committed though nothing else changed, ms.",
    )
    accept_loss: str = Field(
        default="",
        description="Accepted losses (topic-partition@offset), as a refused take-over names them.",
    )

    deadman_url_file: Path | None = Field(
        default=None,
        description="File that holds a secret address: it is asked while detection goes on, and raises the alarm when "
        "it is not. None: no beats.",
    )
    deadman_every_ms: int = Field(default=60_000, ge=1000, description="How often it is asked, ms.")

    # The notify role
    notify_routes: Path | None = Field(
        default=None, description="Routing file: which alert goes where; none: all of them to standard output."
    )

    # The ingest role
    ingest_host: str = Field(default="127.0.0.1", description="Address on which the ingest API is served.")
    ingest_port: int = Field(
        default=7310, ge=1, le=65535, description="Its port; /healthz, /readyz and /metrics are there too."
    )
    ingest_tls_cert: Path | None = Field(
        default=None, description="PEM file of its certificate; none: plain HTTP, for loopback or behind a proxy."
    )
    ingest_tls_key: Path | None = Field(default=None, description="PEM file of that certificate's key.")
    tokens_file: Path | None = Field(
        default=None, description="File of the API's tokens, hashed; none: tokens.json in the data folder."
    )
    ingest_ack_ms: int = Field(
        default=10_000, ge=10, description="How long a request waits for Kafka's acknowledgement before its 503, ms."
    )
    ingest_head_ms: int = Field(
        default=10_000, ge=10, description="Within which the head of a request must have arrived, ms."
    )
    ingest_body_ms: int = Field(
        default=10_000, ge=10, description="Within which the body of a request must have arrived, ms."
    )
    ingest_idle_ms: int = Field(default=5_000, ge=1000, description="How long a connection may lie idle, ms.")
    ingest_connections: int = Field(default=1000, ge=1, description="The most connections at a time.")
    ingest_held_bytes: int = Field(
        default=64 << 20, ge=1 << 20, description="Bytes of requests under way at a time; beyond them 503."
    )
    assurance_wait_ms: int = Field(
        default=2_000, ge=10, description="How long an answer about assurance waits for what was just reported, ms."
    )
    ingest_respond_ms: int = Field(
        default=10_000,
        ge=10,
        description="How long a decision about an alert waits for its effect, ms; workers note every 5 s what they "
        "have read.",
    )
    ingest_streams: int = Field(default=100, ge=0, description="The most streams of alerts at a time.")
    ingest_beat_ms: int = Field(
        default=15_000, ge=100, description="How often a silent stream of alerts says that it is alive, ms."
    )

    # The console
    console_host: str = Field(default="127.0.0.1", description="Address on which the console is served.")
    console_port: int = Field(default=7320, ge=1, le=65535, description="Its port.")
    console_tls_cert: Path | None = Field(
        default=None, description="PEM file of the console's certificate; none: plain HTTP, or a proxy before it."
    )
    console_tls_key: Path | None = Field(default=None, description="PEM file of that certificate's key.")
    console_users_file: Path | None = Field(
        default=None, description="The password file; none: console-users.json in the data folder."
    )
    console_token: SecretStr | None = Field(
        default=None,
        description="Opens the console where nobody has a password, on loopback only; none: a new one at each start.",
    )
    console_idle_ms: int = Field(
        default=30 * 60_000, ge=1000, description="After which a session that nobody uses ends, ms."
    )
    console_session_ms: int = Field(
        default=12 * 3_600_000, ge=1000, description="How long a session lasts at most, ms."
    )
    console_streams: int = Field(default=200, ge=0, description="The most pages that are kept live at a time.")
    console_connections: int = Field(default=1000, ge=1, description="The most connections at a time.")
    console_workers: str = Field(
        default="",
        description="Metrics pages of correlate workers, http://host:port/metrics, by commas; none: this machine's.",
    )

    # ClickHouse
    clickhouse_url: str = Field(default="http://127.0.0.1:8123", description="ClickHouse HTTP(S) address.")
    clickhouse_database: str = Field(default="stepwatch", description="Database of our tables.")
    clickhouse_user: str = Field(default="default", description="ClickHouse user.")
    clickhouse_password: SecretStr | None = Field(default=None, description="ClickHouse password.")
    clickhouse_password_file: Path | None = Field(default=None, description="File that holds the ClickHouse password.")
    clickhouse_ca: Path | None = Field(
        default=None,
        description="PEM file of the authorities that sign ClickHouse's certificate; none: the system's.",
    )
    clickhouse_cert: Path | None = Field(default=None, description="PEM file of our certificate, for mutual TLS.")
    clickhouse_key: Path | None = Field(default=None, description="PEM file of our certificate's key.")
    clickhouse_verify: bool = Field(default=True, description="Whether ClickHouse's certificate is checked.")
    retention_audit_days: int | None = Field(
        default=None,
        ge=1,
        description="Days that ClickHouse keeps verdicts, by the action's time; whole months go, so up to a month "
        "longer. None: for ever.",
    )
    retention_authentications_days: int | None = Field(
        default=None, ge=1, description="The same of authentications, by their time."
    )
    retention_alerts_days: int | None = Field(
        default=None, ge=31, description="The same of alerts, by their last change; an open one expires after 30 days."
    )
    retention_responses_days: int | None = Field(
        default=None, ge=1, description="The same of what people decided about alerts, by its arrival."
    )
    retention_dead_letters_days: int | None = Field(
        default=None, ge=1, description="The same of dead letters, by when they were set aside."
    )
    retention_client_days: int | None = Field(
        default=None,
        ge=1,
        description="Days after which client_*, user_agent and event_data of verdicts and authentications are emptied; "
        "none: never.",
    )

    # Every role
    data: Path = Field(
        default=Path("~/.local/share/stepwatch"),
        description="Data folder of the embedded servers and of the roles.",
    )
    web_host: str = Field(
        default="127.0.0.1", description="Address on which /healthz, /readyz and /metrics are served."
    )
    correlate_web_port: int | None = Field(
        default=7301, ge=0, le=65535, description="Their port; 0 or none: not served."
    )
    store_web_port: int | None = Field(default=7302, ge=0, le=65535, description="The same, of the store role.")
    notify_web_port: int | None = Field(default=7303, ge=0, le=65535, description="The same, of the notify role.")
    log_format: Literal["console", "json"] = Field(
        default="console", description="Log lines for people or for machines."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.kafka_ssl_cert) != bool(self.kafka_ssl_key):
            raise ValueError("STEPWATCH_KAFKA_SSL_CERT and STEPWATCH_KAFKA_SSL_KEY belong together: set both or none")
        if bool(self.ingest_tls_cert) != bool(self.ingest_tls_key):
            raise ValueError("STEPWATCH_INGEST_TLS_CERT and STEPWATCH_INGEST_TLS_KEY belong together: set both or none")
        if bool(self.console_tls_cert) != bool(self.console_tls_key):
            raise ValueError(
                "STEPWATCH_CONSOLE_TLS_CERT and STEPWATCH_CONSOLE_TLS_KEY belong together: set both or none"
            )
        if self.kafka_security_protocol.startswith("SASL") and not self.kafka_sasl_username:
            raise ValueError(f"STEPWATCH_KAFKA_SASL_USERNAME is needed for {self.kafka_security_protocol}")
        if urlsplit(self.clickhouse_url).password is not None:
            # An address is printed wherever it is spoken of.
            raise ValueError(
                "STEPWATCH_CLICKHOUSE_URL holds a password: leave user and password out of it, and set "
                "STEPWATCH_CLICKHOUSE_USER and STEPWATCH_CLICKHOUSE_PASSWORD"
            )
        return self

    @property
    def topics(self) -> Topics:
        """The names of all topics."""
        return Topics(self.prefix)

    @property
    def tokens_path(self) -> Path:
        """The file of the API's tokens."""
        return self.tokens_file.expanduser() if self.tokens_file is not None else self.data_dir / "tokens.json"

    @property
    def console_users_path(self) -> Path:
        """The console's password file."""
        file = self.console_users_file
        return file.expanduser() if file is not None else self.data_dir / "console-users.json"

    @property
    def data_dir(self) -> Path:
        """The data folder, with `~` expanded."""
        return self.data.expanduser()

    def group(self, role: str) -> str:
        """The consumer group of a role."""
        return self.prefix + role

    def transactional_id(self, partition: int) -> str:
        """The id by which Kafka fences two owners of one partition (DESIGN section 7)."""
        return f"{self.prefix}correlate-{partition}"

    def web_port(self, role: Role) -> int | None:
        """The port of a role's health pages, or None where they are not served."""
        ports = {
            "correlate": self.correlate_web_port,
            "store": self.store_web_port,
            "notify": self.notify_web_port,
            "ingest": self.ingest_port,
            "console": self.console_port,
        }
        return ports[role] or None

    def accepts_loss(self, token: str) -> bool:
        """Whether somebody decided that this loss, in these very words, is accepted."""
        return token in self.accept_loss.split()

    def secret(self, name: str) -> str | None:
        """A secret by its field's name, from its file where one is named.

        Raises:
            SettingWrong: the file named cannot be read as text.
        """
        file: Path | None = getattr(self, name + "_file")
        if file is not None:
            try:
                return file.read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                # Of bytes that are no text the error itself would show some.
                words = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
                raise SettingWrong(f"{_variable(name)}_FILE={file} cannot be read: {words}") from None
        value: SecretStr | None = getattr(self, name)
        return None if value is None else value.get_secret_value()

    def kafka_client_options(self) -> dict[str, Any]:
        """What every aiokafka client is constructed with: addresses, TLS, SASL, time limit.

        Raises:
            SettingWrong: a file that a setting names is not there or not what it must be, or a password is missing.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap,
            "request_timeout_ms": self.request_timeout_ms,
            "security_protocol": self.kafka_security_protocol,
        }
        if self.kafka_security_protocol.endswith("SSL"):
            options["ssl_context"] = build_ssl_context(self)
        if self.kafka_security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.kafka_sasl_mechanism
            options["sasl_plain_username"] = self.kafka_sasl_username
            password = self.secret("kafka_sasl_password")
            if not password:
                raise SettingWrong(
                    f"STEPWATCH_KAFKA_SASL_PASSWORD (or a file that STEPWATCH_KAFKA_SASL_PASSWORD_FILE names) is "
                    f"needed for {self.kafka_security_protocol} as user {self.kafka_sasl_username!r}"
                )
            options["sasl_plain_password"] = password
        return options


def _variable(name: str) -> str:
    return f"STEPWATCH_{name.upper()}"


_NOT_SETTINGS = frozenset({"STEPWATCH_CACHE", "STEPWATCH_SHARED", "STEPWATCH_TEST_DOCKER"})
"""Variables of the embedded servers and of the tests, which no role reads."""


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Names of environment variables that look like settings and are none: most likely misspelt.

    Args:
        names: of the environment.
    """
    known = {f"STEPWATCH_{field.upper()}" for field in Settings.model_fields} | _NOT_SETTINGS
    return sorted(name for name in names if name.startswith("STEPWATCH_") and name.upper() not in known)
