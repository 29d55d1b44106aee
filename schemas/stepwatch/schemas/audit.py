"""The rows that leave the worker: audit records and evidence (contract section 8).

A row is the JSON object that ClickHouse takes (`JSONEachRow`), so its keys are the names of the columns. The pydantic
models are the definition; `compiled.py` derives from them what the hot path encodes.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

ROW_SCHEMA = 1
"""Version of the rows' shape: columns are only added, and this number grows when they are."""


class NearestMiss(BaseModel):
    """The verification that came nearest to covering an action (contract section 5).

    `by_us` is how much too old it was, or how far after the fact; None where age was not what failed.
    """

    model_config = ConfigDict(extra="forbid")
    verification: str
    failed: list[str]
    by_us: int | None = None


class AuditRow(BaseModel):
    """One revision of the verdict of one action.

    Times are RFC 3339 in UTC with microseconds; `""` stands for absent, as everywhere on the wire.
    """

    model_config = ConfigDict(extra="forbid")
    tenant: str
    subject: str
    on_behalf_of: str = ""
    source: str
    action_id: str
    revision: int
    time: str
    arrival: str
    decided_at: str
    closes_at: str
    session: str = ""
    root_session: str = ""
    action: str
    resource_type: str = ""
    resource_id: str = ""
    sensitivity: str = ""
    outcome: str
    client_ip: str = ""
    client_device: str = ""
    client_country: str = ""
    user_agent: str = ""
    policy: str = ""
    policy_version: str = ""
    trigger_reason: str = ""
    verdict: str
    reason: str
    failed: list[str] = []
    verification: str = ""
    verification_time: str | None = None
    verification_age_ms: int | None = None
    amr: list[str] = []
    acr: str = ""
    challenge: str = ""
    credential: str = ""
    decision_result: str = ""
    decision_reason: str = ""
    claimed_verification: str = ""
    nearest_miss: str = ""
    """JSON of NearestMiss with its `sentence`, or empty."""
    notes: list[str] = []
    kafka_topic: str = ""
    kafka_partition: int = 0
    kafka_offset: int = 0
    event_data: str = ""
    """The event's `data` as sent; on revision 1 only."""
    schema_: int = ROW_SCHEMA
    """Column `schema`."""
    engine_version: str = ""


class EvidenceRow(BaseModel):
    """One accepted authentication event: the row of table `authentications`."""

    model_config = ConfigDict(extra="forbid")
    tenant: str
    subject: str
    source: str
    event_id: str
    type: str
    """The event type without the `stepwatch.` in front, e.g. `stepup.verified`."""
    time: str
    arrival: str
    proved_at: str | None = None
    """`v.at` of a verification, else null."""
    session: str = ""
    root_session: str = ""
    client_ip: str = ""
    client_device: str = ""
    client_country: str = ""
    user_agent: str = ""
    amr: list[str] = []
    acr: str = ""
    challenge: str = ""
    verification: str = ""
    credential: str = ""
    credential_change: str = ""
    bound_action: str = ""
    transaction: str = ""
    otp_step: int | None = None
    reason: str = ""
    failure: str = ""
    approver: str = ""
    approver_verification: str = ""
    decision_result: str = ""
    decision_reason: str = ""
    late: bool = False
    """It arrived after an action of its subject that it speaks of had closed (`late_evidence`)."""
    kafka_topic: str = ""
    kafka_partition: int = 0
    kafka_offset: int = 0
    event_data: str = ""
    schema_: int = ROW_SCHEMA
    """Column `schema`."""
