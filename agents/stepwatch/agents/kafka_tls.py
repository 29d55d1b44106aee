"""TLS towards Kafka: the settings' files as a context, and what is wrong with them in words."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Protocol

from stepwatch.agents.errors import SettingWrong


class TlsSettings(Protocol):
    """The settings that it needs (`stepwatch.agents.settings.Settings` has them)."""

    @property
    def kafka_ssl_ca(self) -> Path | None: ...
    @property
    def kafka_ssl_cert(self) -> Path | None: ...
    @property
    def kafka_ssl_key(self) -> Path | None: ...
    @property
    def kafka_ssl_check_hostname(self) -> bool: ...
    def secret(self, name: str) -> str | None: ...


def build_ssl_context(settings: TlsSettings) -> ssl.SSLContext:
    """What connections to the brokers are opened with.

    Raises:
        SettingWrong: a file is not there or not what it must be.
    """
    try:
        context = ssl.create_default_context(cafile=str(settings.kafka_ssl_ca) if settings.kafka_ssl_ca else None)
    except OSError as error:
        raise SettingWrong(
            f"STEPWATCH_KAFKA_SSL_CA={settings.kafka_ssl_ca} is no file of certificates in PEM: {_why(error)}"
        ) from error
    context.check_hostname = settings.kafka_ssl_check_hostname
    if settings.kafka_ssl_cert and settings.kafka_ssl_key:
        # Without a password OpenSSL would ask for one on the terminal, and wait.
        password = settings.secret("kafka_ssl_key_password") or ""
        try:
            context.load_cert_chain(str(settings.kafka_ssl_cert), str(settings.kafka_ssl_key), password)
        except OSError as error:
            raise SettingWrong(
                f"STEPWATCH_KAFKA_SSL_CERT={settings.kafka_ssl_cert} and "
                f"STEPWATCH_KAFKA_SSL_KEY={settings.kafka_ssl_key} cannot be used: {_why(error)}; expected a "
                "certificate and its own key in PEM, and in STEPWATCH_KAFKA_SSL_KEY_PASSWORD the key's password where "
                "it has one"
            ) from error
    return context


def _why(error: OSError) -> str:
    """What OpenSSL or the system said of a file; OpenSSL's own words are for those who wrote it."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it cannot be read, or the password is not the key's").replace("_", " ").lower()
    return error.strerror or str(error)
