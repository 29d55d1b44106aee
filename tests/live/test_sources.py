"""Real logs of other products, sent by the command and judged by a worker: it says what a replay of the file says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepwatch.agents.settings import Settings
from tests.cli.console import ROOT, Finished, run
from tests.faults.grounds import alter_topics
from tests.live.harness import new_settings, read, until, with_topics
from tests.live.road import Role, verdicts_of
from tests.sources.reading import shared

pytestmark = pytest.mark.live
FILES = [
    ("cloudtrail", "aws_cloudtrail/stratus_detonations.jsonl"),
    ("cloudtrail", "aws_cloudtrail/otrf_ec2_proxy_s3_exfiltration.jsonl"),
    ("okta", "okta/panther_scenario_add_administrator.jsonl"),
]


@pytest.mark.parametrize(("source", "name"), FILES)
def test_a_worker_says_of_a_real_log_that_was_sent_what_a_replay_of_the_file_says(
    source: str, name: str, kafka: str, tmp_path: Path
) -> None:
    log = shared("data", *name.split("/"))
    settings = new_settings(kafka, tmp_path)
    assert settings.policies_dir is not None
    policy = settings.policies_dir / "none.yaml"
    policy.write_text(patient(source))
    said = run(tmp_path, "replay", "--json", "--from", source, "--policy", policy, log)
    assert said.status == 0, said.err
    asyncio.run(judged_alike(settings, said.rows, lambda: send(settings, source, log), tmp_path))


def patient(source: str) -> str:
    """The ready policies of a source, for a log of years ago that comes all at once."""
    lines = (ROOT / "deploy" / "policies" / "sources" / f"{source}.yaml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("  grace:")]
    kept.insert(kept.index("defaults:") + 1, "  accept_late: 3650d\n  grace: 1s")
    return "\n".join(kept)


def send(settings: Settings, source: str, log: Path) -> Finished:
    """Send a log by the command."""
    where = ("--bootstrap", settings.kafka_bootstrap)
    return run(log.parent, "send", "--from", source, *where, log, STEPWATCH_PREFIX=settings.prefix)


async def judged_alike(
    settings: Settings, rows: list[dict[str, Any]], send_log: Callable[[], Finished], folder: Path
) -> None:
    """Let a worker judge the log, until its verdicts and open alerts are those of the replay's rows."""
    await with_topics(settings)
    await alter_topics(
        settings, settings.topics.inputs, {"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"}
    )
    verdicts = verdicts_of([row for row in rows if row["kind"] == "verdict"])
    alerts = {alert_of(row, row["alert"]) for row in rows if row["kind"] == "alert"}
    assert verdicts

    async def are_alike() -> bool:
        return (await judged(settings)) == (verdicts, alerts)

    worker = Role(settings, folder / "worker.log", "correlate")
    try:
        done = await asyncio.to_thread(send_log)
        assert done.status == 0, done.err
        try:
            await until(are_alike, 60, "what a replay says")
        except AssertionError:
            assert (await judged(settings)) == (verdicts, alerts)
            raise
        assert worker.stop() == 0, worker.said
    finally:
        worker.kill()


async def judged(settings: Settings) -> tuple[dict[Any, Any], set[Any]]:
    """The current verdicts, and the alerts that are open."""
    audit = [json.loads(record.value) for record in await read(settings, settings.topics.audit)]
    latest = {record.key: json.loads(record.value) for record in await read(settings, settings.topics.alerts)}
    return verdicts_of(audit), {alert_of(row, row["kind"]) for row in latest.values() if row["state"] == "open"}


def alert_of(row: dict[str, Any], kind: str) -> tuple[Any, ...]:
    """What of an alert does not depend on when it was raised."""
    return (row["alert_id"], kind, row["subject"], row["policy"], row["severity"], row["reason"], row["count"])
