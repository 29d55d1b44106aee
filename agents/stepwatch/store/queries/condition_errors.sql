-- Which conditions of policies fail to evaluate?
--
-- Part: triggers
-- Purpose: a condition that cannot be answered demands proof (contract section 4); that is safe, and noisy, and a
--     defect.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   policy | id of the policy that then matched; empty where none did
--   note | what went wrong
--   actions | how many
--   subjects | who did them
--   last | when the last one was
-- Read it so: each row is a condition to repair, or a field that a producer stopped sending.
SELECT policy, note, count() AS actions, uniqExact(subject) AS subjects, max(time) AS last
FROM audit_current
ARRAY JOIN notes AS note
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
GROUP BY policy, note
ORDER BY actions DESC, policy, note
LIMIT 1000
