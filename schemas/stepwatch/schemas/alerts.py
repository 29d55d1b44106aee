"""The state of one alert as it lies on `stepwatch.alerts` and in table `alerts` (contract section 7)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from stepwatch.schemas.audit import ROW_SCHEMA


class AlertRow(BaseModel):
    """One version of one alert. Times are RFC 3339 in UTC with microseconds; `""` stands for absent."""

    model_config = ConfigDict(extra="forbid")
    alert_id: str
    version: int
    tenant: str
    kind: str
    severity: str
    state: str
    """`open`, `acknowledged` or `resolved`."""
    resolved_by: str = ""
    """`late_verification`, `source_recovered`, `revision`, `person` or `expired`."""
    subject: str
    policy: str
    reason: str
    title: str
    explanation: str
    nearest_miss: str = ""
    """JSON of the first member's nearest miss, or empty."""
    runbook: str = ""
    owner: str = ""
    count: int
    actions: list[str] = []
    """The ids of the first 100 members."""
    first_time: str
    last_time: str
    opened_at: str
    updated_at: str
    closes_at: str
    """After this no member of the alert can change any more."""
    detection_ms: int
    """Arrival of the last member to the alert."""
    overdue_ms: int
    """End of the last member's grace to the alert."""
    schema_: int = ROW_SCHEMA
    """Column `schema`."""
