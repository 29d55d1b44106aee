-- Which high-risk actions took effect without a fresh proof?
--
-- Part: verified
-- Purpose: the exceptions by name, the newest first.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
--   rows | UInt32 | 1000 | at most so many
-- Columns (name | meaning):
--   time | when the application let it happen
--   tenant | of the action
--   bypass | unverified, blind (nobody can tell) or policy_gap (no policy asked)
--   subject | who did it
--   action | what was done
--   resource_type | to what
--   resource_id | to which
--   sensitivity | of the resource
--   policy | id of the policy
--   reason | why it counts as not verified (contract section 5)
--   nearest | what came nearest to a proof, in words
--   source | who reported it
--   action_id | its id there
-- Read it so: each row wants an answer: the person was asked and the proof was lost, the policy is wrong, or it was
--     not the person. `stepwatch query run action_history` tells how a verdict came about.
SELECT
  time, tenant, bypass, subject, action, resource_type, resource_id, sensitivity, policy, reason,
  JSONExtractString(nearest_miss, 'sentence') AS nearest, source, action_id
FROM bypasses
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
ORDER BY time DESC, tenant, source, action_id
LIMIT {rows:UInt32}
