"""Each name of Faust, mode and aiokafka that the shell leans on without a promise of theirs.

When one of these fails after an upgrade, see what the shell does with it before you pin the new version.
"""

from __future__ import annotations

import inspect

import aiokafka.conn
import aiokafka.producer.sender
import faust
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.producer import AIOKafkaProducer
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol.produce import ProduceRequest
from faust.app.base import BootStrategy
from mode import Service, Worker
from mode.supervisors import CrashingSupervisor

from stepwatch.agents import transaction
from stepwatch.agents.produce import FlatProduceRequest
from stepwatch.streams import limits


def test_the_wait_between_two_transactions_is_the_module_constant_that_we_set() -> None:
    sender = aiokafka.producer.sender
    assert sender.BACKOFF_OVERRIDE == 0.002
    assert "return BACKOFF_OVERRIDE" in inspect.getsource(sender.AddPartitionsToTxnHandler)
    assert limits.PRODUCE_BYTES_MAX < 1_000_000


@pytest.mark.parametrize(("version", "transactional_id"), [(2, None), (3, "t-0"), (5, "t-0"), (7, "t-0"), (7, None)])
def test_a_request_written_in_one_piece_is_byte_for_byte_aiokafkas(version: int, transactional_id: str | None) -> None:
    assert transaction.aiokafka.producer.sender.ProduceRequest is FlatProduceRequest
    topics = [("t.audit", [(0, b"batch"), (3, b"")]), ("t.zoë", [(1, b"another")]), ("t.state", [])]
    theirs, ours = (
        kind(transactional_id, -1, 40_000, topics).prepare({0: (0, version)})
        for kind in (ProduceRequest, FlatProduceRequest)
    )
    assert ours.encode() == theirs.encode()
    header, its_header = (one.build_request_header(7, "us").encode() for one in (ours, theirs))
    assert header == its_header
    assert ours.RESPONSE_TYPE is theirs.RESPONSE_TYPE


def test_an_empty_batch_takes_one_record_of_any_size_and_a_full_one_says_none() -> None:
    from aiokafka.record.default_records import DefaultRecordBatchBuilder

    builder = DefaultRecordBatchBuilder(
        2, 0, is_transactional=1, producer_id=-1, producer_epoch=-1, base_sequence=0, batch_size=1000
    )
    assert builder.append(0, 1, key=b"k", value=b"v" * 5000, headers=[]) is not None
    assert builder.append(1, 1, key=b"k", value=b"v", headers=[]) is None


def test_a_commit_still_does_not_look_at_batches_that_failed_so_we_await_each() -> None:
    # If this changes, `_await_all` stays right; the reason in its comment does not.
    assert "flush_for_commit" in inspect.getsource(aiokafka.producer.sender)
    assert "result()" not in inspect.getsource(AIOKafkaProducer.commit_transaction)


def test_records_fetched_before_a_seek_or_a_pause_are_not_handed_out() -> None:
    source = inspect.getsource(FetchResult.check_assignment)
    assert "tp_state.paused" in source
    assert "position != self._partition_records.next_fetch_offset" in source


def test_exceptions_of_a_rebalance_listener_are_still_swallowed() -> None:
    source = inspect.getsource(GroupCoordinator)
    assert "failed on partition assignment" in source


@pytest.mark.parametrize("name", ["last_stable_offset", "position", "pause", "resume", "seek", "getmany"])
def test_the_consumer_has_what_the_feeder_asks_it(name: str) -> None:
    assert callable(getattr(AIOKafkaConsumer, name))


@pytest.mark.parametrize("name", ["describe_topics", "describe_configs", "alter_configs", "create_topics"])
def test_the_admin_client_has_what_topics_ask_it(name: str) -> None:
    assert callable(getattr(AIOKafkaAdminClient, name))


def test_faust_starts_without_its_own_kafka_by_public_names() -> None:
    assert BootStrategy.enable_kafka is True
    assert BootStrategy.enable_sensors is True
    assert callable(faust.App.on_started)
    assert "self.on_started_init_extra_services()" in inspect.getsource(faust.App.on_started)


def test_faust_takes_an_instance_of_a_service_where_it_is_typed_for_a_class() -> None:
    assert "inspect.isclass(service)" in inspect.getsource(faust.App._prepare_subservice)


def test_a_worker_installs_its_signal_handlers_by_a_method_that_we_replace() -> None:
    assert "self.install_signal_handlers()" in inspect.getsource(Worker.default_on_first_start)


def test_a_crash_reaches_the_root_of_the_services_with_its_reason() -> None:
    assert isinstance(inspect.getattr_static(Service, "crash_reason"), property)
    assert "_contribute_to_service" in vars(CrashingSupervisor)


def test_a_connection_says_by_what_it_was_refused_and_the_client_hides_it() -> None:
    # `refusals` connects by these two; were the errors no longer swallowed, it would not have to.
    assert {"ssl_context", "sasl_mechanism"} <= set(inspect.signature(aiokafka.conn.create_conn).parameters)
    assert "randomize" in inspect.signature(aiokafka.conn.collect_hosts).parameters
    assert "except (OSError, KafkaError, asyncio.TimeoutError) as err:" in inspect.getsource(AIOKafkaClient.bootstrap)


def test_a_topic_that_we_may_not_see_is_told_by_the_clients_own_waiting() -> None:
    assert "TopicAuthorizationFailedError" in inspect.getsource(AIOKafkaClient._wait_on_metadata)


def test_what_went_wrong_with_a_transaction_first_is_in_its_waiter() -> None:
    assert "_transaction_waiter" in inspect.getsource(TransactionManager.wait_for_transaction_end)
    assert "self._transaction_waiter.set_exception(exc)" in inspect.getsource(TransactionManager.error_transaction)
