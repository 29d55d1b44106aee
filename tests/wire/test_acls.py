"""The recipe of rights in deploy/: each role works with its user and exactly its rights, and says which it lacks."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import ClusterAuthorizationFailedError, TopicAuthorizationFailedError
from pydantic import SecretStr

from stepwatch.agents.settings import Settings
from stepwatch.embedded import ports
from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import format_time
from tests.live.harness import new_settings, read, until, with_topics
from tests.live.road import POLICY, Role, Town, assert_accounted, query, until_judged, verdicts_of
from tests.servers import ClickHouseSettings
from tests.web.api import Api, event, serving
from tests.web.console.pages import csrf_of, sign_in
from tests.wire.commands import PATIENCE_MS, run, run_all
from tests.wire.estates import Estate, administrator, found_estate
from tests.wire.listeners import ROLES, Wire
from tests.wire.rights import Right, grant, granted, kafka_acls_tool, recipe, rights_of, take_away

pytestmark = pytest.mark.live
INPUTS = {"actions", "authentications", "responses"}
OUTPUTS = {"audit", "evidence", "alerts", "dead-letters"}
TOPICS = INPUTS | OUTPUTS | {"policies", "state", "notifications"}
READS: dict[str, set[str]] = {
    "producer": set(),
    "sender": {"policies"},
    "correlate": TOPICS - {"alerts", "notifications"},
    "store": OUTPUTS | {"responses"},
    "notify": {"alerts", "dead-letters", "notifications"},
    "ingest": {"authentications", "policies", "alerts", "responses"},
    "console": INPUTS | {"policies", "alerts", "dead-letters", "notifications"},
    "operator": {"policies"},
    "publisher": {"policies"},
    "repairer": INPUTS | {"policies", "dead-letters"},
    "responder": {"alerts", "responses", "notifications"},
    "auditor": TOPICS - {"state"},
    "doctor": TOPICS,
}
WRITES: dict[str, set[str]] = {
    "producer": {"actions", "authentications"},
    "sender": {"actions", "authentications"},
    "correlate": INPUTS | OUTPUTS | {"state"},
    "store": set(),
    "notify": {"notifications"},
    "ingest": {"actions", "authentications", "responses"},
    "console": INPUTS | {"notifications"},
    "operator": {"policies"},
    "publisher": {"policies"},
    "repairer": INPUTS,
    "responder": {"responses", "notifications"},
    "auditor": set(),
    "doctor": set(),
}


@pytest.fixture(scope="module")
def estate(wire: Wire, clickhouse: ClickHouseSettings, tmp_path_factory: pytest.TempPathFactory) -> Estate:
    made = found_estate(wire, clickhouse, tmp_path_factory.mktemp("estate"))
    policy = made.tmp / "policies" / "none.yaml"
    policy.write_text(POLICY)
    for command in ("topics create", f"policy apply --now {policy}"):
        done = run(made.settings("operator"), command)
        assert done.status == 0, done
    return made


async def _report(settings: Settings, town: Town, count: int) -> None:
    """Send events as an application does: an idempotent producer that knows nothing but its two topics."""
    topics = settings.topics
    async with AIOKafkaProducer(**settings.kafka_client_options(), enable_idempotence=True) as producer:
        for _ in range(count):
            family, key, body = town.one()
            topic = topics.actions if family == "action" else topics.authentications
            await producer.send_and_wait(topic, body, key, partition=partition_of(key, settings.partitions))


def test_the_whole_road_works_with_a_user_for_each_role(estate: Estate, tmp_path: Path) -> None:
    town = Town(22, time.time_ns() // 1000, tenant=f"acl-{estate.prefix}"[:-1])
    auditor = estate.settings("auditor", policies_dir=estate.tmp / "policies")

    async def road() -> None:
        names = ("correlate", "store", "notify")
        roles = {name: Role(estate.settings(name), tmp_path / f"{name}.log", name) for name in names}
        try:
            await _report(estate.settings("producer"), town, 60)
            _send_file(estate, tmp_path, town)
            await assert_accounted(auditor, await until_judged(auditor))
            # In a partition that is not its subject's: the worker moves it, which is a write to an input.
            await _misplace(estate.settings("producer"), town)
            await until(lambda: _moved(auditor), 60, "the move")
            rows = await until_judged(auditor)
            await until(lambda: _stored(estate, town, rows), 60, "the rows in ClickHouse")
            await until(lambda: _told(roles["notify"], town), 60, "an alert on the console")
            for name, role in roles.items():
                assert role.stop() == 0, (name, role.said)
                assert not estate.wire.secrets.told_by(role.said)
        finally:
            for role in roles.values():
                role.kill()

    asyncio.run(road())
    listed, replayed, noted, doctor = run_all(
        (estate.settings("repairer"), "dead-letters list --json", {}),
        (estate.settings("repairer"), "dead-letters replay --all", {}),
        (estate.settings("responder"), "alerts note 0 x", {}),
        (estate.settings("doctor"), "doctor --account", {}),
    )
    assert (listed.status, len(listed.out.splitlines()) > 0) == (0, True), listed
    assert "not granted" not in replayed.err + replayed.out + doctor.err + doctor.out, (replayed, doctor)
    assert "begin" in noted.err or ": noted, by " in noted.err, noted


def _send_file(estate: Estate, tmp: Path, town: Town) -> None:
    file = tmp / "events.jsonl"
    file.write_bytes(_action(town, "in a file"))
    sent = run(estate.settings("sender"), ["send", str(file)])
    assert sent.status == 0, sent


def _action(town: Town, name: str) -> bytes:
    """An action of `wanderer` that a policy matches."""
    event = {
        "specversion": "1.0",
        "id": name,
        "source": "/app",
        "type": "stepwatch.action.performed",
        "time": format_time(town.now_us),
        "subject": "wanderer",
        "data": {"tenant": town.tenant, "action": "iam.role.grant"},
    }
    return json.dumps(event).encode()


async def _misplace(settings: Settings, town: Town) -> None:
    key = subject_key(town.tenant, "wanderer")
    elsewhere = (partition_of(key, settings.partitions) + 1) % settings.partitions
    async with AIOKafkaProducer(**settings.kafka_client_options(), enable_idempotence=True) as producer:
        await producer.send_and_wait(settings.topics.actions, _action(town, "astray"), key, partition=elsewhere)


async def _moved(settings: Settings) -> bool:
    records = await read(settings, settings.topics.actions)
    return any(name == "stepwatch-moves" for record in records for name, _ in record.headers)


async def _stored(estate: Estate, town: Town, rows: list[dict[str, Any]]) -> bool:
    try:
        sql = f"select count() as n from audit_current where tenant = '{town.tenant}'"
        [found] = query(estate.settings("store"), sql)
    except Exception:  # the store has not made the tables yet
        return False
    return bool(int(found["n"]) == len(verdicts_of(rows)))


async def _told(notify: Role, town: Town) -> bool:
    return any(line.startswith("OPENED") and town.tenant in line for line in notify.said.splitlines())


def test_the_api_takes_events_and_decisions_with_its_user_whether_a_worker_reads_them_or_not(
    estate: Estate, tmp_path: Path
) -> None:
    api = Api("", tmp_path, estate.settings("ingest"))
    worker = Role(estate.settings("correlate"), tmp_path / "correlate.log", "correlate")

    async def alerts() -> list[str]:
        found = [row["alert_id"] for row in api.ask("/v1/alerts").said["alerts"]]
        return found if len(found) == 2 else []

    try:
        with serving(api) as process:
            heavy = {"sensitivity": "critical"}  # and no policy: an alert of its own
            sent = [event(name, subject=name, action="a.b", resource=heavy) for name in ("over-http-1", "over-http-2")]
            assert api.post(*sent).status == 202
            first, second = asyncio.run(until(alerts, 60, "the alerts"))
            assert api.ask(f"/v1/alerts/{first}/resolve", b"").said["state"] == "resolved"
            assert worker.stop() == 0, worker.said
            pending = api.ask(f"/v1/alerts/{second}/resolve", b"")
            assert (pending.status, pending.said["state"]) == (202, "open"), pending.body
    finally:
        worker.kill()
    assert not estate.wire.secrets.told_by(process.said)


def test_the_console_shows_and_decides_with_its_user(estate: Estate, tmp_path: Path) -> None:
    settings = estate.settings("console", console_port=ports.any_free(), console_token=SecretStr("token-of-a-test"))
    worker = Role(estate.settings("correlate"), tmp_path / "correlate.log", "correlate")
    console = Role(settings, tmp_path / "console.log", "console")
    topics = settings.topics
    act = event("seen-on-a-page", subject="carla", action="a.b", resource={"sensitivity": "critical"})

    async def send() -> None:
        key = subject_key(act["data"]["tenant"], "carla")
        async with AIOKafkaProducer(**estate.settings("producer").kafka_client_options()) as producer:
            partition = partition_of(key, settings.partitions)
            await producer.send_and_wait(topics.actions, json.dumps(act).encode(), key, partition=partition)

    try:
        with httpx.Client(base_url=f"http://{ports.HOST}:{settings.console_port}") as browser:

            async def ready() -> bool:
                try:
                    return browser.get("/readyz").status_code == 200
                except httpx.TransportError:
                    return False

            async def listed() -> str:
                found = re.search(r'href="/alerts/(al_[0-9a-f]+)"', browser.get("/alerts?subject=carla").text)
                return found[1] if found else ""

            asyncio.run(until(ready, 60, "ready"))
            assert sign_in(browser, "token-of-a-test").status_code == 303
            asyncio.run(send())
            alert = asyncio.run(until(listed, 60, "the alert"))
            assert browser.get("/dead-letters").status_code == 200
            form = {"csrf": csrf_of(browser.get("/")), "seen": "1", "note": "known", "for": "1h"}
            for decision in ("mute", "acknowledge", "resolve"):
                assert browser.post(f"/alerts/{alert}/{decision}", data=form).status_code == 303, decision
        assert (console.stop(), worker.stop()) == (0, 0), console.said
        assert not estate.wire.secrets.told_by(console.said)
    finally:
        console.kill()
        worker.kill()


def test_each_user_reads_and_writes_what_its_role_needs_and_nothing_else(
    wire: Wire, clickhouse: ClickHouseSettings, tmp_path: Path
) -> None:
    # Of its own: what is written here would be no good to a worker.
    estate = found_estate(wire, clickhouse, tmp_path)
    asyncio.run(with_topics(estate.settings("operator")))

    async def attempt_all(role: str) -> tuple[set[str], set[str]]:
        settings = estate.settings(role)
        return await _readable(settings), await _writable(settings)

    found = {role: asyncio.run(attempt_all(role)) for role in ROLES}
    assert {role: reads for role, (reads, _) in found.items()} == READS
    assert {role: writes for role, (_, writes) in found.items()} == WRITES


async def _readable(settings: Settings) -> set[str]:
    """The topics that can be read, without the prefix."""
    found = set()
    async with AIOKafkaConsumer(**settings.kafka_client_options(), fetch_max_wait_ms=50) as consumer:
        for topic in sorted(TOPICS):
            tp = TopicPartition(settings.prefix + topic, 0)
            consumer.assign([tp])
            try:
                await consumer._client._wait_on_metadata(tp.topic)
                consumer.seek(tp, 0)
                # With the right it returns as soon as the broker has answered, with a record or without.
                await consumer.getmany(tp, timeout_ms=300)
            except TopicAuthorizationFailedError:
                continue
            found.add(topic)
    return found


async def _writable(settings: Settings) -> set[str]:
    """The topics that take a record. It is no event; nothing reads them any more."""
    found = set()
    for topic in sorted(TOPICS):
        # A producer for each: a refusal is the end of it.
        producer = AIOKafkaProducer(**settings.kafka_client_options(), enable_idempotence=True)
        try:
            await producer.start()
            await producer.send_and_wait(settings.prefix + topic, b"{}", b"k", partition=0)
            found.add(topic)
        except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError):
            pass
        finally:
            await producer.stop()
    return found


MISSING = [
    ("sender", "Write", "topic", "actions", "send {events}"),
    ("sender", "DescribeConfigs", "topic", "", "send {events}"),
    ("correlate", "DescribeConfigs", "topic", "", "correlate"),
    ("correlate", "Read", "topic", "policies", "correlate"),
    ("correlate", "Read", "topic", "authentications", "correlate"),
    ("correlate", "Read", "topic", "state", "correlate"),
    ("correlate", "Read", "group", "correlate", "correlate"),
    ("correlate", "Write", "topic", "audit", "correlate"),
    ("correlate", "Write", "topic", "state", "correlate"),
    ("correlate", "Write", "transactional-id", "correlate-", "correlate"),
    ("store", "Read", "topic", "evidence", "store"),
    ("store", "Read", "group", "store", "store"),
    ("notify", "Read", "topic", "alerts", "notify"),
    ("notify", "Read", "group", "notify", "notify"),
    ("ingest", "Read", "topic", "policies", "ingest"),
    ("ingest", "Read", "topic", "authentications", "ingest"),
    ("ingest", "Read", "topic", "alerts", "ingest"),
    ("ingest", "Read", "topic", "responses", "ingest"),
    ("operator", "Create", "topic", "", "topics create"),
    ("operator", "Write", "topic", "policies", "policy apply {policy}"),
    ("publisher", "Read", "topic", "policies", "policy apply {policy}"),
    ("repairer", "Read", "topic", "dead-letters", "dead-letters list"),
    ("responder", "Read", "topic", "alerts", "alerts note 0 x"),
]


@pytest.mark.parametrize("role", sorted({case[0] for case in MISSING}))
def test_one_right_that_is_missing_is_named_at_once(estate: Estate, tmp_path: Path, role: str) -> None:
    (tmp_path / "policy.yaml").write_text("version: 1\npolicies: []\n")
    (tmp_path / "events.jsonl").write_bytes(_action(Town(23, time.time_ns() // 1000), "not to be taken"))
    files = {"events": tmp_path / "events.jsonl", "policy": tmp_path / "policy.yaml"}

    async def without(right: Right, settings: Settings, command: str) -> None:
        async with administrator(estate.wire) as admin:
            await take_away(admin, right)
            try:
                ended = await asyncio.to_thread(run, settings, command.format(**files))
            finally:
                await grant(admin, right)
        assert ended.status == 2, (right, ended)
        said = [line for line in ended.err.splitlines() if f"lets user '{role}' in, but " in line]
        assert len(said) == 1, ended
        assert _names(right, said[0]), (right, said)
        assert "deploy/kafka-acls.sh" in said[0]
        assert "Traceback" not in ended.err, ended
        assert not estate.wire.secrets.told_by(ended.out + ended.err), ended

    for _, operation, kind, name, command in (case for case in MISSING if case[0] == role):
        # Topics that are not there yet: only then there is something to create.
        prefix = {"prefix": estate.prefix + "more."} if operation == "Create" else {}
        settings = estate.settings(role, start_timeout_ms=PATIENCE_MS, **prefix)
        asyncio.run(without(estate.right(role, operation, kind, name), settings, command))


def _names(right: Right, said: str) -> bool:
    """Whether a sentence says which right is missing, as far as Kafka lets us know."""
    named = said.partition(" in, but ")[2].partition(" is not granted")[0]
    # Kafka answers a producer that may write nowhere before it has named a topic.
    if named == "Write on any topic":
        return right.operation == "Write"
    operations, _, on = named.partition(" on ")
    kind, _, name = on.rpartition(" ")
    return (
        right.operation in operations.split(" or ")
        and kind == right.kind.replace("-", " ")
        and name.startswith(right.name)
    )


def test_a_user_of_no_role_is_let_in_and_may_nothing(estate: Estate, tmp_path: Path) -> None:
    # Rights of this prefix are no rights of another.
    (tmp_path / "policy.yaml").write_text("version: 1\npolicies: []\n")
    commands = ("correlate", "notify", "topics create", f"policy apply {tmp_path / 'policy.yaml'}")
    foreign = estate.settings("correlate", prefix="foreign.", start_timeout_ms=PATIENCE_MS)
    for ended in run_all(*((foreign, command, {}) for command in commands)):
        assert ended.status == 2, ended
        said = [line for line in ended.err.splitlines() if "lets user 'correlate' in" in line and "foreign." in line]
        assert len(said) == 1, ended
        assert "is not granted" in said[0]


def test_the_recipe_refuses_a_role_that_it_does_not_know(wire: Wire, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no such role: wizard"):
        recipe(tmp_path, wire.at("PLAINTEXT"), "p.", "wizard=User:merlin")


@pytest.mark.index
def test_kafkas_own_tool_grants_and_removes_what_the_recipe_says(wire: Wire, tmp_path: Path) -> None:
    tool = kafka_acls_tool(tmp_path)
    prefix = new_settings("", tmp_path).prefix

    async def asked(principal: str) -> set[Right]:
        async with administrator(wire) as admin:
            return await granted(admin, principal)

    lines = recipe(tmp_path, wire.at("PLAINTEXT"), prefix, "correlate=User:real", tool=tool)
    assert asyncio.run(asked("User:real")) == rights_of(lines) != set()
    recipe(tmp_path, wire.at("PLAINTEXT"), prefix, "producer=User:leaver", tool=tool)
    assert len(asyncio.run(asked("User:leaver"))) == 2
    recipe(tmp_path, wire.at("PLAINTEXT"), prefix, "producer=User:leaver", tool=tool, REMOVE="1")
    assert asyncio.run(asked("User:leaver")) == set()
