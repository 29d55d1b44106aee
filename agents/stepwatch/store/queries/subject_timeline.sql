-- What happened around one person, in order?
--
-- Part: investigate
-- Purpose: actions with their verdicts, authentications and alerts in one list.
-- Parameters (name | type | default | meaning):
--   tenant | String | default | whose
--   subject | String | required | canonical id of the person or service
--   since | DateTime64(6, 'UTC') | 30d before until | what happened at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
--   rows | UInt32 | 5000 | at most so many, from the beginning on
-- Columns (name | meaning):
--   time | when it happened; of an alert: when it changed
--   kind | action, authentication or alert
--   what | name of the action, type of the event, or kind of the alert
--   result | verdict and reason, methods or failure, or severity and state
--   session | in which it happened
--   source | who reported it
--   id | its id there
--   detail | what came nearest to a proof, the credential, or the alert's title
-- Read it so: read downwards. An action's line comes at its own time, and its verdict is the one in force now.
SELECT time, kind, what, result, session, source, id, detail
FROM (
  -- The view of that name takes an action's time from an aggregate, so a period would not choose its months.
  SELECT
    time, 'action' AS kind, action AS what, concat(verdict, ' (', reason, ')') AS result, session, source,
    action_id AS id, JSONExtractString(nearest_miss, 'sentence') AS detail
  FROM (
    SELECT * FROM audit
    WHERE tenant = {tenant:String} AND subject = {subject:String}
      AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    ORDER BY standing DESC
    LIMIT 1 BY source, action_id
  )
  UNION ALL
  SELECT time, kind, what, result, session, source, id, detail
  FROM subject_timeline
  WHERE tenant = {tenant:String} AND subject = {subject:String}
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND kind != 'action'
)
ORDER BY time, kind, source, id
LIMIT {rows:UInt32}
