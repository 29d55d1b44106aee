"""What the API answers, as pydantic models: the OpenAPI page is made from them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from stepwatch.schemas.alerts import AlertRow
from stepwatch.schemas.audit import ROW_SCHEMA
from stepwatch.schemas.times import format_time
from stepwatch.streams.facts import Fact


class SkippedType(BaseModel):
    """A type of ours that this version does not know."""

    type: str
    count: int = Field(description="events of it in the request")
    hint: str = Field(description="the known type that it is like")


class Accepted(BaseModel):
    """Kafka has acknowledged every event of the request."""

    accepted: int = Field(description="events; of a request that is repeated they count again, and change nothing")
    skipped: int = Field(
        default=0, description="events of types of ours that this version does not know: stored, not judged"
    )
    skipped_types: list[SkippedType] = Field(default=[], description="of those the most frequent, at most 10")


class Verification(BaseModel):
    """One live verification. `""` is absent."""

    verification: str = Field(description="id of the proof")
    kind: Literal["step_up", "login"]
    at: str = Field(description="when it was proved, RFC 3339")
    time: str = Field(description="when it was reported to have happened, RFC 3339")
    age_ms: int = Field(ge=0, description="since `at`, by this server's clock")
    amr: list[str]
    acr: str
    session: str
    root_session: str
    bound_action: str
    transaction: str
    credential: str
    source: str


class Assurance(BaseModel):
    """The live verifications of a subject, newest first, at most 100."""

    tenant: str
    subject: str = Field(description="canonical")
    as_of: str = Field(
        description="RFC 3339: what Kafka had acknowledged by then is in the answer, but for a record in the wrong "
        "partition that no worker has moved yet"
    )
    verifications: list[Verification]


def verification_of(fact: Fact, now_us: int) -> Verification:
    """A verification as the API shows it."""
    return Verification(
        verification=fact.shown_id,
        kind="login" if fact.kind == "login" else "step_up",
        at=format_time(fact.at_us),
        time=format_time(fact.time_us),
        age_ms=max(now_us - fact.at_us, 0) // 1000,
        amr=list(fact.amr),
        acr=fact.acr,
        session=fact.session,
        root_session=fact.root,
        bound_action=fact.bound_action,
        transaction=fact.transaction,
        credential=fact.credential,
        source=fact.source,
    )


class Revision(BaseModel):
    """One published revision of a verdict."""

    subject: str
    revision: int
    decided_at: str
    closes_at: str
    verdict: str
    reason: str
    policy: str
    policy_version: str
    verification: str
    verification_age_ms: int | None
    nearest_miss: str


class ActionVerdict(BaseModel):
    """The verdict of an action: the last of its revisions."""

    tenant: str
    source: str
    id: str
    verdict: str
    reason: str
    revisions: list[Revision]


class Alert(AlertRow):
    """One version of one alert (contract section 7). `""` is absent."""

    model_config = ConfigDict(extra="forbid")
    schema_: int = Field(default=ROW_SCHEMA, alias="schema")


class AlertPage(BaseModel):
    """Alerts: not resolved first, then the severest, then the newest."""

    as_of: str = Field(description="RFC 3339: what Kafka had acknowledged by then is in the answer")
    count: int = Field(description="alerts that are wanted, on all pages")
    alerts: list[Alert]
    next: str = Field(description='`cursor` of the page after this one; `""`: there is none')


class AlertStep(BaseModel):
    """One line of an alert's history. `""` is absent."""

    at: str = Field(description="RFC 3339")
    what: Literal["change", "decision"]
    version: int = Field(description="of the alert; of a decision the one that was looked at")
    result: str = Field(description="`high open`; of a decision `acknowledge`, `resolve` or `note`")
    by: str = Field(description="who decided; of a change nobody")
    note: str = Field(description="why it was decided; of a change the alert's title")


class AlertShown(BaseModel):
    """One alert, and what became of it."""

    as_of: str = Field(description="RFC 3339: what Kafka had acknowledged by then is in the answer")
    alert: Alert
    history: list[AlertStep] = Field(description="the newest 100 changes and 100 decisions that Kafka holds")
    omitted: int = Field(description="older ones that Kafka holds; view `alert_history` has all")


class Decided(BaseModel):
    """What a decision has done."""

    alert_id: str
    version: int
    state: str
    resolved_by: str
    decision: Literal["acknowledge", "resolve", "note"]
    by: str = Field(description="`token:NAME`, or `token:NAME/BY`: the token is proved, BY is what its holder said")
    at: str
    note: str
    seen_version: int
    words: str = Field(description='of a 202: Kafka has it, and no worker has read it yet; else `""`')
