"""Settings -> a clickhouse-connect client, and what its errors mean for whoever inserts or migrates."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httpclient import HttpClient
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from stepwatch.store.tls import build_context, find_tls_refusal

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 60
"""An insert of one batch takes well under a second; a server that takes this long is in trouble."""

# The server's own names (src/Common/ErrorCodes.cpp) for trouble that is not in the rows: it passes by
# itself or after somebody acted on the server. What is in neither list is taken to be about the rows:
# were it not, the row is in dead_letters with its bytes; the other way round one row could stop all
# others for ever.
_PASSES = re.compile(
    r"""
    ABORTED | ALL_CONNECTION_TRIES_FAILED | ALL_REPLICAS_LOST | ASYNC_LOAD_CANCELED |
    ASYNC_LOAD_FAILED | ASYNC_LOAD_WAIT_FAILED | AWS_ERROR | AZURE_BLOB_STORAGE_ERROR |
    CANNOT_ALLOCATE_MEMORY | CANNOT_CLOSE_FILE | CANNOT_CREATE_DIRECTORY | CANNOT_CREATE_FILE |
    CANNOT_FSYNC | CANNOT_OPEN_FILE | CANNOT_READ_FROM_FILE_DESCRIPTOR | CANNOT_READ_FROM_SOCKET |
    CANNOT_SCHEDULE_TASK | CANNOT_STATVFS | CANNOT_WRITE_TO_FILE | CANNOT_WRITE_TO_FILE_DESCRIPTOR |
    CANNOT_WRITE_TO_SOCKET | DEADLOCK_AVOIDED | DNS_ERROR | FAULT_INJECTED | GCP_ERROR |
    HTTP_CONNECTION_LIMIT_REACHED | KEEPER_EXCEPTION | LICENSING_EXCEPTION | MEMORY_LIMIT_EXCEEDED |
    MEMORY_RESERVATION_ACQUISITION_TIMEOUT | MEMORY_RESERVATION_FAILED | MEMORY_RESERVATION_KILLED |
    NETWORK_ERROR | NO_ACTIVE_REPLICAS | NO_AVAILABLE_REPLICA | NO_FREE_CONNECTION | NO_ZOOKEEPER |
    NOT_A_LEADER | NOT_ENOUGH_SPACE | NOT_INITIALIZED | PART_IS_LOCKED | PART_IS_TEMPORARILY_LOCKED
    | POCO_EXCEPTION | QUERY_SLOT_ACQUISITION_TIMEOUT | QUERY_WAS_CANCELLED |
    QUERY_WAS_CANCELLED_BY_CLIENT | QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING | QUOTA_EXCEEDED |
    RECEIVED_ERROR_TOO_MANY_REQUESTS | RESOURCE_LIMIT_EXCEEDED | S3_ERROR | SERVER_OVERLOADED |
    SESSION_IS_LOCKED | SOCKET_TIMEOUT | STD_EXCEPTION | SYSTEM_ERROR | TABLE_IS_BEING_RESTARTED |
    TABLE_IS_PERMANENTLY_READ_ONLY | TABLE_IS_READ_ONLY | TCP_CONNECTION_LIMIT_REACHED |
    TIMEOUT_EXCEEDED | TOO_FEW_LIVE_REPLICAS | TOO_MANY_BYTES | TOO_MANY_MUTATIONS |
    TOO_MANY_PARTITIONS | TOO_MANY_PARTS | TOO_MANY_SIMULTANEOUS_QUERIES | TOO_SLOW |
    TOO_SLOW_PARSING | UNEXPECTED_ZOOKEEPER_ERROR | UNKNOWN_STATUS_OF_INSERT |
    UNKNOWN_STATUS_OF_TRANSACTION | UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE |
    USER_SESSION_LIMIT_EXCEEDED
    """,
    re.X,
)
_SETUP = re.compile(
    r"""
    ACCESS_DENIED | AUTHENTICATION_FAILED | CLIENT_HAS_CONNECTED_TO_WRONG_PORT |
    DATABASE_ACCESS_DENIED | IP_ADDRESS_NOT_ALLOWED | NO_SUCH_COLUMN_IN_TABLE | READONLY |
    READONLY_SETTING | REQUIRED_PASSWORD | REQUIRED_SECOND_FACTOR | SETTING_CONSTRAINT_VIOLATION |
    SUPPORT_IS_DISABLED | SYNTAX_ERROR | TABLE_IS_DROPPED | UNKNOWN_DATABASE | UNKNOWN_FORMAT |
    UNKNOWN_SETTING | UNKNOWN_TABLE | UNKNOWN_USER | USER_EXPIRED | WRONG_PASSWORD
    """,
    re.X,
)

_SERVERS_WORDS = re.compile(r"DB::Exception: (.*)")
_CLIENTS_WORDS = [
    # The client wraps what the system said in a page of its own.
    (re.compile(r"(?:\[Errno -?\d+\] |Error\(\d+, ')([\w ]+)"), r"\1"),
    # Seen on a connection that was made anew; at the start `find_tls_refusal` says more.
    (re.compile(r"certificate verify failed: ([^()]+)"), r"its certificate is refused: \1"),
    (re.compile(r"\(read timeout=(\d+)[^)]*\)"), r"no answer in \1 s"),
    (re.compile(r"\(connect timeout=(\d+)[^)]*\)"), r"no connection in \1 s"),
    (re.compile(r"Remote end closed|Connection aborted|IncompleteRead|_IncompleteResponseError|before the HTTP resp"),
     "it closed the connection before its answer ended"),
    (re.compile(r"HTTP status (\d{3})"), r"HTTP status \1, and no words of ClickHouse's"),
    (re.compile(r"Unexpected response to server version"), "what answers there is not ClickHouse"),
]  # fmt: skip


class Trouble(Enum):
    """What kind of trouble an exception of the client is."""

    AWAY = "away"
    """No answer, or one that a later try need not get: try again."""
    SETUP = "setup"
    """It answers, and refuses us: password, permission, a table that is not there."""
    ROWS = "rows"
    """It answers, and cannot read what we sent."""


class ClickHouseSettings(Protocol):
    """The settings that a connection needs (`stepwatch.agents.settings.Settings` has them)."""

    @property
    def clickhouse_url(self) -> str: ...
    @property
    def clickhouse_user(self) -> str: ...
    @property
    def clickhouse_database(self) -> str: ...
    @property
    def clickhouse_ca(self) -> Path | None: ...
    @property
    def clickhouse_cert(self) -> Path | None: ...
    @property
    def clickhouse_key(self) -> Path | None: ...
    @property
    def clickhouse_verify(self) -> bool: ...
    def secret(self, name: str) -> str | None: ...


class NotClickHouse(ClickHouseError):
    """Something answered, and not as ClickHouse does."""

    code = "not_clickhouse"
    retriable = True
    words = "what answers there is not ClickHouse"


class BadUrl(ValueError):
    """The configured address cannot be one of ClickHouse's HTTP interface."""

    code = "clickhouse_url"
    retriable = False


def client_options(settings: ClickHouseSettings, answer_timeout_s: int = ANSWER_TIMEOUT_S) -> dict[str, Any]:
    """What `clickhouse_connect.get_client` is called with, the database aside.

    With a certificate of ours and no password the certificate is the login; with both, both are sent.

    Raises:
        BadUrl: `clickhouse_url` is not `http://host:port` or `https://host:port`.
    """
    parts = urlsplit(settings.clickhouse_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise BadUrl(
            f"clickhouse_url: expected http://host:port or https://host:port (user and password are settings "
            f"of their own), got {parts.scheme}://{parts.hostname or ''}"
        )
    password = settings.secret("clickhouse_password") or ""
    options: dict[str, Any] = {
        "interface": parts.scheme,
        "host": parts.hostname,
        "port": parts.port or (8443 if parts.scheme == "https" else 8123),
        "proxy_path": parts.path.rstrip("/"),
        "username": settings.clickhouse_user,
        "password": password,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "send_receive_timeout": answer_timeout_s,
        # Retries and their words are ours; a session would let one query at a time through.
        "query_retries": 0,
        "autogenerate_session_id": False,
        "client_name": "stepwatch",
        # On loopback compressing costs more than it saves; a bulk insert asks for it by itself.
        "compress": False,
    }
    if parts.scheme == "https":
        options["verify"] = settings.clickhouse_verify
        if settings.clickhouse_ca:
            options["ca_cert"] = str(settings.clickhouse_ca)
        if settings.clickhouse_cert:
            options["client_cert"] = str(settings.clickhouse_cert)
            options["client_cert_key"] = str(settings.clickhouse_key) if settings.clickhouse_key else None
            options["tls_mode"] = "strict" if password else "mutual"
    return options


def open_client(
    settings: ClickHouseSettings, *, with_database: bool = True, answer_timeout_s: int = ANSWER_TIMEOUT_S
) -> Client:
    """A connected client; the caller closes it. One client serves one thread at a time.

    Args:
        settings: address, user, TLS.
        with_database: False where the database may not be there yet.
        answer_timeout_s: how long the server may stay silent, in whole seconds.

    Raises:
        BadUrl: the address cannot be one.
        TlsRefused: TLS does not come about there.
        Exception: whatever the client raises; `trouble_of` says what kind it is.
    """
    options = client_options(settings, answer_timeout_s)
    database = settings.clickhouse_database if with_database else None
    if options["interface"] == "https":
        build_context(options)
    try:
        return clickhouse_connect.get_client(**options, database=database)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # What the client makes of an answer that it did not expect, such as a page.
        raise NotClickHouse(NotClickHouse.words) from error
    except Exception as error:
        if trouble_of(error) is Trouble.AWAY and not timed_out(error) and (found := find_tls_refusal(options)):
            raise found from error
        raise


def wait_at_most(client: Client, answer_timeout_s: int) -> None:
    """Set how long a client's server may stay silent from its next request on."""
    assert isinstance(client, HttpClient)
    client.timeout = Timeout(connect=CONNECT_TIMEOUT_S, read=answer_timeout_s)


def name_of(error: BaseException) -> str:
    """The server's own name for an error, e.g. `CANNOT_PARSE_DATETIME`; empty where it gave none."""
    found = re.findall(r"\(([A-Z][A-Z0-9_]+)\)", str(error))
    return str(getattr(error, "name", None) or (found[-1] if found else ""))


def trouble_of(error: BaseException) -> Trouble | None:
    """What kind of trouble an exception of the client is; None where it is none of the client's."""
    if isinstance(error, ClickHouseError):
        name = name_of(error)
        # A gate's page about its own trouble may hold such a name too, and says nothing about our rows.
        if not name or not _SERVERS_WORDS.search(str(error)) or _PASSES.fullmatch(name):
            return Trouble.AWAY
        return Trouble.SETUP if _SETUP.fullmatch(name) else Trouble.ROWS
    return Trouble.AWAY if isinstance(error, HTTPError | OSError) else None


def timed_out(error: BaseException) -> bool:
    """Whether a connection was there and the server stayed silent for as long as it may."""
    return "Read timed out" in str(error)


def words_of(error: BaseException) -> str:
    """What the server or the client said, in a line of at most 300 characters, without the server's stack."""
    text = str(error).strip() or type(error).__name__
    found = _SERVERS_WORDS.search(text)
    if found is None:
        for pattern, words in _CLIENTS_WORDS:
            if found := pattern.search(text):
                return found.expand(words)
    line = (found[1] if found else text.splitlines()[0]).partition(" (version ")[0].strip()
    return line if len(line) <= 300 else line[:299] + "…"
