-- Every statement may run again after a crash: IF NOT EXISTS or OR REPLACE, names without a database.
-- Why two tables: `audit` is sorted by subject (histories, timelines), `audit_latest` by time (dashboards); FINAL on
-- the latter answers 4 to 10 times faster than an argMax over the former.
-- Why `time` is in the keys although the contract's key has none: without it FINAL reads every month for a question
-- about one day. An action's time never changes; only two bodies under one id with two times, the first of which no
-- policy matched (contract section 3, the limit for memory), are two rows.
-- Why no TTL: what is forgotten after how long is the operator's decision; whole months can be dropped.

CREATE TABLE IF NOT EXISTS audit (
  tenant              LowCardinality(String) COMMENT 'Tenant of the action',
  subject             String COMMENT 'Canonical id of who really acted' CODEC(ZSTD(1)),
  on_behalf_of        String COMMENT 'Whom the subject acted for, if somebody else' CODEC(ZSTD(1)),
  source              LowCardinality(String) COMMENT 'CloudEvents source of the action',
  action_id           String COMMENT 'CloudEvents id of the action, unique within its source' CODEC(ZSTD(1)),
  revision            UInt64 COMMENT 'Revision of the verdict, from 1; the highest is the one in force' CODEC(ZSTD(1)),
  time                DateTime64(6, 'UTC') COMMENT 'When the application let the action happen' CODEC(Delta(8), ZSTD(1)),
  arrival             DateTime64(6, 'UTC') COMMENT 'When the action arrived in Kafka' CODEC(Delta(8), ZSTD(1)),
  decided_at          DateTime64(6, 'UTC') COMMENT 'Wall clock of the worker at this revision; decides nothing' CODEC(Delta(8), ZSTD(1)),
  closes_at           DateTime64(6, 'UTC') COMMENT 'Arrivals after this change nothing any more' CODEC(Delta(8), ZSTD(1)),
  session             String COMMENT 'Session in which the action happened' CODEC(ZSTD(1)),
  root_session        String COMMENT 'Login that the session descends from' CODEC(ZSTD(1)),
  action              LowCardinality(String) COMMENT 'Name of the action, noun.verb',
  resource_type       LowCardinality(String) COMMENT 'Type of the resource',
  resource_id         String COMMENT 'Id of the resource' CODEC(ZSTD(1)),
  sensitivity         LowCardinality(String) COMMENT 'low, moderate, high, critical, or empty where missing',
  outcome             LowCardinality(String) COMMENT 'success, failure, denied or unknown',
  client_ip           String COMMENT 'Address of the initiator (personal data)' CODEC(ZSTD(1)),
  client_device       String COMMENT 'Device of the initiator (personal data)' CODEC(ZSTD(1)),
  client_country      LowCardinality(String) COMMENT 'Country of the initiator',
  user_agent          LowCardinality(String) COMMENT 'User agent of the initiator',
  policy              LowCardinality(String) COMMENT 'Policy that matched; empty where none did',
  policy_version      LowCardinality(String) COMMENT 'First 12 hex digits of the hash of that policy',
  trigger_reason      LowCardinality(String) COMMENT 'Why the policy requires step-up',
  verdict             LowCardinality(String) COMMENT 'not_required, exempt, verified, unverified or blind',
  reason              LowCardinality(String) COMMENT 'Why this verdict (contract section 5)',
  failed              Array(LowCardinality(String)) COMMENT 'Filters that the nearest verification failed, in order',
  verification        String COMMENT 'Id of the chosen verification; empty where none' CODEC(ZSTD(1)),
  verification_time   Nullable(DateTime64(6, 'UTC')) COMMENT 'When the chosen verification was proved' CODEC(Delta(8), ZSTD(1)),
  verification_age_ms Nullable(Int64) COMMENT 'Age of the chosen verification at the action, ms' CODEC(ZSTD(1)),
  amr                 Array(LowCardinality(String)) COMMENT 'Methods of the chosen verification (RFC 8176)',
  acr                 LowCardinality(String) COMMENT 'acr of the chosen verification',
  challenge           String COMMENT 'Challenge of the chosen verification, or else the one that the action names' CODEC(ZSTD(1)),
  credential          String COMMENT 'Credential of the chosen verification' CODEC(ZSTD(1)),
  decision_result     LowCardinality(String) COMMENT 'Decision of the application itself',
  decision_reason     LowCardinality(String) COMMENT 'Reason that the application gave',
  claimed_verification String COMMENT 'Proof that the application said it relied on; does not decide' CODEC(ZSTD(1)),
  nearest_miss        String COMMENT 'JSON: the verification that came nearest, what it failed, by how much, a sentence' CODEC(ZSTD(3)),
  notes               Array(String) COMMENT 'What went wrong while judging, e.g. a condition that failed' CODEC(ZSTD(3)),
  kafka_topic         LowCardinality(String) COMMENT 'Topic of the action record',
  kafka_partition     Int64 COMMENT 'Partition of the action record' CODEC(ZSTD(1)),
  kafka_offset        Int64 COMMENT 'Offset of the action record' CODEC(Delta(8), ZSTD(1)),
  event_data          String COMMENT 'The data of the event as sent (JSON); on revision 1 only' CODEC(ZSTD(3)),
  schema              Int64 COMMENT 'Version of the shape of this row' CODEC(ZSTD(1)),
  engine_version      LowCardinality(String) COMMENT 'Version of the engine that judged',
  -- Which row of one key stands: the higher revision; of equal revisions a judged one before one that no policy
  -- matched (contract section 3, the limit for memory), then the one that arrived first.
  standing            UInt128 MATERIALIZED bitShiftLeft(toUInt128(revision), 64)
                        + if(policy = '', toUInt128(0), bitShiftLeft(toUInt128(1), 63))
                        + toUInt128(9223372036854775807 - greatest(toUnixTimestamp64Micro(arrival), 0))
                      COMMENT 'Of two rows of one key the greater stands' CODEC(ZSTD(1)),
  stored_at           DateTime64(3, 'UTC') MATERIALIZED now64(3) COMMENT 'When the row was stored' CODEC(Delta(8), ZSTD(1)),
  INDEX by_action_id action_id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX by_time time TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree(standing)
PARTITION BY toYYYYMM(time)
PRIMARY KEY (tenant, subject)
ORDER BY (tenant, subject, time, source, action_id, revision)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Every revision of every verdict, by subject. A redelivered row is there twice until merged: read FINAL, or audit_current.';

CREATE TABLE IF NOT EXISTS audit_latest AS audit
ENGINE = ReplacingMergeTree(standing)
PARTITION BY toYYYYMM(time)
PRIMARY KEY (tenant, time)
ORDER BY (tenant, time, subject, source, action_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'The last revision of every verdict, by time; filled from audit. Read it as audit_current.';

ALTER TABLE audit_latest DROP INDEX IF EXISTS by_time;

ALTER TABLE audit_latest ADD INDEX IF NOT EXISTS by_subject subject TYPE bloom_filter(0.01) GRANULARITY 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS audit_to_latest TO audit_latest AS SELECT * FROM audit;

CREATE OR REPLACE VIEW audit_current AS SELECT * FROM audit_latest FINAL;
