-- Which kinds of action do the policies cover, and how much of each?
--
-- Part: triggers
-- Purpose: coverage: for each action and sensitivity how many a policy matched.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   action | name of the action
--   sensitivity | of its resource; empty where missing
--   actions | how many there were
--   subjects | who did them
--   policed | those that a policy matched
--   policies | ids of these policies
--   policed_percent | policed of actions
-- Read it so: the least covered first. A row below 100 % with sensitivity high or critical is a gap; one between 0
--     and 100 % means that a condition of the policy tells them apart.
SELECT
  action, sensitivity, count() AS actions, uniqExact(subject) AS subjects,
  countIf(policy != '') AS policed,
  arraySort(groupUniqArrayIf(policy, policy != '')) AS policies,
  round(100 * policed / actions, 1) AS policed_percent
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
GROUP BY action, sensitivity
ORDER BY policed_percent, actions DESC, action, sensitivity
LIMIT 1000
