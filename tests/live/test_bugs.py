"""A fault of ours in the core: after three tries its event is a dead letter `bug`, and all else goes on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from stepwatch.schemas import events as ev
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import format_time
from tests.live.harness import Worker, produce, read, until
from tests.live.road import assert_revisions_without_gap, audited, new_road, now_us

pytestmark = pytest.mark.live


def an_action(event_id: str, subject: str) -> bytes:
    event = {
        "id": event_id,
        "source": "/app",
        "type": ev.ACTION_PERFORMED,
        "time": format_time(now_us()),
        "subject": subject,
        "data": {"tenant": "acme", "session": "s", "action": "iam.role.grant"},
    }
    return json.dumps(event).encode()


def test_an_event_on_which_the_core_raises_is_a_dead_letter_after_three_tries_and_its_neighbours_are_judged(
    kafka: str, tmp_path: Path
) -> None:
    async def story() -> None:
        settings = await new_road(kafka, tmp_path)
        worker = Worker(settings, tmp_path / "log", "tests.live.bugged")
        key = subject_key("acme", "alice")
        partition = partition_of(key, settings.partitions)
        ids = [*(f"a-{n}" for n in range(20)), "boom-1", "late-boom-1", *(f"b-{n}" for n in range(20)), "boom-2"]
        actions = settings.topics.actions
        await produce(settings, actions, partition, [(key, an_action(event_id, "alice")) for event_id in ids])

        async def letters() -> dict[str, dict[str, str]]:
            found: dict[str, dict[str, str]] = {}
            for record in await read(settings, settings.topics.dead_letters):
                event_id = json.loads(record.value)["id"]
                assert event_id not in found, "a dead letter is there once"
                found[event_id] = {name: value.decode() for name, value in record.headers}
            return found

        async def all_done() -> bool:
            rows = await audited(settings)
            return len(rows) == 40 and len(await letters()) == 3

        await until(all_done, 90, "forty verdicts and three dead letters")
        found: dict[str, Any] = await letters()
        assert {event_id: (said["error"], said["detail"]) for event_id, said in found.items()} == {
            "boom-1": ("bug", "ZeroDivisionError: no idea what to do with boom-1"),
            "late-boom-1": ("bug", "LookupError: no words for late-boom-1"),
            "boom-2": ("bug", "ZeroDivisionError: no idea what to do with boom-2"),
        }
        assert found["boom-1"]["offset"] == "20"
        rows = await audited(settings)
        assert_revisions_without_gap(rows)
        assert {row["action_id"] for row in rows} == {event_id for event_id in ids if "boom" not in event_id}
        assert worker.process.poll() is None, worker.said
        assert worker.said.count("a record, which is tried again") == 2 * 3
        assert worker.said.count("dead letter `bug`") == 3
        assert worker.stop() == 0, worker.said

    asyncio.run(story())
