"""What the tables know of a subject: events in a stretch of time, actions by ids, an action and its revisions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from stepwatch.console.tables import Row, Tables

EVENTS_MAX: Final = 1000
_US: Final = "toUnixTimestamp64Micro"
_TO_US: Final = "fromUnixTimestamp64Micro({%s:Int64}, 'UTC')"
_WHOSE: Final = "tenant = {tenant:String} AND subject = {subject:String}"
_WHEN: Final = f"time >= {_TO_US % 'since'} AND time <= {_TO_US % 'until'}"
_PROOFS: Final = f"""
SELECT {_US}(time) AS time_us, {_US}(ifNull(proved_at, time)) AS at_us, type, source, event_id AS id, session,
  client_ip, client_device, client_country, amr, acr, challenge, verification, credential, credential_change,
  bound_action, reason, failure, late
FROM authentications_current WHERE {_WHOSE} AND {_WHEN} ORDER BY time DESC, source, id LIMIT {{most:UInt32}}
"""
_ACTION_COLUMNS: Final = f"""{_US}(time) AS at_us, {_US}(closes_at) AS closes_us, tenant, subject, source,
  action_id AS id, revision, action, resource_type, resource_id, sensitivity, outcome, session, root_session, client_ip,
  client_device, client_country, policy, verdict, reason, verification, nearest_miss"""
_ACTIONS: Final = f"""
SELECT {_ACTION_COLUMNS}
FROM audit_current WHERE {_WHOSE} AND {_WHEN} ORDER BY time DESC, source, id LIMIT {{most:UInt32}}
"""
_MEMBERS: Final = f"""
SELECT {_ACTION_COLUMNS}
FROM audit_current WHERE {_WHOSE} AND {_WHEN} AND action_id IN {{ids:Array(String)}} ORDER BY time, source, id LIMIT 200
"""
_REVISIONS: Final = f"""
SELECT *, action_id AS id, {_US}(time) AS at_us, {_US}(arrival) AS arrival_us, {_US}(decided_at) AS decided_us,
  {_US}(closes_at) AS closes_us
FROM audit FINAL
WHERE tenant = {{tenant:String}} AND source = {{source:String}} AND action_id = {{id:String}}
ORDER BY subject, revision LIMIT 1000
"""


async def events_of(
    tables: Tables, tenant: str, subject: str, since_us: int, until_us: int, most: int = EVENTS_MAX
) -> tuple[list[Row], list[Row]]:
    """Authentication events and actions of a subject between two times, both ends in; of each the newest `most`.

    Raises:
        TablesAway: in words.
    """
    values = {"tenant": tenant, "subject": subject, "since": max(since_us, 0), "until": until_us, "most": most}
    proofs, actions = await asyncio.gather(tables.rows(_PROOFS, **values), tables.rows(_ACTIONS, **values))
    return proofs, actions


async def members_of(
    tables: Tables, tenant: str, subject: str, ids: Sequence[str], since_us: int, until_us: int
) -> list[Row]:
    """The actions of an alert, by their ids and its times. Raises TablesAway."""
    values = {"tenant": tenant, "subject": subject, "since": max(since_us, 0), "until": until_us}
    return await tables.rows(_MEMBERS, **values, ids=list(ids))


async def revisions_of(tables: Tables, tenant: str, source: str, action_id: str) -> list[Row]:
    """Every revision of the verdict on an action, in order; none where it is not known. Raises TablesAway."""
    return await tables.rows(_REVISIONS, tenant=tenant, source=source, id=action_id)
