-- How did each day go?
--
-- Part: verified
-- Purpose: verdicts of each day and policy, of all outcomes.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   day | UTC
--   policy | id of the policy; empty where none matched
--   verdict | not_required, exempt, verified, unverified or blind
--   actions | how many
-- Read it so: the numbers of a day add up to all its actions; each action has exactly one verdict.
SELECT toDate(time) AS day, policy, verdict, count() AS actions
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
GROUP BY day, policy, verdict
ORDER BY day, policy, actions DESC, verdict
