"""The recipes for Vector, Fluent Bit and Kafka Connect: options that their documentation has, the right topic and key.

None of the three runs here. So every option is held to a list written from the product's reference; an option that a
recipe begins to use is added here by whoever has read what it means. Fluent Bit's filter is Lua, and runs.
Vector's program was compiled and run by hand, with the crate vrl 0.38, on the lines of Fluent Bit's test: do so again
after a change.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import lupa
import pytest
import yaml

from stepwatch.schemas.events import ACTION_PERFORMED, HEARTBEAT, STEPUP_VERIFIED
from stepwatch.schemas.keys import subject_key
from stepwatch.schemas.topics import EVENT_BYTES_MAX, Topics

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "shipping"
TOPICS = Topics()
BOTH = {TOPICS.actions, TOPICS.authentications}

VECTOR = {
    # vector.dev/docs/reference/configuration: sources, transforms, sinks.
    "file source": {"type", "include", "max_line_bytes"},
    "aws_s3 source": {"type", "region", "compression", "sqs", "acknowledgements"},
    "remap": {"type", "inputs", "source"},
    "kafka": {
        *("type", "inputs", "bootstrap_servers", "topic", "healthcheck_topic", "key_field", "encoding", "compression"),
        *("acknowledgements", "buffer", "librdkafka_options"),
    },
    "file": {"type", "inputs", "path", "encoding", "framing"},
}
FLUENT_BIT = {
    # docs.fluentbit.io/manual: inputs/tail, filters/parser, filters/lua, outputs/kafka; rdkafka.* is librdkafka's.
    "tail": {
        *("tag", "path", "db", "read_from_head", "buffer_max_size", "skip_long_lines", "storage.type"),
    },
    "parser": {"match", "key_name", "parser", "reserve_data", "preserve_key"},
    "lua": {"match", "script", "call"},
    "kafka": {
        *("match", "brokers", "topics", "topic_key", "message_key_field", "format", "raw_log_key", "retry_limit"),
        *("rdkafka.partitioner", "rdkafka.enable.idempotence", "rdkafka.compression.codec"),
    },
}
OUTBOX = {
    # debezium.io/documentation: PostgreSQL connector, Outbox Event Router; kafka.apache.org/documentation: Connect.
    *("connector.class", "plugin.name", "database.hostname", "database.port", "database.user", "database.password"),
    *("database.dbname", "topic.prefix", "slot.name", "publication.autocreate.mode", "table.include.list"),
    *("tombstones.on.delete", "skipped.operations", "heartbeat.interval.ms", "transforms", "transforms.outbox.type"),
    *("transforms.outbox.table.field.event.id", "transforms.outbox.table.field.event.key"),
    *("transforms.outbox.table.field.event.payload", "transforms.outbox.route.by.field"),
    *("transforms.outbox.route.topic.replacement", "transforms.outbox.predicate", "predicates"),
    *("predicates.of_the_table.type", "predicates.of_the_table.pattern", "key.converter", "value.converter"),
    *("producer.override.acks", "producer.override.enable.idempotence", "producer.override.compression.type"),
    "errors.tolerance",
}


def said_in(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["vector.yaml", "vector-s3.yaml"])
def test_vector_knows_every_option(name: str) -> None:
    said = said_in(name)
    assert set(said) <= {"data_dir", "sources", "transforms", "sinks"}
    parts = [(f"{part['type']} source", part) for part in said["sources"].values()]
    parts += [(part["type"], part) for kind in ("transforms", "sinks") for part in said.get(kind, {}).values()]
    for kind, part in parts:
        assert set(part) <= VECTOR[kind], kind


@pytest.mark.parametrize("name", ["vector.yaml", "vector-s3.yaml"])
def test_what_vector_reads_is_what_is_there(name: str) -> None:
    said = said_in(name)
    there = {*said["sources"], *said.get("transforms", {})}
    for part in (*said.get("transforms", {}).values(), *said["sinks"].values()):
        assert set(part["inputs"]) <= there


def test_vector_sends_lines_as_they_are_by_javas_partitioner() -> None:
    said = said_in("vector.yaml")
    sink = said["sinks"]["stepwatch"]
    topics = re.findall(r'\.topic = "(\w+)"', said["transforms"]["keyed"]["source"])
    assert {sink["topic"].replace("{{ topic }}", topic) for topic in topics} == BOTH
    assert sink["healthcheck_topic"] in BOTH
    assert sink["encoding"] == {"codec": "text"}
    assert sink["librdkafka_options"]["partitioner"] == "murmur2_random"
    assert all(isinstance(value, str) for value in sink["librdkafka_options"].values())
    assert said["sources"]["events"]["max_line_bytes"] >= EVENT_BYTES_MAX
    assert f'"{ACTION_PERFORMED}"' in said["transforms"]["keyed"]["source"]


def test_fluent_bit_knows_every_option() -> None:
    said = said_in("fluent-bit.yaml")
    assert set(said) == {"service", "parsers", "pipeline"}
    for part in (part for kind in said["pipeline"].values() for part in kind):
        assert set(part) - {"name"} <= FLUENT_BIT[part["name"]], part["name"]


def test_fluent_bit_sends_lines_as_they_are_by_javas_partitioner() -> None:
    said = said_in("fluent-bit.yaml")["pipeline"]
    (sink,) = said["outputs"]
    assert set(sink["topics"].split(",")) == BOTH
    assert (sink["topic_key"], sink["message_key_field"]) == ("stepwatch_topic", "stepwatch_key")
    assert (sink["format"], sink["raw_log_key"]) == ("raw", "log")
    assert sink["rdkafka.partitioner"] == "murmur2_random"
    assert [part["parser"] for part in said["filters"] if part["name"] == "parser"] == ["event"]
    assert said["filters"][-1]["script"] == "fluent-bit.lua"


def routed(record: dict[str, Any]) -> tuple[Any, Any]:
    """Topic and key that Fluent Bit's filter gives a record."""
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    lua.execute((FOLDER / "fluent-bit.lua").read_text(encoding="utf-8"))
    code, stamp, found = lua.globals().route("stepwatch", 1.5, lua.table_from(record, recursive=True))
    assert (code, stamp) == (2, 1.5)
    return found.stepwatch_topic, found.stepwatch_key


@pytest.mark.parametrize(
    ("record", "topic", "key"),
    [
        (
            {"type": ACTION_PERFORMED, "subject": "alice", "data": {"tenant": "acme"}},
            TOPICS.actions,
            subject_key("acme", "alice"),
        ),
        ({"type": STEPUP_VERIFIED, "subject": "é", "data": {}}, TOPICS.authentications, subject_key("default", "é")),
        ({"type": ACTION_PERFORMED, "subject": "a"}, TOPICS.actions, subject_key("default", "a")),
        (
            {"type": ACTION_PERFORMED, "subject": "a", "data": {"tenant": ""}},
            TOPICS.actions,
            subject_key("default", "a"),
        ),
        ({"type": ACTION_PERFORMED, "subject": "a", "data": "x"}, TOPICS.actions, subject_key("default", "a")),
        (
            {"type": ACTION_PERFORMED, "subject": "a", "data": {"tenant": 7}},
            TOPICS.actions,
            subject_key("default", "a"),
        ),
        ({"type": ACTION_PERFORMED, "subject": ""}, TOPICS.actions, None),
        ({"type": ACTION_PERFORMED, "subject": 7}, TOPICS.actions, None),
        ({"type": HEARTBEAT}, TOPICS.authentications, None),
        ({"log": "no JSON"}, TOPICS.authentications, None),
    ],
)
def test_fluent_bits_filter_gives_each_line_its_topic_and_key(
    record: dict[str, Any], topic: str, key: bytes | None
) -> None:
    assert routed(record) == (topic, None if key is None else key.decode())


def test_kafka_connect_knows_every_option() -> None:
    config = json.loads((FOLDER / "kafka-connect-outbox.json").read_text(encoding="utf-8"))["config"]
    assert set(config) == OUTBOX
    assert all(isinstance(value, str) for value in config.values())


def test_kafka_connect_sends_the_columns_of_the_outbox_as_they_are() -> None:
    config = json.loads((FOLDER / "kafka-connect-outbox.json").read_text(encoding="utf-8"))["config"]
    table = (FOLDER / "outbox.sql").read_text(encoding="utf-8")
    columns = set(re.findall(r"^    (\w+) (?:uuid|text)\b", table, re.M))
    outbox = "transforms.outbox."
    used = [f"table.field.event.{one}" for one in ("id", "key", "payload")] + ["route.by.field"]
    assert {config[outbox + option] for option in used} == columns
    replacement = config[outbox + "route.topic.replacement"]
    allowed = re.findall(r"'(\w+)'", table.partition("topic in (")[2].partition(")")[0])
    assert {replacement.replace("${routedByValue}", topic) for topic in allowed} == BOTH
    text = "org.apache.kafka.connect.storage.StringConverter"
    assert (config["key.converter"], config["value.converter"]) == (text, text)
    # Java's own producer: its default partitioner is the one of the contract.
    assert not any("partitioner" in option for option in config)


def test_every_recipe_is_named_in_the_readme() -> None:
    readme = (FOLDER.parents[0] / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in sorted(FOLDER.iterdir()) if f"`{path.name}`" not in readme] == []
