-- Where does an application ask for step-up without saying why?
--
-- Part: triggers
-- Purpose: a trigger without a reason cannot be judged: `unknown` and nothing count as a defect (contract section
--     3).
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | events at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   source | who asked
--   type | stepup.required or stepup.challenged
--   bound_action | the action it was for, where said
--   events | how many
--   subjects | who was asked
--   last | when the last one was
-- Read it so: each row is a place in an application's code. Empty is good, where coverage_by_action shows that
--     step-ups are asked for at all.
SELECT source, type, bound_action, count() AS events, uniqExact(subject) AS subjects, max(time) AS last
FROM authentications_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND type IN ('stepup.required', 'stepup.challenged') AND reason IN ('', 'unknown')
GROUP BY source, type, bound_action
ORDER BY events DESC, source, type, bound_action
LIMIT 1000
