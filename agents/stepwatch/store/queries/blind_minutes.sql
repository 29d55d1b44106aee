-- When could nobody tell whether actions were verified?
--
-- Part: verified
-- Purpose: the time in which the record has a hole, by day, policy and cause.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   day | UTC
--   policy | id of the policy
--   reason | source_silent, too_late or overload
--   actions | how many are blind
--   minutes | minutes (UTC) that hold one
--   subjects | who did them
--   first | when the first was
--   last | when the last was
-- Read it so: source_silent: a feed was silent (source_silences). too_late: the application reported the action long
--     after it. Minutes without any action are not counted, silent or not.
SELECT
  toDate(time) AS day, policy, reason, count() AS actions, uniqExact(toStartOfMinute(time)) AS minutes,
  uniqExact(subject) AS subjects, min(time) AS first, max(time) AS last
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND verdict = 'blind'
GROUP BY day, policy, reason
ORDER BY day, policy, reason
