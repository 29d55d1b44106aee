"""TLS to Kafka: who gets in, and what the others are told, live against listeners of each kind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stepwatch.agents.settings import Settings
from tests.live.harness import new_settings
from tests.wire.commands import assert_refused, run
from tests.wire.listeners import Wire
from tests.wire.roads import judged_end_to_end, round_trip

pytestmark = pytest.mark.live


def settings_at(wire: Wire, listener: str, tmp: Path, **changes: Any) -> Settings:
    return new_settings("", tmp, **wire.way_in(listener, **changes))


def test_records_go_out_and_come_back_under_the_right_authority(wire: Wire, tmp_path: Path) -> None:
    asyncio.run(round_trip(settings_at(wire, "TLS", tmp_path)))


def test_a_worker_with_a_certificate_of_its_own_judges_end_to_end(wire: Wire, tmp_path: Path) -> None:
    # The key is under a password, in a file: the longest way that these settings go.
    (tmp_path / "lock").write_text(wire.secrets.lock + "\n")
    own = {"kafka_ssl_key": wire.certificates.locked_key, "kafka_ssl_key_password_file": tmp_path / "lock"}
    said = asyncio.run(judged_end_to_end(settings_at(wire, "MUTUAL", tmp_path, **own), tmp_path))
    assert not wire.secrets.told_by(said)


def test_an_authority_that_did_not_sign_the_brokers_certificate_is_refused(wire: Wire, tmp_path: Path) -> None:
    settings = settings_at(wire, "TLS", tmp_path, kafka_ssl_ca=wire.certificates.stranger)
    words = ("signed by no authority that we trust", "stranger.pem", "STEPWATCH_KAFKA_SSL_CA")
    assert_refused(settings, wire.secrets, *words, role="correlate")


def test_the_systems_authorities_alone_are_refused_with_the_setting_that_names_another(
    wire: Wire, tmp_path: Path
) -> None:
    settings = settings_at(wire, "TLS", tmp_path, kafka_ssl_ca=None)
    words = ("signed by no authority that we trust", "STEPWATCH_KAFKA_SSL_CA is not set")
    assert_refused(settings, wire.secrets, *words)


def test_an_expired_certificate_is_refused(wire: Wire, tmp_path: Path) -> None:
    settings = settings_at(wire, "EXPIRED", tmp_path)
    words = (wire.at("EXPIRED"), "has expired", "renew it at the broker")
    assert_refused(settings, wire.secrets, *words, role="notify")


def test_a_certificate_of_another_host_is_refused(wire: Wire, tmp_path: Path) -> None:
    settings = settings_at(wire, "ELSEWHERE", tmp_path)
    words = ("does not name 127.0.0.1", "STEPWATCH_KAFKA_BOOTSTRAP")
    assert_refused(settings, wire.secrets, *words)


def test_a_certificate_that_does_not_name_the_advertised_host_is_refused(wire: Wire, tmp_path: Path) -> None:
    settings = settings_at(wire, "ADVERTISED", tmp_path)
    words = ("does not name localhost", "advertised.listeners")
    assert_refused(settings, wire.secrets, *words)


def test_a_client_that_shows_no_certificate_is_told_to(wire: Wire, tmp_path: Path) -> None:
    settings = settings_at(wire, "MUTUAL", tmp_path, kafka_ssl_cert=None, kafka_ssl_key=None)
    words = ("wants to see a certificate of ours", "STEPWATCH_KAFKA_SSL_CERT", "STEPWATCH_KAFKA_SSL_KEY")
    assert_refused(settings, wire.secrets, *words, role="correlate")


def test_a_certificate_that_the_broker_does_not_trust_is_named(wire: Wire, tmp_path: Path) -> None:
    files = wire.certificates
    strange = {"kafka_ssl_cert": files.strange_cert, "kafka_ssl_key": files.strange_key}
    settings = settings_at(wire, "MUTUAL", tmp_path, **strange)
    words = ("does not accept our certificate", "strange.pem", "STEPWATCH_KAFKA_SSL_CERT")
    assert_refused(settings, wire.secrets, *words)


def test_a_wrong_password_of_the_key_is_said_and_none_is_asked_for(wire: Wire, tmp_path: Path) -> None:
    locked = {"kafka_ssl_key": wire.certificates.locked_key}
    words = ("client-locked-key.pem", "cannot be used", "STEPWATCH_KAFKA_SSL_KEY_PASSWORD")
    wrong = settings_at(wire, "MUTUAL", tmp_path, **locked, kafka_ssl_key_password=wire.secrets.wrong)
    assert_refused(wrong, wire.secrets, *words, role="correlate")
    none = run(settings_at(wire, "MUTUAL", tmp_path, **locked), "topics check")
    assert none.status == 2
    assert "pass phrase" not in none.out + none.err
    assert all(word in none.err for word in words)


def test_files_that_are_not_there_or_hold_something_else_are_named_with_their_setting(
    wire: Wire, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no certificate")
    for ca in (tmp_path / "absent.pem", tmp_path / "notes.txt"):
        settings = settings_at(wire, "TLS", tmp_path, kafka_ssl_ca=ca)
        words = (f"STEPWATCH_KAFKA_SSL_CA={ca}", "no file of certificates in PEM")
        assert_refused(settings, wire.secrets, *words)


def test_plain_text_at_a_tls_port_is_refused_and_does_not_hang(wire: Wire, tmp_path: Path) -> None:
    settings = settings_at(wire, "TLS", tmp_path, kafka_security_protocol="PLAINTEXT")
    words = ("speaks TLS", "STEPWATCH_KAFKA_SECURITY_PROTOCOL is PLAINTEXT", "set it to SSL")
    assert_refused(settings, wire.secrets, *words, role="correlate")


def test_tls_at_a_plain_text_port_is_refused_and_does_not_hang(wire: Wire, tmp_path: Path) -> None:
    settings = settings_at(wire, "TLS", tmp_path, kafka_bootstrap=wire.at("PLAINTEXT"))
    words = ("speaks plain text", "STEPWATCH_KAFKA_SECURITY_PROTOCOL is SSL", "set it to PLAINTEXT")
    assert_refused(settings, wire.secrets, *words)
