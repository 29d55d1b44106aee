"""Policy sets onto `stepwatch.policies` (contract section 4), and what happens where two people do so at once."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiokafka.errors import KafkaError

from stepwatch.agents.clients import close_client, in_words, open_producer
from stepwatch.agents.errors import PoliciesMoved, PoliciesRefused
from stepwatch.agents.logs import get_logger
from stepwatch.agents.policy_topic import read_records
from stepwatch.agents.settings import Settings
from stepwatch.schemas.policy import PolicyRecord, PolicyText
from stepwatch.streams.sets import PolicyRefused, PolicySets, load_files, set_digest

log = get_logger(__name__)
_RECORD_BYTES_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Manner:
    """How sets are applied.

    Attributes:
        now: hold from the append time, without the 11 minutes of notice.
        effective_from: RFC 3339; where the files say none. None: from 11 minutes after the append time.
        note: why, for the history.
        expected: digest of the set that must be the latest; None: any.
    """

    now: bool = False
    effective_from: str | None = None
    note: str = ""
    expected: str | None = None


async def publish_policies(settings: Settings, paths: Sequence[Path], *, now: bool = False) -> list[str]:
    """Publish the sets that these files make, unless they are the latest in the topic already.

    Args:
        settings: where Kafka is.
        paths: policy files; those with the same `effective_from` are one set.
        now: hold from the append time, without the 11 minutes of notice.

    Returns:
        The digests of the sets that were published, in their order.

    Raises:
        PoliciesRefused: a file, with line and field of every complaint; nothing was published.
        PoliciesMoved: somebody published another set at the same moment.
        KafkaAway, KafkaRefused: no answer, or no permission.
    """
    try:
        sets = load_files(paths)
    except (PolicyRefused, ValueError) as refused:
        raise PoliciesRefused(str(refused)) from refused
    return await publish_sets(settings, sets, Manner(now=now))


async def publish_sets(settings: Settings, sets: PolicySets, manner: Manner) -> list[str]:
    """The same for sets that are loaded already, applied in this manner; see `publish_policies`."""
    wanted = [[(Path(file.name).name, file.text) for file in policy_set.files] for policy_set in sets.sets]
    digests = [set_digest(texts) for texts in wanted]
    there = await read_records(settings)
    if manner.expected is not None and there.latest != manner.expected:
        raise PoliciesMoved(
            f"the latest set is {there.latest[:12] or 'none'}, expected {manner.expected[:12]}: nothing was published. "
            "Look at `stepwatch policy history`, compare with that one, and apply again"
        )
    keys = [key.decode(errors="replace") for key in there.keys]
    # Keep what the topic already ends with: a restart with the same folder publishes nothing.
    known = max(k for k in range(len(digests) + 1) if keys[len(keys) - k :] == digests[:k])
    records = [_record(texts, manner) for texts in wanted[known:]]
    if not records:
        return []
    producer = await open_producer(settings, max_request_size=_RECORD_BYTES_MAX + 4096)
    try:
        for digest, record in zip(digests[known:], records, strict=True):
            try:
                await producer.send_and_wait(settings.topics.policies, record, key=digest.encode(), partition=0)
            except KafkaError as error:
                raise in_words(settings, error, "Write") from error
            log.info("published a policy set", digest=digest[:12], now=manner.now)
    finally:
        await close_client(producer)
    # Kafka cannot write on condition: who comes second, or first, can only be told. The same set by two is no matter.
    since = {key.decode(errors="replace") for key in (await read_records(settings)).keys[len(keys) :]}
    if others := since - set(digests):
        raise PoliciesMoved(
            f"published {_named(digests[known:])}, and somebody else {_named(sorted(others))} at the same moment: "
            "the later of them holds. Look at `stepwatch policy history`, and talk to each other"
        )
    return digests[known:]


def _named(digests: Sequence[str]) -> str:
    return ", ".join(digest[:12] for digest in digests)


def _record(texts: list[tuple[str, str]], manner: Manner) -> bytes:
    record = PolicyRecord(
        files=[PolicyText(name=name, text=text) for name, text in texts],
        effective_from=manner.effective_from,
        now=manner.now,
        applied_by=_who(),
        applied_at=datetime.now(UTC).isoformat(),
        note=manner.note,
    )
    value = record.model_dump_json().encode()
    if len(value) > _RECORD_BYTES_MAX:
        raise PoliciesRefused(
            f"the set of {', '.join(name for name, _ in texts)} is {len(value)} bytes, a record of Kafka "
            f"holds {_RECORD_BYTES_MAX}: leave out tests or comments, or shorten lists by patterns"
        )
    return value


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""
