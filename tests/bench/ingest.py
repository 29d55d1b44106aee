"""How many events a second the ingest API takes beside a worker, in batches of 100, and how long a batch waits.

    .venv/bin/python -m tests.bench.ingest [--seconds 20] [--rate 5000] [--connections 8]

Batches are sent at a steady rate, each measured from the moment it was due: a server that falls behind cannot hide it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

import httpx

from stepwatch.embedded import ports
from stepwatch.embedded.folder import DataFolder
from stepwatch.embedded.kafka import EmbeddedKafka
from tests.live.harness import Worker, until, with_topics
from tests.web.api import Api, event

BATCH = 100


def main() -> None:
    """Measure on servers of its own, and print one line of JSON."""
    said = argparse.ArgumentParser(description=__doc__)
    said.add_argument("--seconds", type=int, default=20)
    said.add_argument("--rate", type=int, default=5000, help="events/s")
    said.add_argument("--connections", type=int, default=8)
    asked = said.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        folder = DataFolder(Path(tmp) / "servers")
        with folder.lock():
            kafka = EmbeddedKafka(folder, port=ports.any_free())
            kafka.start()
            try:
                print(json.dumps(measure(kafka.bootstrap, Path(tmp), asked.seconds, asked.rate, asked.connections)))
            finally:
                kafka.kill()


def measure(bootstrap: str, tmp: Path, seconds: int, rate: int, connections: int) -> dict[str, float]:
    """Start a worker and the API on a broker, send, and tell events/s and how long batches waited."""
    api = Api(bootstrap, tmp, partitions=4)
    asyncio.run(with_topics(api.settings))
    processes = [Worker(api.settings, tmp / "correlate.log", "stepwatch.cli.main correlate"), api.start()]
    try:
        asyncio.run(until(api.ready, 60, "ready"))
        begun = time.perf_counter()
        waits = asyncio.run(_send(api, seconds, rate, connections))
        took = time.perf_counter() - begun
    finally:
        for process in processes:
            process.kill()
    waits.sort()
    return {
        "events": len(waits) * BATCH,
        "events_per_s": round(len(waits) * BATCH / took),
        "p50_ms": round(1000 * waits[len(waits) // 2], 1),
        "p99_ms": round(1000 * waits[len(waits) * 99 // 100], 1),
        "max_ms": round(1000 * waits[-1], 1),
    }


async def _send(api: Api, seconds: int, rate: int, connections: int) -> list[float]:
    count, every = seconds * rate // BATCH, BATCH / rate
    headers = {"Authorization": f"Bearer {api.secret}", "Content-Type": "application/x-ndjson"}
    waits: list[float] = []
    numbers = iter(range(count))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{api.settings.ingest_port}", headers=headers) as client:
        begun = time.perf_counter()

        async def sender() -> None:
            for number in numbers:
                due = begun + number * every
                await asyncio.sleep(max(due - time.perf_counter(), 0))
                lines = [json.dumps(event(f"{number}-{n}", subject=f"p{(number + n) % 5000}")) for n in range(BATCH)]
                answer = await client.post("/v1/events", content="\n".join(lines))
                assert answer.status_code == 202, answer.text
                waits.append(time.perf_counter() - due)

        await asyncio.gather(*(sender() for _ in range(connections)))
    return waits


if __name__ == "__main__":
    main()
