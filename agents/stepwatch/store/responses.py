"""What people decided about alerts -> rows of table `responses` (contract section 2)."""

from __future__ import annotations

import json

from pydantic import ValidationError

from stepwatch.schemas.responses import Response
from stepwatch.schemas.times import format_time, parse_time
from stepwatch.store.dead_letters import Record, subject_of


def build_response_row(record: Record) -> bytes | None:
    """The row of a record of topic `responses`; None where it says no decision: the worker makes it a dead letter."""
    try:
        said = Response.model_validate_json(record.value or b"")
    except ValidationError:
        return None
    tenant, subject = subject_of(record.key or b"")
    arrival_us = record.timestamp * 1000
    at_us = parse_time(said.at)
    row = {
        "tenant": tenant,
        "alert_id": said.alert_id,
        "subject": subject,
        "response_id": said.id,
        "seen_version": said.seen_version,
        "decision": said.decision,
        "by": said.by,
        "at": format_time(arrival_us if at_us is None else at_us),
        "note": said.note,
        "arrival": format_time(arrival_us),
        "kafka_partition": record.partition,
        "kafka_offset": record.offset,
    }
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace")
