"""What the embedded ClickHouse reads when it starts: its settings, its users, their passwords."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.sax.saxutils import escape

OWNER = "stepwatch"
READER = "analyst"
KEEPER = "keeper"
DATABASE = "stepwatch"

MEMORY_BYTES_MAX = 1_000_000_000
"""All that the engine may take. Kafka takes about 0.4 GB, the roles 0.5; 2.5 GB is the demo's bound."""
QUERY_BYTES_MAX = 600_000_000
"""One query's share, so that a heavy one fails alone instead of starving the inserts."""

_CONFIG = f"""<clickhouse>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{{port}}</http_port>
  <display_name>stepwatch</display_name>
  <users_config>users.xml</users_config>
  <timezone>UTC</timezone>
  <max_connections>200</max_connections>
  <max_concurrent_queries>32</max_concurrent_queries>
  <max_server_memory_usage>{MEMORY_BYTES_MAX}</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <index_mark_cache_size>33554432</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <mmap_cache_size>0</mmap_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <!-- An acknowledged insert is on disk, not in the page cache. The last three follow from two mergers. -->
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert><fsync_part_directory>1</fsync_part_directory>
    <number_of_free_entries_in_pool_to_execute_mutation>2</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>2</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
  </merge_tree>
  <logger><level>warning</level><log>{{log}}</log><size>20M</size><count>2</count></logger>
  <query_log><database>system</database><table>query_log</table><flush_interval_milliseconds>5000</flush_interval_milliseconds>
    <ttl>event_date + INTERVAL 7 DAY DELETE</ttl></query_log>
</clickhouse>
"""

# FINAL: an action's time never changes, so its revisions share a partition; indexed columns do not change, so
# the exact mode would only widen what is read. LZ4: some JDBC drivers know nothing else.
_READING = """<max_threads>2</max_threads><network_compression_method>LZ4</network_compression_method>
      <do_not_merge_across_partitions_select_final>1</do_not_merge_across_partitions_select_final>
      <use_skip_indexes_if_final_exact_mode>0</use_skip_indexes_if_final_exact_mode>
      <cancel_http_readonly_queries_on_client_close>1</cancel_http_readonly_queries_on_client_close>"""

# By name: with `*` the owner could also make tables of files and addresses.
_ENGINES = "".join(
    f"<query>GRANT TABLE ENGINE ON {engine}</query>"
    for engine in (
        "MergeTree",
        "ReplacingMergeTree",
        "SummingMergeTree",
        "AggregatingMergeTree",
        "CollapsingMergeTree",
        "VersionedCollapsingMergeTree",
        "Memory",
        "Null",
    )
)

_USERS = f"""<clickhouse>
  <profiles>
    <default/>
    <owner><async_insert>0</async_insert><max_memory_usage>{QUERY_BYTES_MAX}</max_memory_usage>{_READING}</owner>
    <reader>
      <readonly>2</readonly>
      <max_execution_time>10</max_execution_time><timeout_overflow_mode>throw</timeout_overflow_mode>
      <max_memory_usage>{QUERY_BYTES_MAX}</max_memory_usage><max_result_rows>1000000</max_result_rows>
      {_READING}
      <!-- The least is 1: 0 would mean no limit. -->
      <constraints><max_execution_time><min>1</min><max>130</max></max_execution_time>
        <max_memory_usage><min>1</min><max>{QUERY_BYTES_MAX}</max></max_memory_usage>
        <max_result_rows><min>1</min><max>1000000</max></max_result_rows><readonly><const/></readonly></constraints>
    </reader>
  </profiles>
  <quotas>
    <default/>
    <locked><interval><duration>2147483647</duration>
      <failed_sequential_authentications>1</failed_sequential_authentications></interval></locked>
  </quotas>
  <users>
    <!-- The session that keeps the engine alive is `default` without a password, from loopback. It must be.
         Anybody on this machine could be `default` too, until the launcher fails to log in twice, right after
         the start: from then on its quota refuses every login. -->
    <default><password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>locked</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT SELECT ON system.numbers</query></grants></default>
    <{OWNER}><password_sha256_hex>{{owner}}</password_sha256_hex><networks><ip>127.0.0.1</ip></networks>
      <profile>owner</profile><quota>default</quota>
      <grants><query>GRANT ALL ON {DATABASE}.*</query><query>GRANT ALL ON {DATABASE}_run_*.*</query>
        <query>GRANT SELECT ON system.*</query>
        {_ENGINES}</grants></{OWNER}>
    <{READER}><password_sha256_hex>{{reader}}</password_sha256_hex><networks><ip>127.0.0.1</ip></networks>
      <profile>reader</profile><quota>default</quota>
      <grants><query>GRANT SELECT ON {DATABASE}.*</query><query>GRANT SELECT ON {DATABASE}_run_*.*</query>
        </grants></{READER}>
    <{KEEPER}><password_sha256_hex>{{keeper}}</password_sha256_hex><networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile><quota>default</quota>
      <grants><query>GRANT KILL QUERY ON *.*</query>
        <query>GRANT SELECT ON system.processes</query></grants></{KEEPER}>
  </users>
</clickhouse>
"""


@dataclass(frozen=True, slots=True)
class Passwords:
    """The generated passwords of the two users, kept in the data folder, readable by its owner only."""

    owner: str
    reader: str


def passwords(home: Path) -> Passwords:
    """The passwords in `home/passwords.json`, made at the first start."""
    path = home / "passwords.json"
    try:
        return Passwords(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        made = Passwords(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
    write_private(path, json.dumps(asdict(made)) + "\n")
    return made


def write_config(home: Path, *, port: int, log: Path, keeper: str) -> None:
    """Write config.xml and users.xml for one start.

    Args:
        home: the engine's folder.
        port: for HTTP, on loopback.
        log: the engine's own log file.
        keeper: password of the user that may only end queries, for a clean stop; new at every start.
    """
    known = passwords(home)
    write_private(home / "config.xml", _CONFIG.format(port=port, log=escape(str(log))))
    write_private(
        home / "users.xml",
        _USERS.format(owner=_sha256(known.owner), reader=_sha256(known.reader), keeper=_sha256(keeper)),
    )


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only from its first byte on."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
