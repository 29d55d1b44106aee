"""SASL to Kafka: each mechanism, each way to be refused, and a password that is printed nowhere."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from stepwatch.agents.settings import Settings
from tests.live.harness import new_settings
from tests.wire.commands import assert_refused, run
from tests.wire.listeners import INSIDER, MECHANISMS, Wire
from tests.wire.roads import judged_end_to_end, round_trip

pytestmark = pytest.mark.live


def settings_at(wire: Wire, listener: str, tmp: Path, **changes: Any) -> Settings:
    return new_settings("", tmp, **wire.way_in(listener, **changes))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_each_mechanism_lets_records_through_in_plain_text_and_under_tls(
    wire: Wire, tmp_path: Path, mechanism: str
) -> None:
    for listener in ("SASL", "SASLTLS"):
        asyncio.run(round_trip(settings_at(wire, listener, tmp_path, kafka_sasl_mechanism=mechanism)))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_worker_judges_end_to_end_under_tls_and_prints_no_password(
    wire: Wire, tmp_path: Path, mechanism: str
) -> None:
    settings = settings_at(wire, "SASLTLS", tmp_path, kafka_sasl_mechanism=mechanism)
    said = asyncio.run(judged_end_to_end(settings, tmp_path))
    assert "starting" in said
    assert not wire.secrets.told_by(said)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_is_refused_at_once_and_not_printed(wire: Wire, tmp_path: Path, mechanism: str) -> None:
    wrong = {"kafka_sasl_password": wire.secrets.wrong, "kafka_sasl_mechanism": mechanism}
    settings = settings_at(wire, "SASLTLS", tmp_path, **wrong)
    words = (
        f"does not let user '{INSIDER}' in with that password",
        "STEPWATCH_KAFKA_SASL_PASSWORD",
        f"STEPWATCH_KAFKA_SASL_MECHANISM={mechanism}",
    )
    assert_refused(settings, wire.secrets, *words, role="correlate")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_an_unknown_user_is_refused_with_the_setting_that_names_one(wire: Wire, tmp_path: Path, mechanism: str) -> None:
    nobody = {"kafka_sasl_username": "nobody", "kafka_sasl_mechanism": mechanism}
    settings = settings_at(wire, "SASL", tmp_path, **nobody)
    words = ("does not let user 'nobody' in", "STEPWATCH_KAFKA_SASL_USERNAME")
    assert_refused(settings, wire.secrets, *words)


def test_a_client_without_a_user_is_told_that_one_is_asked_for(wire: Wire, tmp_path: Path) -> None:
    for listener, protocol in (("SASL", "PLAINTEXT"), ("SASLTLS", "SSL")):
        settings = settings_at(wire, listener, tmp_path, kafka_security_protocol=protocol)
        words = ("asks for a user and a password", f"set it to SASL_{protocol}", "STEPWATCH_KAFKA_SASL_USERNAME")
        assert_refused(settings, wire.secrets, *words)


def test_a_password_is_not_sent_to_a_port_that_asks_for_none_or_speaks_another_language(
    wire: Wire, tmp_path: Path
) -> None:
    for listener, protocol, does, want in (
        ("TLS", "SASL_SSL", "asks for no user and password", "SSL"),
        ("SASLTLS", "SASL_PLAINTEXT", "speaks TLS", "SASL_SSL"),
        ("SASL", "SASL_SSL", "speaks plain text", "SASL_PLAINTEXT"),
    ):
        settings = settings_at(wire, "SASLTLS", tmp_path, kafka_security_protocol=protocol)
        settings = settings.model_copy(update={"kafka_bootstrap": wire.at(listener)})
        words = (does, f"STEPWATCH_KAFKA_SECURITY_PROTOCOL is {protocol}", f"set it to {want},")
        assert_refused(settings, wire.secrets, *words)


def test_a_missing_password_is_said_before_anybody_is_asked(wire: Wire, tmp_path: Path) -> None:
    settings = settings_at(wire, "SASL", tmp_path, kafka_sasl_password=None)
    words = ("STEPWATCH_KAFKA_SASL_PASSWORD", f"is needed for SASL_PLAINTEXT as user '{INSIDER}'")
    assert_refused(settings, wire.secrets, *words, role="correlate")
    absent = settings_at(wire, "SASL", tmp_path, kafka_sasl_password_file=tmp_path / "absent")
    words = (f"STEPWATCH_KAFKA_SASL_PASSWORD_FILE={tmp_path / 'absent'}", "No such file")
    assert_refused(absent, wire.secrets, *words, role="correlate")


def test_no_password_is_shown_by_the_list_of_settings_nor_by_their_refusal(wire: Wire, tmp_path: Path) -> None:
    known = wire.secrets
    settings = settings_at(wire, "SASL", tmp_path, kafka_ssl_key_password=known.lock)
    in_address = {"STEPWATCH_CLICKHOUSE_URL": f"http://someone:{known.wrong}@127.0.0.1:8123"}
    assert not known.told_by(repr(settings) + str(settings) + repr(settings.model_dump()))
    for command in ("settings", "settings --json"):
        shown = run(settings, command, **in_address)
        assert shown.status == 0, shown
        assert "STEPWATCH_KAFKA_SASL_PASSWORD" in shown.out
        assert not known.told_by(shown.out + shown.err), shown
    # A setting that is wrong beside a password that is right; at debug the trace is printed too.
    for wrong in ({"STEPWATCH_PARTITIONS": "many"}, {"STEPWATCH_KAFKA_SASL_USERNAME": ""}, in_address):
        refused = run(settings, "topics check", STEPWATCH_LOG_LEVEL="debug", **wrong)
        assert refused.status == 2, refused
        assert next(iter(wrong)) in refused.err
        assert "Traceback" in refused.err
        assert not known.told_by(refused.out + refused.err), refused


def test_a_json_log_of_a_refusal_holds_the_code_and_no_password(wire: Wire, tmp_path: Path) -> None:
    settings = settings_at(wire, "SASL", tmp_path, kafka_sasl_password=wire.secrets.wrong, log_format="json")
    ended = run(settings, "notify", STEPWATCH_LOG_LEVEL="debug")
    assert ended.status == 2
    last = json.loads(ended.err.splitlines()[-1])
    assert (last["code"], last["retriable"]) == ("kafka_refused", False)
    assert not wire.secrets.told_by(ended.out + ended.err)
