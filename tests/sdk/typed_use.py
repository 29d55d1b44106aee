"""What users write, as their type checker sees it: `test_typing.py` runs mypy over it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from ssl import create_default_context
from typing import Any

from stepwatch.sdk import (
    Actions,
    AsgiContext,
    Client,
    Decision,
    Event,
    HttpReporter,
    KafkaReporter,
    MemoryReporter,
    Reporter,
    Resource,
    Source,
    Stats,
    Who,
    WsgiContext,
    current,
)
from stepwatch.sdk.assurance import Assurance
from stepwatch.sdk.http_assurance import HttpAssurance
from stepwatch.sdk.stepup import require_step_up

bank = Source("/payments/api", tenant="acme")
memory: Reporter = MemoryReporter()
actions = Actions(memory, bank, denied=(PermissionError, KeyError))


def told(reason: str, count: int) -> None:
    """Of what was dropped."""


def build() -> Event:
    """Every kind of argument."""
    return bank.action_performed(
        "payments.payout.approve",
        subject="alice",
        session="s-81",
        outcome="success",
        resource=Resource("payout", "po_991", "critical"),
        decision=Decision("required", reason="amount_over_limit"),
        client=Client(ip="203.0.113.7"),
        token={"acr": "phr", "amr": ["hwk"]},
        time=datetime.now(UTC),
        extra={"order": 12},
    )


@actions.performs("payments.payout.approve", resource=lambda payout, amount: Resource("payout", payout))
def approve(payout: str, amount: int) -> bool:
    """Keeps its type."""
    return amount > 0


@actions.performs("payments.payout.approve", subject=lambda payout: "alice")
async def approve_later(payout: str) -> bool:
    """Keeps its type too."""
    with actions.performing("payments.payout.check", subject="alice", transaction="sha256:1") as performing:
        performing.add(session="s-81")
        performing.outcome = "failure"
    return True


async def main() -> Stats:
    """Both ways to live with a reporter."""
    with KafkaReporter("localhost:9092", heartbeat=bank, on_drop=told) as reporter:
        door: Reporter = reporter
        door.report(build())
        sent: bool = reporter.flush(1.0)
    async with KafkaReporter("localhost:9092") as other:
        sent = sent and await other.aflush()
    token = Path("token")
    with HttpReporter("https://localhost:7310", token_file=token, spool=Path("spool"), heartbeat=bank) as third:
        door = third
        sent = sent and third.close(1.0) and third.stats.spooled == 0
    async with HttpReporter("https://localhost:7310", token="t", ssl_context=create_default_context()) as fourth:
        sent = sent and await fourth.aflush()
    assurance: Assurance = HttpAssurance("https://localhost:7310", token_file=token)
    sent = sent and not assurance.proofs("acme", "alice")
    said = require_step_up(
        "a.b", max_age="5m", subject="alice", assurance=assurance, reason="new_payee", source=bank, report=fourth.report
    )
    sent = sent and said.required and not reporter.stats.skipped
    approved: bool = approve("po_1", 7) and await approve_later("po_1")
    current().fill(subject="alice", token={"acr": "phr"})
    return reporter.stats if sent and approved else other.stats


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """An application."""


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Another."""
    return []


wrapped = (
    AsgiContext(asgi, who=lambda scope: Who(session=scope["session"]["sid"]), trusted_proxies=["192.0.2.0/24"]),
    WsgiContext(wsgi, who=lambda environ: None),
)
