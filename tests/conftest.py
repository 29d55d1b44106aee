"""Fixtures for every test: real servers, started when the first test asks for one."""

from tests.servers import clickhouse, clickhouse_server, data_folder, kafka, kafka_server

__all__ = ["clickhouse", "clickhouse_server", "data_folder", "kafka", "kafka_server"]
