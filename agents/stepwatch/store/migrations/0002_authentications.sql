CREATE TABLE IF NOT EXISTS authentications (
  tenant                LowCardinality(String) COMMENT 'Tenant of the event',
  subject               String COMMENT 'Canonical id of the subject' CODEC(ZSTD(1)),
  source                LowCardinality(String) COMMENT 'CloudEvents source of the event',
  event_id              String COMMENT 'CloudEvents id of the event, unique within its source' CODEC(ZSTD(1)),
  type                  LowCardinality(String) COMMENT 'Event type without the leading stepwatch., e.g. stepup.verified',
  time                  DateTime64(6, 'UTC') COMMENT 'When it happened' CODEC(Delta(8), ZSTD(1)),
  arrival               DateTime64(6, 'UTC') COMMENT 'When it arrived in Kafka' CODEC(Delta(8), ZSTD(1)),
  proved_at             Nullable(DateTime64(6, 'UTC')) COMMENT 'Of a verification: when it was proved (auth_time where earlier)' CODEC(Delta(8), ZSTD(1)),
  session               String COMMENT 'Session in which it happened' CODEC(ZSTD(1)),
  root_session          String COMMENT 'Login that the session descends from' CODEC(ZSTD(1)),
  client_ip             String COMMENT 'Address of the initiator (personal data)' CODEC(ZSTD(1)),
  client_device         String COMMENT 'Device of the initiator (personal data)' CODEC(ZSTD(1)),
  client_country        LowCardinality(String) COMMENT 'Country of the initiator',
  user_agent            LowCardinality(String) COMMENT 'User agent of the initiator',
  amr                   Array(LowCardinality(String)) COMMENT 'Methods of the proof (RFC 8176)',
  acr                   LowCardinality(String) COMMENT 'acr of the proof',
  challenge             String COMMENT 'Id of the challenge' CODEC(ZSTD(1)),
  verification          String COMMENT 'Id of the proof' CODEC(ZSTD(1)),
  credential            String COMMENT 'Id of the credential that proved or changed' CODEC(ZSTD(1)),
  credential_change     LowCardinality(String) COMMENT 'created, revoked or updated',
  bound_action          LowCardinality(String) COMMENT 'Action that the challenge was for',
  transaction           String COMMENT 'Hash of the parameters that the person was shown' CODEC(ZSTD(1)),
  -- A producer may send any integer, and a narrower column would wrap it without a word.
  otp_step              Nullable(Int256) COMMENT 'TOTP time step' CODEC(ZSTD(1)),
  reason                LowCardinality(String) COMMENT 'Why the step-up was triggered',
  failure               LowCardinality(String) COMMENT 'Why it failed',
  approver              String COMMENT 'Who approved' CODEC(ZSTD(1)),
  approver_verification String COMMENT 'By which proof' CODEC(ZSTD(1)),
  decision_result       LowCardinality(String) COMMENT 'Decision of the application itself',
  decision_reason       LowCardinality(String) COMMENT 'Reason that the application gave',
  late                  Bool COMMENT 'It arrived after an action that it speaks of had closed, and changed nothing',
  kafka_topic           LowCardinality(String) COMMENT 'Topic of the record',
  kafka_partition       Int64 COMMENT 'Partition of the record' CODEC(ZSTD(1)),
  kafka_offset          Int64 COMMENT 'Offset of the record' CODEC(Delta(8), ZSTD(1)),
  event_data            String COMMENT 'The data of the event as sent (JSON)' CODEC(ZSTD(3)),
  schema                Int64 COMMENT 'Version of the shape of this row' CODEC(ZSTD(1)),
  standing              UInt64 MATERIALIZED toUInt64(9223372036854775807 - greatest(toUnixTimestamp64Micro(arrival), 0))
                        COMMENT 'Of two rows of one key the greater stands: the one that arrived first' CODEC(ZSTD(1)),
  stored_at             DateTime64(3, 'UTC') MATERIALIZED now64(3) COMMENT 'When the row was stored' CODEC(Delta(8), ZSTD(1)),
  INDEX by_event_id event_id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX by_time time TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree(standing)
PARTITION BY toYYYYMM(time)
PRIMARY KEY (tenant, subject)
ORDER BY (tenant, subject, time, source, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'One row per accepted authentication event. A redelivered row is there twice until merged: read authentications_current.';

CREATE OR REPLACE VIEW authentications_current AS SELECT * FROM authentications FINAL;
