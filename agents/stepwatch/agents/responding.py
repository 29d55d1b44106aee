"""A person's decision about an alert: written into topic `responses`, its effect read back (contract section 7)."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stepwatch.agents.alert_log import AlertState, Standing, read_state
from stepwatch.agents.clients import close_client, in_words, open_admin, open_producer, open_reader
from stepwatch.agents.reading import noted_offsets
from stepwatch.agents.settings import Settings
from stepwatch.schemas.keys import subject_key
from stepwatch.schemas.responses import Response
from stepwatch.schemas.times import format_time

ACKNOWLEDGE = "acknowledge"
RESOLVE = "resolve"
NOTE = "note"
_BECOMES = {ACKNOWLEDGE: ("acknowledged", "resolved"), RESOLVE: ("resolved",)}
_POLL_MS = 200


@dataclass(frozen=True, slots=True)
class Effect:
    """What a decision has done.

    Attributes:
        alert: as it stands now, as far as it was read back.
        done: the decision had its effect.
        words: why it has not, and what to do; `""` where it has.
        pending: no worker has read it yet, so it may still have its effect.
    """

    alert: AlertState
    done: bool
    words: str = ""
    pending: bool = False


def refusal_of(alert: AlertState, decision: str) -> str:
    """Why a decision would change nothing, in words; `""` where it may change something."""
    if decision == NOTE:
        return ""
    if alert["state"] == "resolved":
        by = f" by {alert['resolved_by']}" if alert["resolved_by"] else ""
        return f"it is resolved already{by}, since {alert['updated_at'][:19]}Z"
    if decision == ACKNOWLEDGE and alert["state"] == "acknowledged":
        return f"it is acknowledged already, since {alert['updated_at'][:19]}Z; `note` adds a word, `resolve` ends it"
    return ""


def build_response(alert: AlertState, decision: str, by: str, note: str, seen_version: int, now_us: int) -> Response:
    """The record of a decision; the same decision said again has the same id.

    Args:
        alert: that is decided on.
        decision: acknowledge, resolve or note.
        by, note: who and why.
        seen_version: of the alert that the person was looking at.
        now_us: the wall clock.
    """
    parts = ["stepwatch-response-1", alert["alert_id"], seen_version, decision, by, note]
    digest = hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]
    return Response.model_validate(
        {
            "id": f"rs_{digest}",
            "alert_id": alert["alert_id"],
            "seen_version": seen_version,
            "decision": decision,
            "by": by,
            "at": format_time(now_us),
            "note": note,
        }
    )


async def respond(settings: Settings, standing: Standing, response: Response, wait_s: float) -> Effect:
    """Write a decision, and wait until its effect is read back.

    Args:
        settings: where Kafka is.
        standing: the alert, and the partition in which everything about its subject lies.
        response: the decision.
        wait_s: how long at most, s; 0: not at all.

    Raises:
        KafkaAway, KafkaRefused: in words; the decision may or may not have been written, and may be said again.
    """
    alerts = TopicPartition(settings.topics.alerts, standing.partition)
    reader = await open_reader(settings, [alerts])
    try:
        # From before the decision on: its effect cannot be missed.
        reader.seek(alerts, (await reader.end_offsets([alerts]))[alerts])
        offset = await _write(settings, standing, response)
        if response.decision == NOTE or not wait_s:
            return Effect(standing.alert, done=True)
        reader.resume(alerts)
        alert = await _read_back(reader, alerts, standing.alert, _BECOMES[response.decision], wait_s)
    except KafkaError as error:
        raise in_words(settings, error, "Read") from error
    finally:
        await close_client(reader)
    if alert["state"] in _BECOMES[response.decision]:
        return Effect(alert, done=True)
    responses = TopicPartition(settings.topics.responses, standing.partition)
    pending = not await _was_read(settings, responses, offset)
    words = _not_read(wait_s) if pending else _outrun(response, alert)
    return Effect(alert, done=False, words=words, pending=pending)


async def _write(settings: Settings, standing: Standing, response: Response) -> int:
    """The offset of the decision, once Kafka has it."""
    alert = standing.alert
    producer = await open_producer(settings)
    try:
        sent = await producer.send_and_wait(
            settings.topics.responses,
            response.model_dump_json().encode(),
            subject_key(alert["tenant"], alert["subject"]),
            partition=standing.partition,
        )
    except KafkaError as error:
        raise in_words(settings, error, "Write") from error
    finally:
        await close_client(producer)
    return int(sent.offset)


async def _read_back(
    reader: AIOKafkaConsumer, tp: TopicPartition, alert: AlertState, wanted: tuple[str, ...], wait_s: float
) -> AlertState:
    """The alert as it stands when it is in a wanted state, or when the time is up."""
    give_up = time.monotonic() + wait_s
    while alert["state"] not in wanted and time.monotonic() < give_up:
        for record in (await reader.getmany(tp, timeout_ms=_POLL_MS)).get(tp, ()):
            said = read_state(record.value)
            if said is not None and said["alert_id"] == alert["alert_id"] and said["version"] > alert["version"]:
                alert = said
    return alert


def _outrun(response: Response, alert: AlertState) -> str:
    return (
        f"the worker has read it, and the alert stays as it is: since version {response.seen_version}, which you "
        f"saw, something has joined it (it is at version {alert['version']}, with {alert['count']:,} in it): look "
        f"at it with `stepwatch alerts show {alert['alert_id']}`, and decide again"
    )


def _not_read(wait_s: float) -> str:
    return (
        f"Kafka has it, but no worker has read it within {wait_s:g} s: it counts when one does; see whether "
        "`stepwatch correlate` runs, with `stepwatch doctor`"
    )


async def _was_read(settings: Settings, tp: TopicPartition, offset: int) -> bool:
    """Whether the worker has noted, as it does every few seconds, that it read beyond an offset."""
    admin = await open_admin(settings)
    try:
        return (await noted_offsets(settings, admin, "correlate", [tp])).get(tp, 0) > offset
    except KafkaError as error:
        raise in_words(settings, error) from error
    finally:
        await close_client(admin)
