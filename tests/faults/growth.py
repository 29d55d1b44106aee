"""How the state topic grows and shrinks, and how long a restart takes that reads it.

    .venv/bin/python -m tests.faults.growth [--facts 1000000] [--partitions 4]

writes so many facts into the state topic, as a correlator would, and says how long one worker needs to take over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stepwatch.agents.settings import Settings
from stepwatch.agents.transaction import Transaction
from stepwatch.embedded import ports
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.kafka import EmbeddedKafka
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import format_time
from stepwatch.streams import state
from stepwatch.streams.decode import ACTION, AUTHENTICATION
from stepwatch.streams.effects import Effects
from stepwatch.streams.facts import Fact
from tests.faults.day import Record, lay_down
from tests.faults.grounds import alter_topics, verified
from tests.faults.stage import Outcome, Scenario, Stage
from tests.live.harness import Worker, new_settings, read, until, with_topics
from tests.live.road import Role, now_us

DAY_MS = 86_400_000
POLICY = """\
version: 1
defaults: {grace: 1s, revise_within: 1s, accept_late: 10m, lookback: 1h}
policies: [{id: payout, match: {action: ["payments.*"]}, require: {amr_any: [hwk]}}]
"""
_AT_ONCE = 20_000
_TOOK_OVER = re.compile(r"took over .*partition=(\d+) restored=(\d+) seconds=([\d.]+)")


async def shrinks(stage: Stage) -> Outcome:
    """Facts of three days ago are forgotten: then the log holds few records, and a restart reads few."""
    settings = await stage.road(POLICY)
    worker = stage.start(settings, again=False)
    # What lays a log down makes the topics unfit for a while, and a worker that starts then refuses them.
    await until(lambda: _took_over(worker.said, settings.partitions), 60, "the first take-over")
    now_ms = now_us() // 1000
    old = _events(stage, settings, stage.scaled(50_000, 3000), now_ms - 3 * DAY_MS)
    await lay_down(settings, old)
    count = sum(len(records) for records in old.values())
    await until(lambda: _holds(settings, lambda records: records >= count), 120, "the state of every event")
    most = len(await _state_records(settings))
    await _clean_soon(settings)
    await lay_down(settings, _events(stage, settings, 20, now_ms, "late"))
    beats = 0

    async def small() -> bool:
        # A segment is only left behind, and then cleaned, where something is appended after it.
        nonlocal beats
        beats += 1
        await lay_down(settings, _events(stage, settings, 2, now_us() // 1000, f"beat-{beats}"))
        return len(await _state_records(settings)) < most // 20

    # The broker cleans when it has time: beside other scenarios two minutes were not enough.
    await until(small, 300, "a log without what was forgotten")
    least = len(await _state_records(settings))
    assert await worker.stop() == 0, worker.said
    said = len(worker.said)
    worker.start()
    await until(lambda: _took_over(worker.said[said:], settings.partitions), 60, "the take-over")
    restored = sum(int(found[1]) for found in _TOOK_OVER.findall(worker.said[said:]))
    assert restored <= least
    await verified(settings)
    assert await worker.stop() == 0, worker.said
    return Outcome(count, 0, f"{most} records shrank to {least}, a restart restores {restored}")


def _events(stage: Stage, settings: Settings, count: int, at_ms: int, name: str = "old") -> dict[Any, list[Record]]:
    """Proofs, and an action for every tenth, a millisecond apart, in every partition; as `day.lay_down` takes them."""
    logs: dict[Any, list[Record]] = {
        (family, p): [] for family in (ACTION, AUTHENTICATION) for p in range(settings.partitions)
    }
    for number in range(count):
        who = f"user-{stage.rng.randrange(1000)}"
        key = subject_key("default", who)
        event = {"subject": who, "time": format_time((at_ms + number - 500) * 1000)}
        proof = {"type": "stepwatch.stepup.verified", "source": "/idp", "data": {"session": "s", "amr": ["hwk"]}}
        acted = {"session": "s", "action": "payments.payout.approve"}
        action = {"type": "stepwatch.action.performed", "source": "/app", "data": acted}
        for family, more in ((AUTHENTICATION, proof), *([(ACTION, action)] if number % 10 == 0 else [])):
            body = json.dumps({"id": f"{name}-{number}", **event, **more}).encode()
            log = logs[family, partition_of(key, settings.partitions)]
            log.append(Record(len(log), at_ms + number, key, body))
    return logs


async def _state_records(settings: Settings) -> list[Any]:
    """What lies in the state topic, tombstones too: what a restart has to read."""
    return await read(settings, settings.topics.state)


async def _holds(settings: Settings, enough: Any) -> bool:
    return bool(enough(len(await _state_records(settings))))


async def _took_over(said: str, partitions: int) -> bool:
    return len(_TOOK_OVER.findall(said)) >= partitions


async def _clean_soon(settings: Settings) -> None:
    """What takes the broker hours as the product sets it, in seconds: the same steps, and nothing else."""
    spec = next(spec for spec in settings.topics.specs() if spec.name == settings.topics.state)
    soon = {"segment.ms": "500", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0"}
    await alter_topics(settings, (spec.name,), {**spec.config, **spec.wished, **soon})
    admin = AIOKafkaAdminClient(**settings.kafka_client_options())
    await admin.start()
    try:
        wanted = {"log.cleaner.backoff.ms": "500"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.BROKER, "1", wanted)])
    finally:
        await admin.close()


SCENARIOS: dict[str, Scenario] = {"growth.shrinks": shrinks}


async def restart(settings: Settings, facts: int, log: Path) -> str:
    """Write the state, start a worker, and say how long the take-over took."""
    await with_topics(settings)
    assert settings.policies_dir is not None
    (settings.policies_dir / "none.yaml").write_text(POLICY)
    # What a partition's first owner writes before all else is written by one.
    worker: Worker = Role(settings, log, "correlate")
    await until(lambda: _took_over(worker.said, settings.partitions), 60, "the first take-over")
    assert worker.stop() == 0, worker.said
    first = len(worker.said)
    began = time.monotonic()
    size = await _write_facts(settings, facts)
    print(f"{facts} facts, {size / 1e6:.0f} MB of keys and values, written in {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    worker = Role(settings, log, "correlate")
    try:
        while not await _took_over(worker.said[first:], settings.partitions):
            assert worker.process.poll() is None, worker.said
            await asyncio.sleep(0.05)
        whole_s = time.monotonic() - began
        rss_mb = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{worker.process.pid}/status").read_text())[0]) / 1000
    finally:
        worker.kill()
    found = _TOOK_OVER.findall(worker.said[first:])
    assert sum(int(restored) for _, restored, _ in found) >= facts, worker.said
    each = ", ".join(seconds for _, _, seconds in found)
    return (
        f"take-over of {facts} live facts in {settings.partitions} partitions: {whole_s:.1f} s from the start of the \
process (each partition: {each} s), {rss_mb:.0f} MB resident"
    )


async def _write_facts(settings: Settings, facts: int) -> int:
    size = 0
    transactions = {partition: Transaction(settings, partition) for partition in range(settings.partitions)}
    for transaction in transactions.values():
        await transaction.open()
    pending: dict[int, state.Writes] = {partition: {} for partition in transactions}
    for subject, fact in _facts(facts):
        writes = pending[partition_of(subject_key(*subject), settings.partitions)]
        state.save(writes, subject, fact)
        if len(writes) >= _AT_ONCE:
            size += await _commit(transactions, pending)
    size += await _commit(transactions, pending)
    for transaction in transactions.values():
        await transaction.close()
    return size


async def _commit(transactions: dict[int, Transaction], pending: dict[int, state.Writes]) -> int:
    size = 0
    for partition, writes in pending.items():
        if writes:
            size += sum(len(key) + len(value or b"") for key, value in writes.items())
            effects = Effects()
            effects.state.extend(writes.items())
            await transactions[partition].commit(effects)
            writes.clear()
    return size


def _facts(count: int) -> Iterator[tuple[tuple[str, str], Fact]]:
    """Step-ups of the last day, ten of each subject, as wide as real ones."""
    begin_us = now_us() - DAY_MS * 1000
    for number in range(count):
        subject = ("acme", f"user-{number % max(1, count // 10)}@acme.example")
        time_us = begin_us + number * (DAY_MS * 1000 // count)
        fact = Fact(
            type="stepwatch.stepup.verified",
            source="/idp/eu-west-1",
            id=f"01JD{number:022d}",
            time_us=time_us,
            arrival_us=time_us + 300_000,
            hash=(number * 0x9E3779B97F4A7C15) & (2**63 - 1),
            at_us=time_us,
            kind="step_up",
            session=f"s-{number:016x}",
            root=f"s-{number:016x}",
            amr=("hwk", "user"),
            acr="phr",
            credential=f"k-{number % 100_000}",
            challenge=f"c-{number:016x}",
            verification=f"v-{number:016x}",
            transaction=f"sha256:{number:064x}",
            device=f"d-{number % 1000}",
            ip="203.0.113.7",
        )
        yield subject, fact


def main() -> int:
    """Start a broker of our own and measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.growth")
    parser.add_argument("--facts", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stepwatch-growth-") as name:
        tmp = Path(name)
        folder = DataFolder(tmp / "servers")
        with folder.lock():
            kafka = EmbeddedKafka(folder, port=ports.any_free())
            kafka.start()
            try:
                settings = new_settings(
                    kafka.bootstrap, tmp, partitions=args.partitions, start_timeout_ms=30_000, session_timeout_ms=10_000
                )
                print(asyncio.run(restart(settings, args.facts, tmp / "worker.log")))
            finally:
                kafka.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
