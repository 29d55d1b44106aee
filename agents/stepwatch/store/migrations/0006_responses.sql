-- What people decided about alerts, so that who, when and why stay on record. The worker refuses a record that says no
-- decision (a dead letter); of the others this table has each one, those too that came too late to change anything.

CREATE TABLE IF NOT EXISTS responses (
  tenant          LowCardinality(String) COMMENT 'Tenant of the alert; empty for source_silence',
  alert_id        String COMMENT 'The alert that was decided on' CODEC(ZSTD(1)),
  subject         String COMMENT 'Subject of the alert, from the key of the record' CODEC(ZSTD(1)),
  response_id     String COMMENT 'Id of the decision: a repeated one has the same' CODEC(ZSTD(1)),
  seen_version    UInt64 COMMENT 'Version of the alert that the person was looking at' CODEC(ZSTD(1)),
  decision        LowCardinality(String) COMMENT 'acknowledge, resolve or note',
  by              String COMMENT 'Who decided, as the command or the API was told' CODEC(ZSTD(1)),
  at              DateTime64(6, 'UTC') COMMENT 'When, by the clock of who decided; its arrival where that is unreadable' CODEC(Delta(8), ZSTD(1)),
  note            String COMMENT 'Why' CODEC(ZSTD(3)),
  arrival         DateTime64(6, 'UTC') COMMENT 'When the decision arrived in Kafka' CODEC(Delta(8), ZSTD(1)),
  kafka_partition Int64 COMMENT 'Partition of the record in topic responses' CODEC(ZSTD(1)),
  kafka_offset    Int64 COMMENT 'Its offset' CODEC(Delta(8), ZSTD(1)),
  stored_at       DateTime64(3, 'UTC') MATERIALIZED now64(3) COMMENT 'When the row was stored' CODEC(Delta(8), ZSTD(1))
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(arrival)
ORDER BY (tenant, alert_id, arrival, kafka_partition, kafka_offset)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'One row per decision of a person about an alert. A redelivered row is there twice until merged: read responses_current.';

-- The first of several records with one id is the decision; the rest are repeats of a command.
CREATE OR REPLACE VIEW responses_current AS
SELECT * FROM responses ORDER BY tenant, alert_id, response_id, arrival, kafka_partition, kafka_offset
LIMIT 1 BY tenant, alert_id, response_id;

CREATE OR REPLACE VIEW alert_history AS
SELECT
  tenant, alert_id, subject, updated_at AS at, 'change' AS what, version,
  concat(severity, ' ', state, if(resolved_by = '', '', concat(' by ', resolved_by))) AS result, '' AS by, title AS note,
  count
FROM alerts FINAL
UNION ALL
SELECT tenant, alert_id, subject, at, 'decision', seen_version, decision, by, note, 0
FROM responses_current
COMMENT 'What became of an alert, in order of at: each change of state, and each decision of a person with who and why. Ask with tenant and alert_id.';
