"""A run beside the record: which verdicts and alerts of the live tables it has otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client

from stepwatch.store.querybook import clickhouse_time

EXAMPLES_MAX: Final = 20
"""Actions that are named; all others are counted."""
_PERIOD: Final = """TIME >= {since:DateTime64(6, 'UTC')} AND TIME < {until:DateTime64(6, 'UTC')}
  AND ({tenant:String} = '' OR tenant = {tenant:String})"""
# An action that no policy of either matches says the same in both, and they are most.
_SIDE: Final = f"""(SELECT tenant, source, action_id, time, subject, action, verdict, reason, policy
  FROM DATABASE.audit_current WHERE policy != '' AND {_PERIOD.replace("TIME", "time")})"""
_ACTIONS: Final = f"""FROM {_SIDE.replace("DATABASE", "LIVE")} AS l
  FULL JOIN {_SIDE.replace("DATABASE", "RUN")} AS r USING (tenant, source, action_id, time)
  WHERE was != becomes"""
_TURN: Final = """SELECT if(l.verdict = '', 'not_required', l.verdict) AS was,
  if(r.verdict = '', 'not_required', r.verdict) AS becomes, if(r.policy = '', l.policy, r.policy) AS by_policy"""
_TURNS: Final = f"{_TURN}, count() {_ACTIONS} GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3"
_EXAMPLES: Final = f"""{_TURN}, tenant, source, action_id, time, if(r.verdict = '', l.subject, r.subject),
  if(r.verdict = '', l.action, r.action), if(l.verdict = '', 'no_policy', l.reason),
  if(r.verdict = '', 'no_policy', r.reason) {_ACTIONS} ORDER BY time DESC, source, action_id LIMIT {EXAMPLES_MAX}"""
_ALERTS_OF: Final = f"""(SELECT alert_id, kind, policy FROM DATABASE.alerts_current
  WHERE {_PERIOD.replace("TIME", "last_time")})"""
_ALERTS: Final = f"""SELECT if(l.kind = '', r.kind, l.kind) AS kind, if(l.kind = '', r.policy, l.policy) AS policy,
    countIf(l.kind != '' AND r.kind != ''), countIf(r.kind = ''), countIf(l.kind = '')
  FROM {_ALERTS_OF.replace("DATABASE", "LIVE")} AS l
  FULL JOIN {_ALERTS_OF.replace("DATABASE", "RUN")} AS r USING (alert_id)
  GROUP BY 1, 2 ORDER BY 1, 2"""


class Turn(NamedTuple):
    """Actions of one policy whose verdict the run has otherwise."""

    was: str
    becomes: str
    policy: str
    actions: int


class Example(NamedTuple):
    """One of them."""

    time: datetime
    tenant: str
    subject: str
    source: str
    action_id: str
    action: str
    was: str
    was_reason: str
    becomes: str
    becomes_reason: str
    policy: str


class AlertPile(NamedTuple):
    """Alerts of one kind and policy: in both, only on record, only in the run; the states of them aside."""

    kind: str
    policy: str
    both: int
    record_only: int
    run_only: int


class Beside(NamedTuple):
    """The difference of a run from the record."""

    turns: list[Turn]
    examples: list[Example]
    alerts: list[AlertPile]

    @property
    def flips(self) -> int:
        """How many verdicts the run has otherwise."""
        return sum(turn.actions for turn in self.turns)


def beside(client: Client, live: str, run: str, since: datetime, until: datetime, tenant: str = "") -> Beside:
    """Compare a run with the live tables.

    Args:
        client: may read both.
        live, run: the databases.
        since, until: of event times, from the one on and before the other.
        tenant: only this one; empty: all.
    """
    values = {"since": clickhouse_time(since), "until": clickhouse_time(until), "tenant": tenant}

    def rows(sql: str) -> Sequence[Sequence[Any]]:
        named = sql.replace("LIVE.", f"{quote_identifier(live)}.").replace("RUN.", f"{quote_identifier(run)}.")
        return client.query(named, values).result_rows

    return Beside(
        [Turn(*row) for row in rows(_TURNS)],
        [
            Example(time, tenant_of, subject, source, action_id, action, was, why, becomes, why_now, policy)
            for was, becomes, policy, tenant_of, source, action_id, time, subject, action, why, why_now in rows(
                _EXAMPLES
            )
        ],
        [AlertPile(*row) for row in rows(_ALERTS)],
    )
