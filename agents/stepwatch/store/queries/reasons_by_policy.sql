-- Where no proof covers an action, what was wrong with the one that came nearest?
--
-- Part: people
-- Purpose: weak, stale, of another session, after the fact, used before: each with its number.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   policy | id of the policy
--   reason | of the verdict unverified (contract section 5)
--   failed | filters that the nearest proof failed, in order
--   actions | how many
--   subjects | who did them
-- Read it so: no_step_up: no proof at all, so look for a missing alias or a missing step-up. weak_factor:
--     proofs_too_weak. after_the_fact: proofs_after_the_fact. Only stale ones: max_age may be short for the work.
SELECT policy, reason, failed, count() AS actions, uniqExact(subject) AS subjects
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND verdict = 'unverified'
GROUP BY policy, reason, failed
ORDER BY policy, actions DESC, reason, failed
