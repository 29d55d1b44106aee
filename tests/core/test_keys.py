"""Record keys and their partitions (contract section 2)."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2 as clients_murmur2
from hypothesis import given
from hypothesis import strategies as st

from stepwatch.schemas.keys import murmur2, partition_of, subject_key
from tests.core.driver import Driver

ALIASES = """
identities: [{subject: alice, aliases: ["alice@acme.example", "00u1abc"]}]
policies: [{id: p, match: {action: ["payments.*"]}}]
"""


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        # The vectors of the Java client's own test of its partitioner.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_the_one_of_kafkas_java_client(key: bytes, signed: int) -> None:
    assert murmur2(key) == signed % 2**32


@given(st.binary(max_size=200), st.integers(1, 1000))
def test_every_key_goes_where_the_kafka_client_sends_it(key: bytes, partitions: int) -> None:
    assert murmur2(key) == clients_murmur2(key) & 0xFFFFFFFF
    assert partition_of(key, partitions) == (clients_murmur2(key) & 0x7FFFFFFF) % partitions


def test_a_key_is_the_utf_8_of_tenant_slash_subject() -> None:
    assert subject_key("acme", "zoë/1") == b"acme/zo\xc3\xab/1"


def test_rows_are_keyed_by_the_canonical_subject_whatever_alias_an_event_used() -> None:
    driver = Driver(ALIASES)
    driver.evidence("stepup.verified", "v-1", subject="00u1abc", tenant="acme")
    assert [key for key, _ in driver.effects.evidence] == [b"acme/alice"]
    driver.action("a-1", subject="alice@acme.example", tenant="acme")
    assert [key for key, _ in driver.effects.audit_rows()] == [b"acme/alice"]
    assert driver.verdict("a-1")["subject"] == "alice"


def test_the_tenant_of_a_key_is_default_where_an_event_names_none() -> None:
    driver = Driver(ALIASES)
    driver.action("a-1", action="reports.view")
    assert [key for key, _ in driver.effects.audit_rows()] == [b"default/alice"]


def test_a_record_belongs_to_the_partition_of_its_canonical_subject_and_not_of_its_own_key() -> None:
    partitions = 7
    home = partition_of(b"default/alice", partitions)
    assert home != partition_of(b"default/00u1abc", partitions)
    driver = Driver(ALIASES, home, partitions)
    driver.action("a-1", subject="00u1abc", action="reports.view")
    assert driver.faults == []
    assert driver.verdict("a-1")["subject"] == "alice"
