-- Which proofs covered more than one action?
--
-- Part: people
-- Purpose: shows how much rests on one proof; a policy with max_uses bounds it.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   tenant | of the subject
--   subject | whose proof
--   proof | its id
--   policy | under which
--   actions | how many it covered
--   action_ids | their ids, at most 20
--   first | when the first of them was
--   last | when the last of them was
-- Read it so: many actions on one proof within minutes may be one piece of work, or a script that rides on a
--     person's session.
SELECT
  tenant, subject, verification AS proof, policy, count() AS actions,
  arraySort(groupArray(20)(action_id)) AS action_ids, min(time) AS first, max(time) AS last
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND verdict = 'verified' AND outcome IN ('success', 'unknown')
GROUP BY tenant, subject, proof, policy
HAVING actions > 1
ORDER BY actions DESC, tenant, subject, proof, policy
LIMIT 1000
