"""What a run would have alerted, asked of its own tables: what is said is what the tables hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from clickhouse_connect.driver.client import Client

WORST_SHOWN: Final = 5
"""Alerts that are shown in words; the others are counted."""

_RANK = "indexOf(['low', 'medium', 'high', 'critical'], severity)"


class Pile(NamedTuple):
    """Alerts of one policy (or pattern) and severity."""

    kind: str
    policy: str
    severity: str
    alerts: int
    members: int


class Alerted(NamedTuple):
    """One alert in words."""

    alert_id: str
    severity: str
    kind: str
    title: str
    explanation: str
    members: int
    first_time: datetime
    last_time: datetime


@dataclass(frozen=True, slots=True)
class Summary:
    """What is in the tables of a run.

    Attributes:
        verdicts: verdict -> reason -> how many actions.
        proofs: verifications among the authentication events.
        authentications: how many of these there are.
        piles: alerts, the most severe first.
        worst: of these the worst, and of those as bad the newest.
        first_time, last_time: event times of the actions; None where there are none.
    """

    verdicts: dict[str, dict[str, int]]
    proofs: int
    authentications: int
    piles: list[Pile]
    worst: list[Alerted]
    first_time: datetime | None
    last_time: datetime | None

    @property
    def actions(self) -> int:
        return sum(sum(reasons.values()) for reasons in self.verdicts.values())

    @property
    def alerts(self) -> int:
        return sum(pile.alerts for pile in self.piles)


def summarise(client: Client) -> Summary:
    """The summary of the run whose database is selected."""
    verdicts: dict[str, dict[str, int]] = {}
    times: list[datetime] = []
    for verdict, reason, count, first, last in client.query(
        "SELECT verdict, reason, count(), min(time), max(time) FROM audit_current GROUP BY 1, 2 ORDER BY 3 DESC"
    ).result_rows:
        verdicts.setdefault(verdict, {})[reason] = count
        times += (first, last)
    ((proofs, authentications),) = client.query(
        "SELECT countIf(proved_at IS NOT NULL), count() FROM authentications_current"
    ).result_rows
    piles = client.query(
        f"SELECT kind, policy, severity, count(), sum(count) FROM alerts_current GROUP BY 1, 2, 3 "
        f"ORDER BY {_RANK} DESC, 4 DESC, 1, 2"
    ).result_rows
    worst = client.query(
        f"SELECT alert_id, severity, kind, title, explanation, count, first_time, last_time FROM alerts_current "
        f"ORDER BY {_RANK} DESC, last_time DESC, alert_id LIMIT {WORST_SHOWN}"
    ).result_rows
    return Summary(
        verdicts=verdicts,
        proofs=proofs,
        authentications=authentications,
        piles=[Pile(*row) for row in piles],
        worst=[Alerted(*row) for row in worst],
        first_time=min(times, default=None),
        last_time=max(times, default=None),
    )
