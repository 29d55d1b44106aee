"""Settings: each is documented, secrets stay secret, clients are built from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from stepwatch.agents.settings import Settings


def test_every_setting_says_what_it_means() -> None:
    silent = [name for name, field in Settings.model_fields.items() if not field.description]
    assert silent == []


def test_every_setting_has_a_default_so_that_one_machine_needs_none() -> None:
    required = [name for name, field in Settings.model_fields.items() if field.is_required()]
    assert required == []


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWATCH_PREFIX", "acme.")
    monkeypatch.setenv("STEPWATCH_PARTITIONS", "12")
    settings = Settings()
    assert settings.topics.actions == "acme.actions"
    assert settings.partitions == 12
    assert settings.group("correlate") == "acme.correlate"
    assert settings.transactional_id(3) == "acme.correlate-3"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWATCH_POLICIES_DIR", "")
    assert Settings().policies_dir is None


def test_a_secret_is_read_from_its_file_which_wins_over_the_value(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from the file\n")
    settings = Settings(kafka_sasl_password=SecretStr("given"), kafka_sasl_password_file=file)
    assert settings.secret("kafka_sasl_password") == "from the file"
    assert Settings(kafka_sasl_password=SecretStr("given")).secret("kafka_sasl_password") == "given"
    assert Settings().secret("kafka_sasl_password") is None


def test_a_secret_is_not_shown_when_settings_are_printed() -> None:
    settings = Settings(kafka_sasl_password=SecretStr("hunter2"), clickhouse_password=SecretStr("hunter3"))
    assert "hunter" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_sasl_and_tls_reach_every_kafka_client() -> None:
    options = Settings(
        kafka_bootstrap="k1:9093,k2:9093",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_username="stepwatch",
        kafka_sasl_password=SecretStr("hunter2"),
    ).kafka_client_options()
    assert options["bootstrap_servers"] == "k1:9093,k2:9093"
    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("stepwatch", "hunter2")
    assert options["ssl_context"].check_hostname


def test_a_plain_connection_has_neither_password_nor_certificate() -> None:
    options = Settings().kafka_client_options()
    assert not {"ssl_context", "sasl_mechanism", "sasl_plain_password"} & options.keys()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kafka_ssl_cert": "our.pem"}, "KAFKA_SSL_KEY belong together"),
        ({"kafka_security_protocol": "SASL_SSL"}, "KAFKA_SASL_USERNAME is needed"),
        ({"partitions": 0}, "greater than or equal to 1"),
        ({"prefix": "with space"}, "should match pattern"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_words(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Settings(**values)


def test_a_loss_is_accepted_only_in_the_words_of_the_refusal() -> None:
    settings = Settings(accept_loss="stepwatch.actions-3@1207 stepwatch.state-0@0")
    assert settings.accepts_loss("stepwatch.actions-3@1207")
    assert not settings.accepts_loss("stepwatch.actions-3@1208")


def test_port_zero_and_no_port_mean_that_no_pages_are_served() -> None:
    assert Settings(store_web_port=0).web_port("store") is None
    assert Settings(store_web_port=None).web_port("store") is None
    assert Settings(store_web_port=7302).web_port("store") == 7302
