-- Which evidence came too late to count?
--
-- Part: people
-- Purpose: what arrived after the actions that it speaks of had closed: stored, counted, and without effect.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | events at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   time | when it happened
--   arrival | when it arrived
--   delay_s | seconds from the one to the other
--   tenant | of the subject
--   subject | whose
--   type | of the event
--   source | who reported it
--   event_id | its id there
-- Read it so: a source that is here often is slower than revise_within: repair the feed, or raise revise_within.
SELECT
  time, arrival, round(dateDiff('millisecond', time, arrival) / 1000, 1) AS delay_s, tenant, subject, type,
  source, event_id
FROM authentications_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND late
ORDER BY time DESC, tenant, subject, source, event_id
LIMIT 1000
