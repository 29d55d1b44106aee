"""TLS to ClickHouse: the whole road over protected wires, and what is said where TLS does not come about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stepwatch.agents.settings import Settings
from tests.live.harness import new_settings, until
from tests.live.road import POLICY, Role, Town, play, until_judged, verdicts_of
from tests.servers import ClickHouseSettings
from tests.wire.commands import assert_refused, run
from tests.wire.listeners import Wire
from tests.wire.tlsproxy import tls_before

pytestmark = pytest.mark.live
SELECT = ["sql", "select 1"]


@dataclass(frozen=True, slots=True)
class Doors:
    """Ports at which TLS is spoken before the one ClickHouse."""

    right: int
    mutual: int
    expired: int
    elsewhere: int


@pytest.fixture(scope="module")
def doors(wire: Wire, clickhouse: ClickHouseSettings) -> Iterator[Doors]:
    files = wire.certificates
    with ExitStack() as stack:
        yield Doors(
            right=stack.enter_context(tls_before(clickhouse.port, files.server)),
            mutual=stack.enter_context(tls_before(clickhouse.port, files.server, clients_by=files.ca)),
            expired=stack.enter_context(tls_before(clickhouse.port, files.expired)),
            elsewhere=stack.enter_context(tls_before(clickhouse.port, files.elsewhere)),
        )


def settings_at(wire: Wire, clickhouse: ClickHouseSettings, port: int, tmp: Path, **changes: Any) -> Settings:
    """Kafka under SASL and TLS, ClickHouse at one of the doors."""
    values = {
        "clickhouse_url": f"https://127.0.0.1:{port}",
        "clickhouse_ca": wire.certificates.ca,
        "clickhouse_user": clickhouse.user,
        "clickhouse_password": clickhouse.password,
        "clickhouse_database": clickhouse.database,
        "store_web_port": 0,
    }
    return new_settings("", tmp, **wire.way_in("SASLTLS"), **{**values, **changes})


def test_a_verdict_is_read_back_by_sql_over_wires_that_are_all_protected(
    wire: Wire, clickhouse: ClickHouseSettings, doors: Doors, tmp_path: Path
) -> None:
    files = wire.certificates
    ours = {"clickhouse_cert": files.client_cert, "clickhouse_key": files.client_key}
    settings = settings_at(wire, clickhouse, doors.mutual, tmp_path, **ours, log_level="debug")
    assert settings.policies_dir is not None
    (settings.policies_dir / "none.yaml").write_text(POLICY)
    town = Town(21, time.time_ns() // 1000, tenant=f"wire-{settings.prefix}"[:-1])

    async def road() -> None:
        created = run(settings, "topics create")
        assert created.status == 0, created
        roles = [Role(settings, tmp_path / f"{name}.log", name) for name in ("correlate", "store")]
        try:
            await play(settings, town, 40)
            expected = verdicts_of(await until_judged(settings))

            async def stored() -> bool:
                query = f"select count() from audit_current where tenant = '{town.tenant}'"
                asked = run(settings, ["sql", query, "--json"])
                assert asked.status in (0, 2), asked  # 2: the tables are not made yet
                return asked.out.strip() == f'{{"count()":{len(expected)}}}'

            await until(stored, 120, "every verdict in audit_current")
            for role in roles:
                assert role.stop() == 0, role.said
                assert clickhouse.password not in role.said
                assert not wire.secrets.told_by(role.said)
        finally:
            for role in roles:
                role.kill()

    asyncio.run(road())


def test_an_authority_that_did_not_sign_its_certificate_is_refused(
    wire: Wire, clickhouse: ClickHouseSettings, doors: Doors, tmp_path: Path
) -> None:
    strange = settings_at(wire, clickhouse, doors.right, tmp_path, clickhouse_ca=wire.certificates.stranger)
    words = ("signed by no authority that we trust", "stranger.pem", "STEPWATCH_CLICKHOUSE_CA")
    assert_refused(strange, wire.secrets, *words, command=SELECT, role="store")
    none = settings_at(wire, clickhouse, doors.right, tmp_path, clickhouse_ca=None)
    assert_refused(none, wire.secrets, "no authority that we trust", "_CA is unset", command=SELECT)


def test_an_expired_certificate_is_refused(
    wire: Wire, clickhouse: ClickHouseSettings, doors: Doors, tmp_path: Path
) -> None:
    settings = settings_at(wire, clickhouse, doors.expired, tmp_path)
    words = (f"127.0.0.1:{doors.expired}", "has expired", "renew it at the server")
    assert_refused(settings, wire.secrets, *words, command=SELECT, role="store")


def test_a_certificate_of_another_host_is_refused(
    wire: Wire, clickhouse: ClickHouseSettings, doors: Doors, tmp_path: Path
) -> None:
    settings = settings_at(wire, clickhouse, doors.elsewhere, tmp_path)
    words = ("does not name 127.0.0.1", "STEPWATCH_CLICKHOUSE_URL")
    assert_refused(settings, wire.secrets, *words, command=SELECT)


def test_plain_text_at_a_tls_port_and_tls_at_a_plain_text_port_are_refused_and_do_not_hang(
    wire: Wire, clickhouse: ClickHouseSettings, doors: Doors, tmp_path: Path
) -> None:
    plain = settings_at(wire, clickhouse, 0, tmp_path, clickhouse_url=f"http://127.0.0.1:{doors.right}")
    words = ("speaks TLS", "STEPWATCH_CLICKHOUSE_URL begins with http://", "write https://")
    assert_refused(plain, wire.secrets, *words, command=SELECT, role="store")
    secured = settings_at(wire, clickhouse, clickhouse.port, tmp_path)
    words = ("speaks no TLS", "STEPWATCH_CLICKHOUSE_URL begins with https://", "write http://")
    assert_refused(secured, wire.secrets, *words, command=SELECT, role="store")


def test_a_server_that_wants_our_certificate_says_so_and_refuses_a_strange_one(
    wire: Wire, clickhouse: ClickHouseSettings, doors: Doors, tmp_path: Path
) -> None:
    without = settings_at(wire, clickhouse, doors.mutual, tmp_path)
    words = ("wants to see a certificate of ours", "STEPWATCH_CLICKHOUSE_CERT", "STEPWATCH_CLICKHOUSE_KEY")
    assert_refused(without, wire.secrets, *words, command=SELECT, role="store")
    files = wire.certificates
    shown = {"clickhouse_cert": files.strange_cert, "clickhouse_key": files.strange_key}
    strange = settings_at(wire, clickhouse, doors.mutual, tmp_path, **shown)
    words = ("does not accept our certificate", "strange.pem", "STEPWATCH_CLICKHOUSE_CERT")
    assert_refused(strange, wire.secrets, *words, command=SELECT)


def test_a_wrong_password_under_tls_is_refused_and_not_printed(
    wire: Wire, clickhouse: ClickHouseSettings, doors: Doors, tmp_path: Path
) -> None:
    settings = settings_at(wire, clickhouse, doors.right, tmp_path, clickhouse_password=wire.secrets.wrong)
    assert_refused(settings, wire.secrets, "STEPWATCH_CLICKHOUSE_USER", "password", command=SELECT, role="store")


def test_files_that_cannot_be_used_are_named_with_their_setting(
    wire: Wire, clickhouse: ClickHouseSettings, doors: Doors, tmp_path: Path
) -> None:
    files = wire.certificates
    ca = settings_at(wire, clickhouse, doors.right, tmp_path, clickhouse_ca=tmp_path / "absent.pem")
    words = (f"STEPWATCH_CLICKHOUSE_CA={tmp_path / 'absent.pem'}", "No such file")
    assert_refused(ca, wire.secrets, *words, command=SELECT)
    # OpenSSL would ask for the key's password on the terminal.
    locked = {"clickhouse_cert": files.client_cert, "clickhouse_key": files.locked_key}
    key = settings_at(wire, clickhouse, doors.mutual, tmp_path, **locked)
    words = (f"STEPWATCH_CLICKHOUSE_KEY={files.locked_key}", "without a password")
    assert_refused(key, wire.secrets, *words, command=SELECT)
