"""Events and decisions -> the rows of topics `audit` and `evidence` (contract section 8)."""

from __future__ import annotations

from typing import Any

import msgspec

from stepwatch.schemas import events as ev
from stepwatch.schemas.audit import ROW_SCHEMA, AuditRow
from stepwatch.schemas.compiled import (
    FastAuditRow,
    FastClient,
    FastDecision,
    FastEvidenceRow,
    FastResource,
    encode_json,
    rest_of_row,
)
from stepwatch.schemas.times import format_time
from stepwatch.streams.decode import Event
from stepwatch.streams.facts import Action, Fact, Published
from stepwatch.streams.judge import Decision

ENGINE_VERSION = "0.1.0"
"""The version of the rules: rows of one version can be compared."""

_NO_CLIENT, _NO_RESOURCE, _NO_DECISION = FastClient(), FastResource(), FastDecision()
"""What an event shows that has no such object: every member is missing."""


class Coordinates(msgspec.Struct, frozen=True, gc=False):
    """Where a record lies in Kafka; empty for a file."""

    topic: str = ""
    partition: int = 0
    offset: int = 0


def outcome_of(event: Event) -> str:
    """`success` by default; what is no known outcome is `unknown`."""
    said = event.data.outcome or "success"
    return said if said in ev.OUTCOMES else "unknown"


def sensitivity_of(event: Event) -> str:
    """One of the four, or `""`: anything else counts as missing."""
    resource = event.data.resource
    said = (resource.sensitivity or "") if resource else ""
    return said if said in ev.SENSITIVITIES else ""


class _Plain(msgspec.Struct, gc=False):
    """The columns that differ between the rows of one batch, of actions that no policy matches."""

    tenant: str
    subject: str
    on_behalf_of: str
    source: str
    action_id: str
    time: str
    arrival: str
    closes_at: str
    session: str
    root_session: str
    action: str
    resource_type: str
    resource_id: str
    sensitivity: str
    outcome: str
    client_ip: str
    client_device: str
    client_country: str
    user_agent: str
    challenge: str
    decision_result: str
    decision_reason: str
    claimed_verification: str
    kafka_offset: int
    event_data: str


def plain_rest(decided_at: str, topic: str, partition: int) -> bytes:
    """What the rows of one batch have in common, of actions that no policy matches."""
    return rest_of_row(
        AuditRow,
        _Plain,
        revision=1,
        decided_at=decided_at,
        verdict="not_required",
        reason="no_policy",
        kafka_topic=topic,
        kafka_partition=partition,
        engine_version=ENGINE_VERSION,
    )


def plain_row(event: Event, subject: str, sensitivity: str, outcome: str, offset: int, rest: bytes) -> bytes:
    """The audit row of an action that no policy matches, as JSON: nine of ten rows, so it is built with little work."""
    data = event.data
    client, resource, decision = data.client or _NO_CLIENT, data.resource or _NO_RESOURCE, data.decision or _NO_DECISION
    arrival = format_time(event.arrival_us)
    row = _Plain(
        event.tenant,
        subject,
        data.on_behalf_of or "",
        event.source,
        event.id,
        format_time(event.time_us),
        arrival,
        arrival,
        data.session or "",
        data.root_session or "",
        data.action,
        resource.type or "",
        resource.id or "",
        sensitivity,
        outcome,
        client.ip or "",
        client.device or "",
        client.country or "",
        client.user_agent or "",
        data.challenge or "",
        decision.result or "",
        decision.reason or "",
        data.verification or "",
        offset,
        event.raw_data.decode(),
    )
    return encode_json(row)[:-1] + rest


def action_row(event: Event, subject: str, where: Coordinates) -> Any:
    """The audit row of an action, with every column that no verdict changes."""
    data = event.data
    client, resource = data.client or _NO_CLIENT, data.resource or _NO_RESOURCE
    decision = data.decision or _NO_DECISION
    return FastAuditRow(  # in the order of its columns
        event.tenant,
        subject,
        data.on_behalf_of or "",
        event.source,
        event.id,
        1,  # revision
        format_time(event.time_us),
        format_time(event.arrival_us),
        "",  # decided_at
        "",  # closes_at
        data.session or "",
        data.root_session or "",
        data.action,
        resource.type or "",
        resource.id or "",
        sensitivity_of(event),
        outcome_of(event),
        client.ip or "",
        client.device or "",
        client.country or "",
        client.user_agent or "",
        "",  # policy
        "",  # policy_version
        "",  # trigger_reason
        "",  # verdict
        "",  # reason
        [],  # failed
        "",  # verification
        None,  # verification_time
        None,  # verification_age_ms
        [],  # amr
        "",  # acr
        data.challenge or "",
        "",  # credential
        decision.result or "",
        decision.reason or "",
        data.verification or "",  # claimed_verification
        "",  # nearest_miss
        [],  # notes
        where.topic,
        where.partition,
        where.offset,
        event.raw_data.decode(),
        ROW_SCHEMA,
        ENGINE_VERSION,
    )


def judged_row(action: Action, decision: Decision, published: Published, decided_at: str) -> bytes:
    """The next revision of an action's audit row, as JSON."""
    row = action.row
    chosen, nearest = decision.chosen, decision.nearest
    own_challenge = row.challenge
    row.revision = action.revision
    row.decided_at = decided_at
    row.verdict, row.reason = decision.verdict, decision.reason
    row.verification, row.nearest_miss = published.verification, published.nearest
    row.failed = list(nearest.failed) if nearest is not None else []
    if chosen is not None:
        row.verification_time = format_time(chosen.at_us)
        row.verification_age_ms = (action.time_us - chosen.at_us) // 1000
        row.amr, row.acr = list(chosen.amr), chosen.acr
        row.challenge, row.credential = chosen.challenge or own_challenge, chosen.credential
    else:
        row.verification_time = row.verification_age_ms = None
        row.amr, row.acr, row.credential = [], "", ""
    encoded = encode_json(row)
    row.challenge = own_challenge
    row.event_data = ""
    return encoded


def evidence_row(event: Event, subject: str, fact: Fact, where: Coordinates, late: bool) -> bytes:
    """The row of table `authentications` of an accepted authentication event, as JSON."""
    data = event.data
    client, decision = data.client or _NO_CLIENT, data.decision or _NO_DECISION
    row = FastEvidenceRow(  # in the order of its columns
        event.tenant,
        subject,
        event.source,
        event.id,
        event.type.removeprefix(ev.TYPE_PREFIX),
        format_time(event.time_us),
        format_time(event.arrival_us),
        format_time(fact.at_us) if fact.kind else None,
        data.session or "",
        data.root_session or "",
        client.ip or "",
        client.device or "",
        client.country or "",
        client.user_agent or "",
        fact.amr,
        fact.acr,
        fact.challenge,
        fact.verification,
        fact.credential,
        fact.change,
        fact.bound_action,
        fact.transaction,
        data.otp_step if data.otp_step is not None and abs(data.otp_step) < 2**63 else None,
        data.reason or "",
        data.failure or "",
        data.approver or "",
        data.approver_verification or "",
        decision.result or "",
        decision.reason or "",
        late,
        where.topic,
        where.partition,
        where.offset,
        event.raw_data.decode(),
    )
    return encode_json(row)
