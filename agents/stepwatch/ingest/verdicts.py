"""The verdict of one action, from ClickHouse: there after the store has it, some tenths of a second later."""

from __future__ import annotations

import asyncio
from typing import Any

from stepwatch.agents.settings import Settings
from stepwatch.ingest.models import ActionVerdict, Revision
from stepwatch.ingest.problems import Problem, away
from stepwatch.schemas.times import format_time
from stepwatch.store.client import open_client, trouble_of, words_of

ANSWER_S = 5
_AT_ONCE = 4
"""Questions to ClickHouse at a time; the others wait."""
_QUERY = """
SELECT subject, revision, toUnixTimestamp64Micro(decided_at), toUnixTimestamp64Micro(closes_at), verdict, reason,
       policy, policy_version, verification, verification_age_ms, nearest_miss
FROM audit FINAL
WHERE tenant = {tenant:String} AND source = {source:String} AND action_id = {action_id:String}
ORDER BY subject, revision
LIMIT 1000
"""


class Verdicts:
    """Asks ClickHouse, in threads, each question by a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def of(self, tenant: str, source: str, action_id: str) -> ActionVerdict:
        """The verdict and its revisions.

        Raises:
            Problem: 404 unknown; 503 ClickHouse does not answer.
        """
        try:
            async with self._slots:
                rows = await asyncio.to_thread(self._ask, tenant, source, action_id)
        except Exception as error:
            if trouble_of(error) is None:
                raise
            raise away(
                f"ClickHouse, which holds the verdicts, cannot say ({words_of(error)}): ask again soon"
            ) from error
        if not rows:
            raise Problem(
                404,
                f"no verdict of {action_id[:200]!r} of {source[:200]!r} in tenant {tenant!r}: was it reported under "
                "this id and source? An action without proof has its verdict only when its policy's grace has ended",
            )
        revisions = [_revision(row) for row in rows]
        last = revisions[-1]
        return ActionVerdict(
            tenant=tenant,
            source=source,
            id=action_id,
            verdict=last.verdict,
            reason=last.reason,
            revisions=revisions,
        )

    def _ask(self, tenant: str, source: str, action_id: str) -> list[Any]:
        client = open_client(self._settings, answer_timeout_s=ANSWER_S)
        try:
            asked = {"tenant": tenant, "source": source, "action_id": action_id}
            return list(client.query(_QUERY, parameters=asked).result_rows)
        finally:
            client.close()


def _revision(row: Any) -> Revision:
    subject, revision, decided_us, closes_us, verdict, reason, *rest = row
    policy, policy_version, verification, age_ms, nearest_miss = rest
    return Revision(
        subject=subject,
        revision=revision,
        decided_at=format_time(decided_us),
        closes_at=format_time(closes_us),
        verdict=verdict,
        reason=reason,
        policy=policy,
        policy_version=policy_version,
        verification=verification,
        verification_age_ms=age_ms,
        nearest_miss=nearest_miss,
    )
