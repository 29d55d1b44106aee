"""Events of clients that are not ours: judged right, wherever a partitioner or an alias puts them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stepwatch.agents.settings import Settings
from stepwatch.schemas import events as ev
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import format_time, parse_time
from stepwatch.streams.routing import FIRST_ARRIVAL, MOVES
from tests.live.foreign_clients import CLIENTS, Sent
from tests.live.harness import new_settings, read, until, with_topics
from tests.live.road import Role, now_us, replayed, until_judged, verdicts_of

pytestmark = pytest.mark.live
PARTITIONS, SUBJECTS, TENANT = 3, 12, "acme"
SUBJECT, ALIAS = "sofia", "00u1sofia"
"""Their keys belong into different partitions."""
POLICY = f"""
version: 1
defaults: {{grace: 1s}}
identities: [{{subject: {SUBJECT}, aliases: ["{ALIAS}"]}}]
policies:
  - id: grant
    match: {{action: ["iam.*"]}}
    require: {{amr_any: [hwk, otp]}}
"""


def one(settings: Settings, name: str, subject: str, kind: str, **data: Any) -> Sent:
    topic = settings.topics.actions if kind == ev.ACTION_PERFORMED else settings.topics.authentications
    event = {
        "id": name, "source": "/foreign", "type": kind, "time": format_time(now_us()), "subject": subject,
        "data": {"tenant": TENANT, "session": "s", **data},
    }  # fmt: skip
    return Sent(topic, subject_key(TENANT, subject).decode(), json.dumps(event))


def some(settings: Settings) -> list[Sent]:
    """An action of each subject, of every other one proved; of one person proof and actions by both names."""
    sent = []
    for number in range(SUBJECTS):
        who = f"usér-{number}"
        if number % 2:
            sent.append(one(settings, f"v-{number}", who, ev.STEPUP_VERIFIED, amr=["otp"]))
        sent.append(one(settings, f"a-{number}", who, ev.ACTION_PERFORMED, action="iam.role.grant"))
    sent.append(one(settings, "v-alias", ALIAS, ev.STEPUP_VERIFIED, amr=["otp"]))
    sent.append(one(settings, "a-name", SUBJECT, ev.ACTION_PERFORMED, action="iam.role.grant"))
    sent.append(one(settings, "a-alias", ALIAS, ev.ACTION_PERFORMED, action="iam.role.grant"))
    return sent


def expected() -> dict[str, str]:
    """Action -> verification; "" where none covers it."""
    by_number = {f"a-{number}": f"v-{number}" if number % 2 else "" for number in range(SUBJECTS)}
    return {**by_number, "a-name": "v-alias", "a-alias": "v-alias"}


def home_of(sent: Sent) -> int:
    """The partition of the canonical subject."""
    subject = json.loads(sent.value)["subject"]
    return partition_of(subject_key(TENANT, SUBJECT if subject == ALIAS else subject), PARTITIONS)


async def records_of(settings: Settings) -> list[Any]:
    """All of both inputs but our own pulses."""
    both = [await read(settings, topic) for topic in (settings.topics.actions, settings.topics.authentications)]
    return [record for records in both for record in records if json.loads(record.value)["source"] != "stepwatch"]


def log_times(records: list[Any]) -> dict[tuple[str, int, int], int]:
    """Arrival of each record by topic, partition and offset, us: the greatest append time up to it."""
    greatest: Counter[tuple[str, int]] = Counter()
    found = {}
    for record in records:
        where = (record.topic, record.partition)
        greatest[where] = max(greatest[where], record.timestamp * 1000)
        found[*where, record.offset] = greatest[where]
    return found


def test_the_alias_lies_elsewhere_than_the_subject() -> None:
    homes = {partition_of(subject_key(TENANT, name), PARTITIONS) for name in (SUBJECT, ALIAS)}
    assert len(homes) == 2


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.index if name == "node" else ()) for name in CLIENTS]
)
def test_what_a_foreign_client_sends_is_moved_where_it_must_and_judged_by_when_it_came(
    name: str, kafka: str, tmp_path: Path
) -> None:
    client = CLIENTS[name]

    async def story() -> None:
        settings = new_settings(kafka, tmp_path, partitions=PARTITIONS)
        assert settings.policies_dir is not None
        (settings.policies_dir / "none.yaml").write_text(POLICY)
        await with_topics(settings)
        sent = some(settings)
        (tmp_path / "client").mkdir()
        await asyncio.to_thread(client.send, kafka, sent, tmp_path / "client")
        came = await records_of(settings)
        where = {json.loads(record.value)["id"]: record.partition for record in came}
        # The client is what we take it for, else this test shows nothing of it.
        assert where == {
            json.loads(record.value)["id"]: client.partitioner(record.key.encode(), PARTITIONS) for record in sent
        }
        arrivals = log_times(came)
        arrived = {
            json.loads(record.value)["id"]: arrivals[record.topic, record.partition, record.offset] for record in came
        }
        astray = {i for record in sent if where[i := json.loads(record.value)["id"]] != home_of(record)}
        assert {"v-alias", "a-alias"} <= astray or name == "librdkafka"
        assert len(astray) > 3 or name != "librdkafka"
        worker = Role(settings, tmp_path / "log", "correlate")
        try:
            await until(lambda: _has_moved(settings, len(astray)), 60, "every move")
            rows = await until_judged(settings)
            assert worker.stop() == 0, worker.said
        finally:
            worker.kill()
        verdicts = {key[3]: said[3] for key, said in verdicts_of(rows).items()}
        assert verdicts == expected()
        assert verdicts_of(rows) == verdicts_of([r for r in await replayed(settings) if r["kind"] == "verdict"])
        assert {row["action_id"]: parse_time(row["arrival"]) for row in rows} == {
            action: arrived[action] for action in expected()
        }
        moved = {json.loads(record.value)["id"]: dict(record.headers) for record in await _moved(settings)}
        assert moved.keys() == astray
        assert {headers[MOVES] for headers in moved.values()} <= {b"1"}
        assert {i: parse_time(headers[FIRST_ARRIVAL].decode()) for i, headers in moved.items()} == {
            i: arrived[i] for i in astray
        }
        assert await read(settings, settings.topics.dead_letters) == []

    asyncio.run(story())


async def _moved(settings: Settings) -> list[Any]:
    return [record for record in await records_of(settings) if any(name == MOVES for name, _ in record.headers)]


async def _has_moved(settings: Settings, count: int) -> bool:
    return len(await _moved(settings)) >= count
