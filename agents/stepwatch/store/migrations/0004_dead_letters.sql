CREATE TABLE IF NOT EXISTS dead_letters (
  tenant                LowCardinality(String) COMMENT 'From the key of the record; empty where it is unreadable',
  subject               String COMMENT 'From the key of the record; empty where it is unreadable' CODEC(ZSTD(1)),
  error                 LowCardinality(String) COMMENT 'What was wrong, a stable word; refused_by_clickhouse: this row could not be stored',
  field                 String COMMENT 'Path of the field at fault; of refused_by_clickhouse what the server said' CODEC(ZSTD(3)),
  kafka_topic           LowCardinality(String) COMMENT 'Topic of the record that could not be used',
  kafka_partition       Int64 COMMENT 'Its partition' CODEC(ZSTD(1)),
  kafka_offset          Int64 COMMENT 'Its offset' CODEC(Delta(8), ZSTD(1)),
  time                  DateTime64(6, 'UTC') COMMENT 'When it was set aside' CODEC(Delta(8), ZSTD(1)),
  key                   String COMMENT 'Its key, as encoding says' CODEC(ZSTD(3)),
  value                 String COMMENT 'Its original bytes, as encoding says' CODEC(ZSTD(3)),
  encoding              LowCardinality(String) COMMENT 'utf-8, or base64 where key or value is not UTF-8',
  dead_letter_partition Int64 COMMENT 'Where it lies in the topic dead-letters; -1: set aside by the store itself' CODEC(ZSTD(1)),
  dead_letter_offset    Int64 COMMENT 'Its offset there; -1 likewise' CODEC(ZSTD(1)),
  stored_at             DateTime64(3, 'UTC') MATERIALIZED now64(3) COMMENT 'When the row was stored' CODEC(Delta(8), ZSTD(1))
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (tenant, time, kafka_topic, kafka_partition, kafka_offset, error, dead_letter_partition, dead_letter_offset)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What could not be used: the original bytes and why. A redelivered row is there twice until merged: read FINAL.';

CREATE OR REPLACE VIEW dead_letters_current AS SELECT * FROM dead_letters FINAL;
