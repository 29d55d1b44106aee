-- Which feeds were silent, when and for how long?
--
-- Part: verified
-- Purpose: names the feed behind blind minutes.
-- Parameters (name | type | default | meaning):
--   since | DateTime64(6, 'UTC') | 30d before until | silences that were going on at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   source | name of the feed
--   silent_from | arrival of its last sign of life
--   noticed_at | when the alert was raised
--   heard_again_at | when it was resolved; NULL while it is open
--   minutes | from the last sign of life until then; NULL while it is open
--   state | open, acknowledged or resolved
--   resolved_by | source_recovered, person or expired
-- Read it so: every tenant shares the feeds, so there is no tenant here. A feed that was never listed with
--     silent_after is not watched.
SELECT
  reason AS source, first_time AS silent_from, opened_at AS noticed_at,
  if(state = 'resolved', updated_at, NULL) AS heard_again_at,
  round(dateDiff('second', first_time, heard_again_at) / 60, 1) AS minutes, state, resolved_by
FROM alerts_current
WHERE kind = 'source_silence' AND first_time < {until:DateTime64(6, 'UTC')}
  AND (state != 'resolved' OR updated_at >= {since:DateTime64(6, 'UTC')})
ORDER BY silent_from, source
