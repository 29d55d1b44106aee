"""Is a worker after a long time what it was after a short one? Memory, descriptors, threads, latency.

    .venv/bin/python -m tests.faults.soak [--minutes 20] [--rate N] [--seed N] [--plot tests/faults/soak.svg]

First it measures for some seconds how many events a second this machine brings through with the load beside it, then it
sends 60 % of that (or `--rate`) to the roles `correlate` and `store`, and looks at both every 5 s.

By the contract a fact is kept for a day at least, so in 20 minutes of a real clock nothing would ever be forgotten, and
memory would grow for as long as one looks. So the log runs faster than the clock (`soak_load`): the day is over after a
quarter of the run. From then on as much is forgotten as is learnt, and only then memory has to be flat.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from stepwatch.agents.settings import Settings
from stepwatch.embedded import ports
from stepwatch.embedded.clickhouse import EmbeddedClickHouse
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.kafka import EmbeddedKafka
from tests.faults.grounds import CORRELATE, STORE, alter_topics
from tests.faults.soak_load import Plan, Sent
from tests.faults.soak_plot import plot
from tests.faults.soak_watch import Latencies, Sample, Watch, is_ready, metrics_of, thirds
from tests.faults.stage import Actor, Stage
from tests.live.harness import ROOT, environment, read, until

EVERY_S = 5.0
SHARE = 0.6
MEASURE_S = 15.0
_DAY_S, _ACCEPT_LATE_S, _SLACK_S = 86_400, 600, 3600
_GRACE_S, _REVISE_S = 1.0, 2.0
"""Of the wall clock; in the policy they are so much longer as the log is faster."""

FLAT = {
    "correlate_rss_mb": (1.10, 10.0),
    "store_rss_mb": (1.10, 10.0),
    "correlate_descriptors": (1.05, 2.0),
    "store_descriptors": (1.05, 2.0),
    "correlate_threads": (1.05, 1.0),
    "store_threads": (1.05, 1.0),
    "verified_p50_ms": (1.25, 10.0),
    "verified_p99_ms": (1.5, 50.0),
    "unverified_p50_ms": (1.25, 10.0),
    "unverified_p99_ms": (1.5, 50.0),
    "correlate_lag": (1.5, 20_000.0),
    "store_lag": (1.5, 40_000.0),
}
"""Figure -> what the last third may be of the first one: so many times as much, and so much more."""


def faster_for(minutes: float) -> tuple[float, float]:
    """(log seconds in a second, seconds after which as much is forgotten as is learnt): a quarter of the run."""
    full_s = minutes * 60 / 4
    faster = (_DAY_S + _ACCEPT_LATE_S + _SLACK_S) / full_s
    if (_GRACE_S + _REVISE_S) * faster > _SLACK_S:
        faster = (_DAY_S + _ACCEPT_LATE_S) / (full_s - _GRACE_S - _REVISE_S)
    return faster, full_s


def policy(faster: float) -> str:
    """Windows that are short by the wall clock, in the seconds of the log."""
    grace, revise, age, silent = (int(s * faster) for s in (_GRACE_S, _REVISE_S, 20, 10))
    return f"""\
version: 1
defaults:
  {{grace: {grace}s, revise_within: {revise}s, max_age: {age}s, lookback: 24h, accept_late: 10m, dedup: 24h}}
sources: [{{name: /idp, silent_after: {silent}s}}]
policies: [{{id: payout, match: {{action: ["payments.*"]}}, require: {{amr_any: [hwk]}}}}]
"""


class Soak:
    """One run.

    Args:
        stage: with both servers.
        minutes: of the main part.
        rate: events a second; 0: 60 % of what is measured first.
    """

    def __init__(self, stage: Stage, minutes: float, rate: float) -> None:
        self.stage = stage
        self.minutes = minutes
        self.rate = rate
        self.faster, self.full_s = faster_for(minutes)
        self.samples: list[Sample] = []
        self.sent = Counter[str]()
        self.base_mb = 0.0
        self.wrong: list[str] = []
        self._begin_s = 0.0

    async def run(self, data: Path) -> None:
        """Play it; what is not exact in the end is in `wrong`."""
        ports_of = {"correlate_web_port": ports.any_free(), "store_web_port": ports.any_free()}
        more = {**self.stage.with_clickhouse(), **ports_of, "session_timeout_ms": 10_000}
        settings = await self.stage.road(policy(self.faster), partitions=4, **more)
        correlate = self.stage.start(settings, CORRELATE, again=False)
        store = self.stage.start(settings, STORE, again=False)
        # A role looks at the topics when it starts, and would refuse them as they are from then on.
        for port in ports_of.values():
            await until(lambda port=port: is_ready(settings, port), 60, "the roles")
        await self._run_fast(settings)
        latencies = Latencies(settings, _GRACE_S)
        following = asyncio.create_task(latencies.follow())
        watch = Watch(settings, correlate, store, latencies, data)
        try:
            self.base_mb = (await watch.look(time.monotonic())).correlate_rss_mb
            if not self.rate:
                self.rate = SHARE * await self._measure(settings, watch)
            await self._main(settings, watch, (correlate, store))
            await self._play(settings, 20, 5, "tail")
            await self._until_drained(watch)
        finally:
            following.cancel()
            await asyncio.wait({following})
        self.wrong += await self._unaccounted(settings)
        for role in (correlate, store):
            if (status := await role.stop()) != 0 or "Traceback" in role.said:
                self.wrong.append(f"{role.log.name} ended with {status}: {role.said[-2000:]}")

    async def _run_fast(self, settings: Settings) -> None:
        """The log's times are the sender's from now on; what was read is deleted soon, or it would fill the disk."""
        topics = settings.topics
        soon = {"segment.bytes": str(32 << 20), "retention.bytes": str(128 << 20), "retention.ms": "-1"}
        fast = {"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": str(2**60)}
        await alter_topics(settings, (topics.actions, topics.authentications), {**fast, **soon})
        specs = {spec.name: {**spec.config, **spec.wished} for spec in topics.specs()}
        for topic in (topics.audit, topics.evidence):
            await alter_topics(settings, (topic,), {**specs[topic], **soon})
        short = {"segment.ms": "20000", "delete.retention.ms": "20000"}
        await alter_topics(settings, (topics.state,), {**specs[topics.state], **short})
        self._begin_s = time.time()

    async def _measure(self, settings: Settings, watch: Watch) -> float:
        """Events a second from the first to the last committed, while they come faster than that."""
        began = time.monotonic()
        before = self.sent["records"]
        await self._play(settings, 0, MEASURE_S, "measure")
        await self._until_drained(watch)
        seconds = time.monotonic() - began
        records = self.sent["records"] - before
        print(f"measured: {records} events through correlate and store in {seconds:.0f} s: {records / seconds:,.0f}/s")
        return records / seconds

    async def _main(self, settings: Settings, watch: Watch, roles: tuple[Actor, Actor]) -> None:
        print(
            f"{self.minutes:g} minutes at {self.rate:,.0f} events/s; the log runs {self.faster:.0f} times as fast as "
            f"the clock: windows are full after {self.full_s:.0f} s",
            flush=True,
        )
        began = time.monotonic()
        playing = asyncio.create_task(self._play(settings, self.rate, self.minutes * 60, "main"))
        try:
            while not playing.done():
                await asyncio.wait({playing}, timeout=max(0.0, EVERY_S - (time.monotonic() - began) % EVERY_S))
                assert all(role.running for role in roles), [role.said[-2000:] for role in roles]
                self.samples.append(await watch.look(began))
            await playing
        finally:
            playing.cancel()
            await asyncio.wait({playing})

    async def _play(self, settings: Settings, rate: float, seconds: float, name: str) -> None:
        plan = Plan(rate, seconds, self.faster, self._begin_s, self.stage.rng.randrange(10**9), name)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.faults.soak_load",
            json.dumps(asdict(plan)),
            cwd=ROOT,
            env=environment(settings),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, f"the load ended with {process.returncode}"
        for field, count in asdict(Sent(**json.loads(said))).items():
            self.sent[field] += count

    async def _until_drained(self, watch: Watch) -> None:
        async def drained() -> bool:
            # A control record after the last batch of a transaction counts as one that was not read.
            return max(await watch.lags()) <= 4 * 5

        await until(drained, 600, "reading what was sent")

    async def _unaccounted(self, settings: Settings) -> list[str]:
        """What became of every record, by the worker's own account, against what was sent."""
        found = await metrics_of(settings, settings.correlate_web_port)
        account, verdicts = Counter[str](), Counter[str]()
        for (name, labels), value in found.items():
            if name == "stepwatch_accounted_records":
                account[labels.split('as="')[1].split('"')[0]] += int(value)
            elif name == "stepwatch_verdicts_total":
                verdicts[labels.split('"')[1]] += int(value)
            elif name == "stepwatch_pulses_total":
                account["pulses"] += int(value)
        # A pulse bears our estimate of the log time, by the real clock. Where one input is a little ahead of the
        # other, in a log that runs faster, that is more than 10 minutes ahead: a dead letter, as any event would be.
        letters = await read(settings, settings.topics.dead_letters)
        wrong = [str(letter.value) for letter in letters if b'"source":"stepwatch"' not in letter.value]
        account["heartbeat"] += account.pop("dead_letter", 0)
        sent = self.sent
        wanted = {
            "audit": sent["verified"] + sent["unverified"] + sent["not_required"],
            "evidence": sent["evidence"],
            "heartbeat": sent["heartbeats"] + account.pop("pulses", 0),
        }
        if +account != Counter(wanted):
            wrong.append(f"account {dict(account)}, sent {wanted}")
        for verdict in ("verified", "unverified"):
            if verdicts[verdict] != sent[verdict]:
                wrong.append(f"{verdicts[verdict]} rows say {verdict}, {sent[verdict]} actions call for it")
        return wrong

    def table(self) -> tuple[list[str], list[str]]:
        """(lines of the table, what is not flat)."""
        first, last = thirds(self.samples, self.full_s * 1.1)
        lines = ["| figure | first third | last third | ratio |", "|---|---|---|---|"]
        uneven = []
        for name in Sample._fields[1:]:
            one, other = first[name], last[name]
            ratio = other / one if one else float("nan")
            lines.append(f"| {name.replace('_', ' ')} | {one:,.1f} | {other:,.1f} | {ratio:.2f} |")
            times, more = FLAT.get(name, (float("inf"), 0.0))
            if not other <= one * times + more:
                uneven.append(f"{name}: {one:,.1f}, then {other:,.1f}: more than {times:g} times and {more:g}")
        return lines, uneven

    def words(self) -> str:
        """One paragraph of figures."""
        _, last = thirds(self.samples, self.full_s * 1.1)
        # Each policed action keeps itself and its proof.
        live = 2 * 0.05 * self.rate * self.full_s
        each = (last["correlate_rss_mb"] - self.base_mb) * 1e6 / live
        return (
            f"{self.minutes:g} minutes at {self.rate:,.0f} events/s ({self.sent['records']:,} records in all), the log "
            f"{self.faster:.0f} times as fast as the clock; {live:,.0f} facts and actions live at any time once the "
            f"windows were full, {each:,.0f} bytes of resident memory each; {self.sent['verified']:,} verified, "
            f"{self.sent['unverified']:,} unverified, all accounted for: {'no' if self.wrong else 'yes'}"
        )


def main() -> int:
    """Run it; 1 where something was not flat or not exact."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=float, default=0, help="events a second (default: 60 %% of what is measured)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, default=Path(__file__).with_name("soak.svg"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stepwatch-soak-", ignore_cleanup_errors=True) as name:
        tmp = Path(name)
        folder = DataFolder(tmp / "servers")
        with folder.lock():
            kafka = EmbeddedKafka(folder, port=ports.any_free())
            clickhouse = EmbeddedClickHouse(folder, port=ports.any_free())
            try:
                kafka.start()
                clickhouse.start()
                soak = Soak(Stage("soak", tmp, kafka, clickhouse, seed=args.seed), args.minutes, args.rate)
                asyncio.run(_to_its_end(soak, tmp / "servers" / "kafka" / "data"))
            finally:
                kafka.kill()
                clickhouse.kill()
    lines, uneven = soak.table()
    args.plot.write_text(plot(soak.samples, f"Soak: {soak.minutes:g} min at {soak.rate:,.0f} events/s", soak.full_s))
    print(*lines, "", soak.words(), f"plot: {args.plot}", *soak.wrong, *uneven, sep="\n")
    return 1 if uneven or soak.wrong else 0


async def _to_its_end(soak: Soak, data: Path) -> None:
    try:
        await soak.run(data)
    except BaseException:
        print(*(log.read_text(errors="replace")[-3000:] for log in soak.stage.tmp.glob("*.log")), sep="\n")
        raise
    finally:
        await soak.stage.close()


if __name__ == "__main__":
    sys.exit(main())
