"""What the API answers, as pydantic models: the OpenAPI page is made from them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from stepwatch.schemas.times import format_time
from stepwatch.streams.facts import Fact


class Accepted(BaseModel):
    """Kafka has acknowledged every event of the request."""

    accepted: int = Field(description="events; of a request that is repeated they count again, and change nothing")
    skipped: int = Field(
        default=0, description="events of types of ours that this version does not know: they were not stored"
    )


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
    as_of: str = Field(description="RFC 3339: what Kafka had acknowledged by then is in the answer")
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
