"""What scenarios of time, versions and growth stand on: odd workers, other settings of topics, a last look."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stepwatch.agents.settings import Settings
from tests.faults.verifier import verify

CORRELATE = "stepwatch.cli.main correlate"
STORE = "stepwatch.cli.main store"
NOTIFY = "stepwatch.cli.main notify"
ODD = "tests.faults.odd"
"""A worker that is odd in what its arguments say."""


async def verified(settings: Settings) -> None:
    """Whatever the scenario looked at: the outputs are exact."""
    await verify(settings)


async def alter_topics(settings: Settings, topics: Iterable[str], config: dict[str, str]) -> None:
    """Set these, and set back all else that was set on the topics."""
    admin = AIOKafkaAdminClient(**settings.kafka_client_options())
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config) for topic in topics])
    finally:
        await admin.close()
