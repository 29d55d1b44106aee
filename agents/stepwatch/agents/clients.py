"""Opening a Kafka client: the settings' options, patience while Kafka comes up, and errors in words."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from stepwatch.agents.errors import KafkaAway, KafkaFailed, KafkaRefused, RoleError
from stepwatch.agents.logs import get_logger
from stepwatch.agents.refusals import NO_RIGHT, find_refusal, no_right
from stepwatch.agents.settings import Settings

log = get_logger(__name__)
_TELL_AGAIN_S = 10.0
_RETRY_S = 0.5
_STOP_S = 5.0
_REFUSALS = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    *NO_RIGHT,
    ssl.SSLError,
)
_AWAY = (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError, RequestTimedOutError, ConnectionError)


async def open_consumer(settings: Settings, **options: Any) -> AIOKafkaConsumer:
    """A started consumer, `read_committed` unless said otherwise; for errors see `open_client`."""
    options = {"isolation_level": "read_committed", "enable_auto_commit": False, **options}
    return await open_client(lambda: AIOKafkaConsumer(**settings.kafka_client_options(), **options), settings)


async def open_reader(settings: Settings, partitions: Sequence[Any], **options: Any) -> AIOKafkaConsumer:
    """A consumer without a group that has `partitions`, paused at their begin; errors as `open_client`."""
    reader = await open_consumer(settings, **{"auto_offset_reset": "earliest", **options})
    # Having them makes it ask for their leaders at once; asking for offsets of others costs it half a second.
    reader.assign(partitions)
    reader.pause(*partitions)
    try:
        # Of a topic that we may not see it would wait for the leader until its time is up, and say only that.
        for topic in {tp.topic for tp in partitions}:
            await _until_known(settings, reader, topic)
    except BaseException as error:
        await close_client(reader)
        if isinstance(error, TopicAuthorizationFailedError):
            raise no_right(settings, error, "Read") from error
        raise
    return reader


async def _until_known(settings: Settings, reader: AIOKafkaConsumer, topic: str) -> None:
    """Wait until the broker tells of a topic: one that has just come up has not heard of any yet."""
    give_up = time.monotonic() + settings.start_timeout_ms / 1000
    while True:
        try:
            await reader._client._wait_on_metadata(topic)
            return
        except UnknownTopicOrPartitionError:
            if time.monotonic() >= give_up:
                raise
        await asyncio.sleep(_RETRY_S)


async def open_producer(settings: Settings, **options: Any) -> AIOKafkaProducer:
    """A started, idempotent producer; for errors see `open_client`."""
    options = {"enable_idempotence": True, **options}
    return await open_client(lambda: AIOKafkaProducer(**settings.kafka_client_options(), **options), settings)


async def open_admin(settings: Settings) -> AIOKafkaAdminClient:
    """A started admin client, to be closed by `close_client`; for errors see `open_client`."""
    return await open_client(lambda: AIOKafkaAdminClient(**settings.kafka_client_options()), settings)


async def open_client(build: Callable[[], Any], settings: Settings) -> Any:
    """Start the client that `build` constructs, again and again while no broker answers.

    Raises:
        KafkaAway: no broker answered within `start_timeout_ms`.
        KafkaRefused: one answered and refused us.
    """
    give_up = time.monotonic() + settings.start_timeout_ms / 1000
    told_at = float("-inf")
    while True:
        client = build()
        try:
            await client.start()
            if isinstance(client, AIOKafkaAdminClient):
                # It has asked a bootstrap address only; the brokers may be at others, as they themselves say.
                await client.describe_cluster()
            return client
        except _REFUSALS as error:
            await close_client(client)
            raise refused(settings, error) from error
        except (TimeoutError, KafkaConnectionError, NodeNotReadyError, OSError) as error:
            await close_client(client)
            if found := await find_refusal(settings):
                raise found from error
            if time.monotonic() >= give_up:
                raise away(settings, error) from error
            if time.monotonic() - told_at >= _TELL_AGAIN_S:
                log.info("waiting for Kafka", at=settings.kafka_bootstrap)
                told_at = time.monotonic()
        except BaseException:
            await close_client(client)
            raise
        await asyncio.sleep(_RETRY_S)


async def close_client(client: Any) -> None:
    """Stop a client, within 5 s: while its broker is down aiokafka would wait for long."""
    stop = client.close if isinstance(client, AIOKafkaAdminClient) else client.stop
    try:
        await asyncio.wait_for(stop(), _STOP_S)
    except (TimeoutError, KafkaError, OSError, AssertionError):
        # A producer that was fenced refuses every state change; nothing of it is needed any more.
        return


def away(settings: Settings, error: BaseException) -> KafkaAway:
    """The error that says that Kafka does not answer."""
    return KafkaAway(
        f"no answer from Kafka at {settings.kafka_bootstrap} ({_words(error)}): "
        "start it, or set STEPWATCH_KAFKA_BOOTSTRAP to its address"
    )


def refused(settings: Settings, error: BaseException, right: str = "") -> KafkaRefused:
    """The error that says that Kafka does not let us in, or not at what we need."""
    if isinstance(error, NO_RIGHT):
        return no_right(settings, error, right)
    return KafkaRefused(
        f"Kafka at {settings.kafka_bootstrap} refuses us ({_words(error)}): check "
        "STEPWATCH_KAFKA_SECURITY_PROTOCOL, the STEPWATCH_KAFKA_SSL_* and STEPWATCH_KAFKA_SASL_* settings, "
        f"and that this user may use topics, groups and transactional ids that begin with {settings.prefix!r}"
    )


def in_words(settings: Settings, error: BaseException, right: str = "") -> BaseException:
    """A failure of a client as KafkaAway or KafkaRefused where it is one; else as it is.

    Args:
        settings: where Kafka is, and who we are.
        error: what the client raised.
        right: what was being done, `Read` or `Write`; Kafka itself does not say which right is missing.
    """
    if isinstance(error, _REFUSALS):
        return refused(settings, error, right)
    if isinstance(error, _AWAY):
        return away(settings, error)
    return error


def failed(settings: Settings, error: KafkaError) -> RoleError:
    """What ends a role whose client failed, in words whatever it was."""
    if isinstance(said := in_words(settings, error), RoleError):
        return said
    return KafkaFailed(
        f"Kafka at {settings.kafka_bootstrap} did not do what was asked ({_words(error)}): this worker starts again; "
        "if that does not help, read the broker's log and run `stepwatch topics`"
    )


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
