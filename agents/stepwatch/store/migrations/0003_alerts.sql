CREATE TABLE IF NOT EXISTS alerts (
  alert_id     String COMMENT 'al_ and 32 hex digits: the same for the same alert, always' CODEC(ZSTD(1)),
  version      UInt64 COMMENT 'Grows with each change; the highest is in force' CODEC(ZSTD(1)),
  tenant       LowCardinality(String) COMMENT 'Tenant; empty for source_silence',
  kind         LowCardinality(String) COMMENT 'unverified_action, blind or the name of a pattern',
  severity     LowCardinality(String) COMMENT 'low, medium, high or critical',
  state        LowCardinality(String) COMMENT 'open, acknowledged or resolved',
  resolved_by  LowCardinality(String) COMMENT 'late_verification, source_recovered, revision, person or expired',
  subject      String COMMENT 'Canonical id of the subject' CODEC(ZSTD(1)),
  policy       LowCardinality(String) COMMENT 'Policy; empty for patterns',
  reason       LowCardinality(String) COMMENT 'Reason of the first member (contract section 7)',
  title        String COMMENT 'What happened, in a line' CODEC(ZSTD(3)),
  explanation  String COMMENT 'Which proof is missing, and by how much' CODEC(ZSTD(3)),
  nearest_miss String COMMENT 'JSON: the nearest verification of the first member' CODEC(ZSTD(3)),
  runbook      String COMMENT 'Where it says what to do' CODEC(ZSTD(3)),
  owner        LowCardinality(String) COMMENT 'Who is asked to act',
  count        Int64 COMMENT 'Members' CODEC(ZSTD(1)),
  actions      Array(String) COMMENT 'Ids of the first 100 members' CODEC(ZSTD(3)),
  first_time   DateTime64(6, 'UTC') COMMENT 'Event time of the first member' CODEC(Delta(8), ZSTD(1)),
  last_time    DateTime64(6, 'UTC') COMMENT 'Event time of the last member' CODEC(Delta(8), ZSTD(1)),
  opened_at    DateTime64(6, 'UTC') COMMENT 'Wall clock of the worker when it opened' CODEC(Delta(8), ZSTD(1)),
  updated_at   DateTime64(6, 'UTC') COMMENT 'Wall clock of the worker at this version' CODEC(Delta(8), ZSTD(1)),
  closes_at    DateTime64(6, 'UTC') COMMENT 'After this no member can change any more' CODEC(Delta(8), ZSTD(1)),
  detection_ms Int64 COMMENT 'Arrival of the last member to the alert, ms' CODEC(ZSTD(1)),
  overdue_ms   Int64 COMMENT 'End of the grace of the last member to the alert, ms' CODEC(ZSTD(1)),
  schema       Int64 COMMENT 'Version of the shape of this row' CODEC(ZSTD(1)),
  stored_at    DateTime64(3, 'UTC') MATERIALIZED now64(3) COMMENT 'When the row was stored' CODEC(Delta(8), ZSTD(1))
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(updated_at)
ORDER BY (tenant, alert_id, version)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'One row per change of an alert. A redelivered row is there twice until merged: read FINAL, or alerts_current.';

CREATE OR REPLACE VIEW alerts_current AS
SELECT * FROM alerts ORDER BY tenant, alert_id, version DESC LIMIT 1 BY tenant, alert_id;
