"""What a person decided about an alert: a record of `stepwatch.responses` (contract section 2)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Response(BaseModel):
    """Written by the API and the console only, keyed by `tenant/subject` of the alert."""

    model_config = ConfigDict(strict=True, extra="ignore")
    id: str = Field(min_length=1)
    alert_id: str = Field(min_length=1)
    seen_version: int = Field(ge=0, description="the version of the alert that the person was looking at")
    decision: Literal["acknowledge", "resolve", "note"]
    by: str = Field(min_length=1)
    at: str = Field(min_length=1, description="RFC 3339")
    note: str = ""
