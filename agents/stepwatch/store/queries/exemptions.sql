-- Who was exempt from proving it, and how often?
--
-- Part: verified
-- Purpose: an exemption is a decision that somebody answers for; this is its use.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   policy | id of the policy
--   tenant | of the subject
--   subject | who was exempt
--   actions | how many took effect under the exemption
--   kinds | how many different actions these were
--   first | when the first was
--   last | when the last was
-- Read it so: a person among services, or a new name, is what to look for.
SELECT policy, tenant, subject, count() AS actions, uniqExact(action) AS kinds, min(time) AS first, max(time) AS last
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND verdict = 'exempt' AND outcome IN ('success', 'unknown')
GROUP BY policy, tenant, subject
ORDER BY policy, actions DESC, tenant, subject
LIMIT 1000
