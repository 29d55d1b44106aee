-- Which sensitive actions does no policy ask a proof for?
--
-- Part: triggers
-- Purpose: finds the policy that is missing: effective actions on high or critical resources, or for which the
--     application itself required a step-up, that no policy matched.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   action | name of the action
--   sensitivity | of its resource
--   decision_result | what the application decided
--   actions | how many there were
--   subjects | who did them
--   last | when the last one was
-- Read it so: each row wants a policy, or somebody's word that the action is not heavy. An empty answer says that no
--     such action was reported, not that none was done.
SELECT action, sensitivity, decision_result, count() AS actions, uniqExact(subject) AS subjects, max(time) AS last
FROM bypasses
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND bypass = 'policy_gap'
GROUP BY action, sensitivity, decision_result
ORDER BY actions DESC, action, sensitivity, decision_result
LIMIT 1000
