-- What could not be used, and why?
--
-- Part: accounting
-- Purpose: each record set aside is an action or a proof that nobody has judged.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | records set aside at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   tenant | from the record's key; empty where that is unreadable
--   error | what was wrong, a stable word
--   field | path of the field at fault
--   kafka_topic | from which topic
--   records | how many
--   first | when the first was set aside
--   last | when the last was set aside
-- Read it so: `stepwatch dead-letters list` shows each and puts it back. conflict: two different events under one
--     id.
SELECT tenant, error, field, kafka_topic, count() AS records, min(time) AS first, max(time) AS last
FROM dead_letters_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
GROUP BY tenant, error, field, kafka_topic
ORDER BY records DESC, tenant, error, field, kafka_topic
LIMIT 1000
