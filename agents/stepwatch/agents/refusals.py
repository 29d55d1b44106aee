"""Why no client gets in at Kafka: asked once more by hand, since aiokafka tells a refusal and an absence alike."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from stepwatch.agents.errors import KafkaRefused
from stepwatch.agents.settings import Settings

_LOOK_S = 5.0
"""The longest that one address is looked at: one that swallows everything is away, not a refusal."""
_TLS_RECORD = (0x14, 0x15, 0x16, 0x17)
_EXPIRED, _NOT_YET, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
"""OpenSSL's X509_V_ERR numbers."""

_MISSING: dict[type[KafkaError], tuple[str, str]] = {
    TopicAuthorizationFailedError: ("Read or Write", "topic"),
    GroupAuthorizationFailedError: ("Read", "group"),
    TransactionalIdAuthorizationFailed: ("Write", "transactional id"),
    # A producer without a transactional id begins by asking whether it may write to anything at all.
    ClusterAuthorizationFailedError: ("Write", "any topic"),
}
"""What Kafka says where a right is missing -> the right that it most likely was, and on what."""
NO_RIGHT: tuple[type[KafkaError], ...] = tuple(_MISSING)


def no_right(settings: Settings, error: KafkaError, right: str = "", on: str = "") -> KafkaRefused:
    """The error that says which right is missing.

    Args:
        settings: who we are, and where.
        error: one of NO_RIGHT.
        right: that was needed, as `kafka-acls.sh --operation` names it; empty: what the error says.
        on: the topic, group or id; empty: what the error says.
    """
    usual, kind = next(words for of, words in _MISSING.items() if isinstance(error, of))
    named = error.args[0] if error.args else ""
    names = on or ", ".join(sorted(named) if isinstance(named, set | frozenset | list | tuple) else [str(named)])
    what = kind if kind == "any topic" else f"{kind} {names}".strip()
    return KafkaRefused(
        f"Kafka at {settings.kafka_bootstrap} lets {_who(settings)} in, but {right or usual} on {what} is not granted: "
        'grant what the role needs with deploy/kafka-acls.sh (deploy/README.md, "Kafka\'s rights"), or set '
        f"{_who_settings(settings)} to the user of that role"
    )


def _who(settings: Settings) -> str:
    if settings.kafka_security_protocol.startswith("SASL"):
        return f"user {settings.kafka_sasl_username!r}"
    if settings.kafka_security_protocol == "SSL" and settings.kafka_ssl_cert is not None:
        return f"the owner of {settings.kafka_ssl_cert}"
    return "us without a name"


def _who_settings(settings: Settings) -> str:
    if settings.kafka_security_protocol == "SSL":
        return "STEPWATCH_KAFKA_SSL_CERT and STEPWATCH_KAFKA_SSL_KEY"
    return "STEPWATCH_KAFKA_SASL_USERNAME"


async def find_refusal(settings: Settings) -> KafkaRefused | None:
    """Connect once to each broker as a client would, and say what refuses us; None where nothing does.

    It looks at the bootstrap addresses, then at those that the brokers tell their clients: a certificate may name the
    one and not the other. A broker that is away is no refusal, and neither is anything once one bootstrap address
    lets us in and all that it tells do.
    """
    options = settings.kafka_client_options()
    addresses = [(host, port) for host, port, _ in collect_hosts(options.pop("bootstrap_servers"), randomize=False)]
    told: set[tuple[str, int]] = set()
    first: KafkaRefused | None = None
    for address in addresses:
        found = await _look(settings, options, address)
        if isinstance(found, KafkaRefused):
            first = first or found
        elif found is not None:
            told, first = found, None
            break
    for address in sorted(told - set(addresses)):
        found = await _look(settings, options, address)
        if isinstance(found, KafkaRefused):
            return found
    return first


async def _look(
    settings: Settings, options: dict[str, Any], address: tuple[str, int]
) -> KafkaRefused | set[tuple[str, int]] | None:
    """What refuses us at one address, or the brokers it tells of; None where it is away."""
    try:
        async with asyncio.timeout(_LOOK_S):
            try:
                return await _brokers(options, address)
            except (KafkaError, OSError) as error:
                words = await _words(settings, options, address, error)
    except (TimeoutError, OSError):
        return None
    return None if words is None else KafkaRefused(words)


async def _brokers(options: dict[str, Any], address: tuple[str, int]) -> set[tuple[str, int]]:
    connection = await create_conn(*address, **options)
    try:
        metadata = await connection.send(MetadataRequest([]))
        return {(broker[1], broker[2]) for broker in metadata.brokers}
    finally:
        connection.close()


async def _words(
    settings: Settings, options: dict[str, Any], address: tuple[str, int], error: BaseException
) -> str | None:
    """A failure to connect as a sentence that names the setting; None where it is no refusal."""
    where = f"Kafka at {address[0]}:{address[1]}"
    cause = error.__cause__ if isinstance(error, KafkaConnectionError) and error.__cause__ else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _of_their_certificate(settings, where, address[0], cause)
    if isinstance(cause, ssl.SSLError) and "ALERT" in (cause.reason or ""):
        return _of_our_certificate(settings, where, cause)
    if isinstance(error, SaslAuthenticationFailed):
        return (
            f"{where} does not let user {settings.kafka_sasl_username!r} in with that password: check "
            "STEPWATCH_KAFKA_SASL_USERNAME and STEPWATCH_KAFKA_SASL_PASSWORD (or its _FILE), and that this user "
            f"is known for STEPWATCH_KAFKA_SASL_MECHANISM={settings.kafka_sasl_mechanism}"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return (
            f"{where} does not know the mechanism {settings.kafka_sasl_mechanism}: set "
            "STEPWATCH_KAFKA_SASL_MECHANISM to one that its sasl.enabled.mechanisms names"
        )
    protocol = settings.kafka_security_protocol
    if isinstance(error, IllegalSaslStateError):
        return _other_protocol(where, "asks for no user and password", protocol, protocol.removeprefix("SASL_"))
    if isinstance(cause, asyncio.IncompleteReadError) and _is_tls(cause):
        return _other_protocol(where, "speaks TLS", protocol, protocol.replace("PLAINTEXT", "SSL"))
    if protocol.endswith("SSL") and await _answers_unencrypted(address):
        return _other_protocol(where, "speaks plain text, no TLS", protocol, protocol.replace("SSL", "PLAINTEXT"))
    if not protocol.startswith("SASL") and await _wants_a_user(options, address):
        return _other_protocol(where, "asks for a user and a password", protocol, f"SASL_{protocol}")
    return None


def _other_protocol(where: str, does: str, have: str, want: str) -> str:
    new_to_sasl = want.startswith("SASL") and not have.startswith("SASL")
    more = ", with STEPWATCH_KAFKA_SASL_USERNAME and STEPWATCH_KAFKA_SASL_PASSWORD" if new_to_sasl else ""
    return (
        f"{where} {does}: STEPWATCH_KAFKA_SECURITY_PROTOCOL is {have}; set it to {want}{more}, "
        "or use the address of another listener"
    )


def _of_their_certificate(settings: Settings, where: str, host: str, error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code in (_EXPIRED, _NOT_YET):
        when = "has expired" if code == _EXPIRED else "is not valid yet"
        return (
            f"the certificate of {where} {when}: renew it at the broker, or see whether the clock of this machine "
            "is right; no setting lets it pass"
        )
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        return (
            f"the certificate of {where} does not name {host}: write STEPWATCH_KAFKA_BOOTSTRAP (and the broker its "
            "advertised.listeners) with a name that is in the certificate"
        )
    ca = settings.kafka_ssl_ca
    trusted = f"{ca}, as STEPWATCH_KAFKA_SSL_CA says" if ca else "the system's, since STEPWATCH_KAFKA_SSL_CA is not set"
    return (
        f"the certificate of {where} is signed by no authority that we trust ({error.verify_message}): trusted are "
        f"{trusted}; set it to the PEM file of the authority that signed the brokers' certificates"
    )


def _of_our_certificate(settings: Settings, where: str, error: ssl.SSLError) -> str:
    reason = (error.reason or "").partition("ALERT_")[2].replace("_", " ").lower()
    if settings.kafka_ssl_cert is None:
        return (
            f"{where} wants to see a certificate of ours ({reason}): set STEPWATCH_KAFKA_SSL_CERT and "
            "STEPWATCH_KAFKA_SSL_KEY"
        )
    return (
        f"{where} does not accept our certificate {settings.kafka_ssl_cert} ({reason}): set STEPWATCH_KAFKA_SSL_CERT "
        "and STEPWATCH_KAFKA_SSL_KEY to one that is valid and signed by an authority of the broker's"
    )


def _is_tls(error: asyncio.IncompleteReadError) -> bool:
    """Whether what aiokafka took for a length begins a TLS record: its kind, then version 3.x."""
    return error.expected is not None and error.expected >> 24 in _TLS_RECORD and error.expected >> 16 & 0xFF == 3


async def _answers_unencrypted(address: tuple[str, int]) -> bool:
    """Whether a Kafka answers there without TLS; nothing secret is sent."""
    try:
        connection = await create_conn(*address)
    except (KafkaError, OSError):
        return False
    connection.close()
    return True


async def _wants_a_user(options: dict[str, Any], address: tuple[str, int]) -> bool:
    """Whether the listener takes the first word of SASL; none but the mechanism's name is sent."""
    connection: AIOKafkaConnection | None = None
    try:
        connection = await create_conn(*address, **options)
        answer = await connection.send(SaslHandShakeRequest("PLAIN"))
        return bool(answer.error_code != IllegalSaslStateError.errno)
    except (KafkaError, OSError):
        return False
    finally:
        if connection is not None:
            connection.close()
