"""Events reported over HTTP, through the real ingest role and a real broker; and a proof that is known right after."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from stepwatch.agents.settings import Settings
from stepwatch.embedded import ports
from stepwatch.ingest.tokens import create_token
from stepwatch.schemas.keys import partition_of
from stepwatch.sdk import HttpReporter, Source
from stepwatch.sdk.http_assurance import HttpAssurance
from stepwatch.sdk.stepup import StepUpNeed, require_step_up
from tests.live.harness import read, until
from tests.live.road import Role, new_road

pytestmark = pytest.mark.live
BANK, IDP = Source("/payments/api", tenant="acme"), Source("/idp", tenant="acme")


async def a_place(kafka: str, tmp_path: Path) -> Settings:
    return await new_road(kafka, tmp_path, ingest_port=ports.any_free(), tokens_file=tmp_path / "tokens.json")


def a_token(settings: Settings, name: str, *sources: str) -> str:
    return create_token(settings.tokens_path, name, tenants=["acme"], sources=sources, may=["post", "read"])


async def reported(reporter: HttpReporter, count: int) -> None:
    await until(lambda: asyncio.to_thread(lambda: reporter.stats.sent >= count), 60, f"{count} events accepted")


def test_what_waits_while_the_server_is_away_arrives_in_order_and_a_proof_is_known_right_after(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await a_place(kafka, tmp_path)
        url = f"http://{settings.ingest_host}:{settings.ingest_port}"
        token = a_token(settings, "bank", "/payments/api", "/idp")
        reporter = HttpReporter(url, token=token, spool=tmp_path / "spool", heartbeat=IDP, close_timeout_s=30)
        for number in range(2500):
            reporter.report(BANK.action_performed("a.b", subject=f"user-{number % 40}", id=str(number)))
        await until(lambda: asyncio.to_thread(lambda: reporter.stats.spooled == 2500), 30, "that all are on disk")
        role = Role(settings, tmp_path / "log", "ingest")
        await reported(reporter, 2500)
        records = await read(settings, settings.topics.actions)
        assert sorted(int(json.loads(record.value)["id"]) for record in records) == list(range(2500))
        for partition in range(settings.partitions):
            mine = [record for record in records if record.partition == partition]
            numbers = [int(json.loads(record.value)["id"]) for record in mine]
            assert numbers == sorted(numbers)
            assert all(partition_of(record.key, settings.partitions) == partition for record in mine)

        assurance = HttpAssurance(url, token=token, timeout_s=10)

        def need() -> StepUpNeed:
            said: dict[str, Any] = {"subject": "arn:aws/alice", "session": "s-1", "tenant": "acme"}
            return require_step_up("a.b", max_age="5m", amr_any=["otp"], assurance=assurance, **said)

        async def asked() -> bool:
            return (await asyncio.to_thread(need)).lacking == "no_step_up"

        await until(asked, 60, "that it is read")
        proof = IDP.stepup_verified(subject="arn:aws/alice", session="s-1", amr=["otp"], verification="v-7")
        reporter.report(proof)
        assert await reporter.aflush(30)
        assert (await asyncio.to_thread(need)).verification == "v-7", "its own write is read"
        assert await asyncio.to_thread(assurance.proofs, "acme", "..") == (), "asked by a name of dots"
        assert await reporter.aclose()
        assert reporter.stats.dropped == {}
        assert role.stop() == 0, role.said
        assert token not in role.said

    asyncio.run(story())


def test_a_source_that_the_token_may_not_send_is_said_and_costs_nothing_yet(kafka: str, tmp_path: Path) -> None:
    async def story() -> None:
        settings = await a_place(kafka, tmp_path)
        token = a_token(settings, "idp", "/idp")
        role = Role(settings, tmp_path / "log", "ingest")
        reporter = HttpReporter(f"http://{settings.ingest_host}:{settings.ingest_port}", token=token)
        reporter.report(BANK.action_performed("a.b", subject="alice"))
        await until(lambda: asyncio.to_thread(lambda: "answered 403" in reporter.stats.away), 60, "the refusal")
        assert (reporter.stats.waiting, reporter.stats.dropped) == (1, {})
        assert not await reporter.aclose(0)
        assert role.stop() == 0, role.said

    asyncio.run(story())
