"""Rows of the tables `audit` and `authentications` -> the events that they were, as lines that a replay reads.

An event is told with the time of its arrival beside it, and under its canonical subject: an alias is mapped already.
Heartbeats are not stored. Whoever judges these lines must not demand signs of life (`variants.without_silence`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from stepwatch.store.answers import reading, streaming
from stepwatch.store.querybook import clickhouse_time

_PIECE_BYTES: Final = 1024 * 1024
_FORMAT: Final = "TSVRaw"

# `data` is kept as sent, and in JSON a bare line feed can only stand between values.
_LINE: Final = """concat('{{"specversion":"1.0","id":', toJSONString({id}), ',"source":', toJSONString(source),
  ',"type":"stepwatch.', {type}, '","time":"', replaceOne(toString(time), ' ', 'T'), 'Z","arrival":"',
  replaceOne(toString(arrival), ' ', 'T'), 'Z","subject":', toJSONString(subject),
  ',"data":', if(event_data = '', '{{}}', replaceAll(event_data, '\\n', ' ')), '}}')"""
_PLAIN_SLASHES: Final = "SETTINGS output_format_json_escape_forward_slashes = 0"
"""The native core reads no escapes, and most sources are paths."""
_WHOSE: Final = """time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({subject:String} = '' OR subject = {subject:String})"""
_CONCERNED: Final = """(has({names:Array(String)}, concat(tenant, '/', action))
  OR sensitivity IN ('high', 'critical') OR decision_result = 'required')"""
"""More than what a policy can match or a gap can be of: the judge leaves out the rest."""


@dataclass(frozen=True, slots=True)
class Period:
    """Which stored events.

    Attributes:
        since, until: event times, from the one on and before the other; UTC.
        tenant, subject: only theirs; empty for all. The subject is canonical.
    """

    since: datetime
    until: datetime
    tenant: str = ""
    subject: str = ""

    def values(self) -> dict[str, Any]:
        """As parameters of a query."""
        return {
            "since": clickhouse_time(self.since),
            "until": clickhouse_time(self.until),
            "tenant": self.tenant,
            "subject": self.subject,
        }


def stored_lines(
    client: Client,
    since: datetime,
    until: datetime,
    tenant: str | None = None,
    *,
    subject: str = "",
    names: Sequence[tuple[str, str]] | None = None,
) -> Iterator[bytes]:
    """The stored events of a period, one JSON line each, in no order.

    Args:
        client: with the database selected.
        since, until: of event times, from the one on and before the other; UTC.
        tenant, subject: only theirs; None or empty for all. The subject is canonical.
        names: (tenant, action) pairs. Of all others come only actions that may be a `policy_gap`; None: all actions.

    Raises:
        Exception: whatever the client raises, also half-way.
    """
    values = Period(since, until, tenant or "", subject).values()
    concerned = ""
    if names is not None:
        values["names"] = ["/".join(pair) for pair in names]
        concerned = f"AND {_CONCERNED}"
    line = _LINE.format(id="action_id", type="'action.performed'")
    actions = f"SELECT {line} FROM audit FINAL WHERE revision = 1 AND {_WHOSE} {concerned} {_PLAIN_SLASHES}"
    yield from _lines(client, actions, values)
    line = _LINE.format(id="event_id", type="type")
    proofs = f"SELECT {line} FROM authentications FINAL WHERE {_WHOSE} {_PLAIN_SLASHES}"
    yield from _lines(client, proofs, Period(since, until, tenant or "", subject).values())


def stored_names(client: Client, period: Period) -> list[tuple[str, str, int]]:
    """(tenant, action, how many) of the stored actions of a period: what policies can be asked about by name."""
    sql = f"SELECT tenant, action, uniqExact(subject, source, action_id) FROM audit WHERE {_WHOSE} GROUP BY 1, 2"
    content = reading(
        client, sql, period.values(), "JSONCompactEachRow", {"output_format_json_quote_64bit_integers": 0}
    )
    return [(tenant, action, count) for tenant, action, count in map(json.loads, content.splitlines())]


def _lines(client: Client, sql: str, values: dict[str, Any]) -> Iterator[bytes]:
    stream, rest = streaming(client, sql, values, _FORMAT), b""
    try:
        while piece := stream.read(_PIECE_BYTES):
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
    finally:
        stream.close()
