"""Settings become a connection, and errors become what to do about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from pydantic import SecretStr

from stepwatch.agents.settings import Settings
from stepwatch.embedded import ports
from stepwatch.store.client import BadUrl, NotClickHouse, Trouble, client_options, open_client, trouble_of, words_of
from tests.faults.http_proxy import Fault, HttpProxy, exception, never, reset, says
from tests.servers import ClickHouseSettings


def settings(**values: object) -> Settings:
    build: Any = Settings
    built: Settings = build(_env_file=None, **values)
    return built


def test_the_usual_ports_are_used_where_none_is_given() -> None:
    assert client_options(settings(clickhouse_url="http://ch.example"))["port"] == 8123
    assert client_options(settings(clickhouse_url="https://ch.example"))["port"] == 8443


def test_a_path_in_the_address_is_kept_for_a_proxy() -> None:
    options = client_options(settings(clickhouse_url="https://gate.example:444/clickhouse/"))
    assert (options["host"], options["port"], options["proxy_path"]) == ("gate.example", 444, "/clickhouse")


def test_our_authorities_and_certificate_reach_the_connection() -> None:
    options = client_options(
        settings(
            clickhouse_url="https://ch.example",
            clickhouse_ca=Path("ca.pem"),
            clickhouse_cert=Path("us.pem"),
            clickhouse_key=Path("us.key"),
            clickhouse_verify=True,
        )
    )
    assert (options["ca_cert"], options["client_cert"], options["client_cert_key"]) == (
        "ca.pem",
        "us.pem",
        "us.key",
    )
    assert (options["verify"], options["tls_mode"]) == (True, "mutual")


def test_a_password_beside_a_certificate_is_sent_too() -> None:
    options = client_options(
        settings(
            clickhouse_url="https://ch.example",
            clickhouse_cert=Path("us.pem"),
            clickhouse_password=SecretStr("secret"),
        )
    )
    assert (options["password"], options["tls_mode"]) == ("secret", "strict")


@pytest.mark.parametrize("url", ["ch.example:8123", "tcp://ch.example:9000", "http://", "http://u:secret@ch.example"])
def test_an_address_that_cannot_be_one_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadUrl, match="expected http") as caught:
        # A copy: the settings themselves refuse some of these.
        client_options(settings().model_copy(update={"clickhouse_url": url}))
    assert "secret" not in str(caught.value)


def test_nobody_at_the_address_is_trouble_that_passes() -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 (which class it is, is the client's affair)
        open_client(settings(clickhouse_url=f"http://127.0.0.1:{ports.any_free()}"))
    assert trouble_of(caught.value) is Trouble.AWAY
    assert words_of(caught.value) == "Connection refused"


@pytest.mark.live
def test_a_wrong_password_is_trouble_of_the_setup(clickhouse: ClickHouseSettings) -> None:
    with pytest.raises(DatabaseError) as caught:
        open_client(settings(clickhouse_url=clickhouse.url, clickhouse_user=clickhouse.user, clickhouse_password="no"))
    assert trouble_of(caught.value) is Trouble.SETUP


@pytest.mark.parametrize(
    ("name", "trouble"),
    [
        ("MEMORY_LIMIT_EXCEEDED", Trouble.AWAY),
        ("TOO_MANY_PARTS", Trouble.AWAY),
        ("NOT_ENOUGH_SPACE", Trouble.AWAY),
        ("UNKNOWN_TABLE", Trouble.SETUP),
        ("ACCESS_DENIED", Trouble.SETUP),
        ("CANNOT_PARSE_DATETIME", Trouble.ROWS),
        ("A_NAME_OF_THE_FUTURE", Trouble.ROWS),
    ],
)
def test_the_servers_own_name_says_whose_trouble_it_is(name: str, trouble: Trouble) -> None:
    said = f"Code: 1. DB::Exception: it (IS) so: (at row 3)\n: While executing. ({name}) (version 26.9.2.1)"
    assert trouble_of(DatabaseError(said)) is trouble
    assert words_of(DatabaseError(said)) == "it (IS) so: (at row 3)"


def test_an_answer_that_is_not_of_the_server_passes() -> None:
    assert trouble_of(OperationalError("HTTPDriver returned 502: Bad Gateway")) is Trouble.AWAY


def test_a_gates_page_is_not_about_rows_whatever_it_says_in_brackets() -> None:
    page = DatabaseError("HTTP driver received HTTP status 503, server response: <h1>Busy (OUT_OF_ORDER)</h1>")
    page.name = "OUT_OF_ORDER"
    assert trouble_of(page) is Trouble.AWAY
    assert words_of(page) == "HTTP status 503, and no words of ClickHouse's"


@pytest.mark.parametrize("page", ["<html>back soon</html>", "", "{}"])
def test_something_else_at_the_address_is_said_to_be_something_else(page: str) -> None:
    with HttpProxy(ports.any_free()) as proxy:
        proxy.fault = says(200, page)
        with pytest.raises(Exception) as caught:  # noqa: PT011 (which class it is, is the client's affair)
            open_client(settings(clickhouse_url=proxy.url))
    assert trouble_of(caught.value) is Trouble.AWAY
    assert words_of(caught.value) == NotClickHouse.words


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (never, "no answer in 1 s"),
        (reset, "Connection reset by peer"),
        (says(502, "<html>"), "HTTP status 502, and no words of ClickHouse's"),
        (exception(243, "NOT_ENOUGH_SPACE", "Cannot reserve 1.00 MiB"), "Cannot reserve 1.00 MiB. (NOT_ENOUGH_SPACE)"),
    ],
)
def test_whatever_keeps_a_server_from_answering_passes_and_is_said_in_a_line(fault: Fault, words: str) -> None:
    with HttpProxy(ports.any_free()) as proxy:
        proxy.fault = fault
        with pytest.raises(Exception) as caught:  # noqa: PT011 (which class it is, is the client's affair)
            open_client(settings(clickhouse_url=proxy.url), answer_timeout_s=1)
    assert trouble_of(caught.value) is Trouble.AWAY
    assert words_of(caught.value) == words


def test_an_error_that_is_not_of_the_client_is_nobodys_trouble_here() -> None:
    assert trouble_of(KeyError("x")) is None
