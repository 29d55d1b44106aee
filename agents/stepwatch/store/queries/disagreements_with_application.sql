-- Where do the policies and the application's own decision disagree?
--
-- Part: triggers
-- Purpose: two definitions of high risk exist, the application's and the policies'; where they differ, one is wrong.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   disagreement | what differs, in words
--   action | name of the action
--   policy | id of the policy; empty where none matched
--   decision_result | what the application decided
--   decision_reason | why, in its words
--   verdict | ours
--   actions | how many
--   subjects | who did them
--   last | when the last one was
-- Read it so: `the application let pass what a policy demands` is the one to look at first. `the application relied
--     on a proof that does not count`: see reasons_by_policy for what was wrong with it.
SELECT
  multiIf(
    verdict IN ('unverified', 'blind') AND decision_result IN ('not_required', 'exempt'),
      'the application let pass what a policy demands',
    verdict = 'unverified' AND decision_result = 'previously_satisfied',
      'the application relied on a proof that does not count',
    verdict = 'not_required' AND decision_result IN ('required', 'previously_satisfied'),
      'the application asks where no policy does',
    verdict = 'exempt' AND decision_result IN ('required', 'previously_satisfied'),
      'the application asks where a policy exempts',
    verdict = 'verified' AND decision_result IN ('not_required', 'exempt'),
      'proved although the application did not ask',
    ''
  ) AS disagreement,
  action, policy, decision_result, decision_reason, verdict,
  count() AS actions, uniqExact(subject) AS subjects, max(time) AS last
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND decision_result != '' AND disagreement != ''
GROUP BY disagreement, action, policy, decision_result, decision_reason, verdict
ORDER BY disagreement, actions DESC, action, policy, decision_result, decision_reason
LIMIT 1000
