-- Were triggers appropriately defined, policy by policy?
--
-- Part: triggers
-- Purpose: shows how often each policy asked for a proof, and where its definition has holes.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   policy | id of the policy
--   trigger_reason | why it asks for step-up
--   actions | actions that it matched
--   subjects | who did them
--   triggered | of these, those that needed a proof
--   exempted | those that its exemption let pass
--   without_reason | those for which it gives no reason, or `unknown`
--   application_disagrees | those for which the application itself said `not_required` or `exempt`
--   with_condition_errors | those at which a condition of the policy failed, so that it demanded proof
--   triggered_percent | triggered of actions
-- Read it so: a policy without a reason, or with condition errors, is a defect of its text. Many exemptions mean
--     that the policy matches too much or exempts too much. Actions that no policy matched are in gaps_by_action.
SELECT
  policy, trigger_reason, count() AS actions, uniqExact(subject) AS subjects,
  countIf(verdict IN ('verified', 'unverified', 'blind')) AS triggered,
  countIf(verdict = 'exempt') AS exempted,
  countIf(trigger_reason IN ('', 'unknown')) AS without_reason,
  countIf(decision_result IN ('not_required', 'exempt')) AS application_disagrees,
  countIf(notEmpty(notes)) AS with_condition_errors,
  round(100 * triggered / actions, 1) AS triggered_percent
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND policy != ''
GROUP BY policy, trigger_reason
ORDER BY policy, trigger_reason
