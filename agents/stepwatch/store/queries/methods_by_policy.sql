-- Were users verified properly: by which methods, and how fresh were the proofs?
--
-- Part: people
-- Purpose: the factors that covered actions, policy by policy, with the ages of the proofs.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   policy | id of the policy
--   methods | methods of the proof (RFC 8176), sorted
--   acr | of the proof
--   proved_by | step_up or login
--   actions | actions that such proofs covered
--   subjects | who did them
--   age_p50_ms | age of the proof at the action, median, ms
--   age_p95_ms | 95th percentile, ms
--   age_max_ms | the oldest, ms
-- Read it so: ages near the policy's max_age mean that people are asked just before it ends, or that it is short. A
--     method that nobody should use any more is found here first.
SELECT
  policy, arraySort(amr) AS methods, acr, reason AS proved_by, count() AS actions, uniqExact(subject) AS subjects,
  quantileExact(0.5)(verification_age_ms) AS age_p50_ms, quantileExact(0.95)(verification_age_ms) AS age_p95_ms,
  max(verification_age_ms) AS age_max_ms
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND verdict = 'verified'
GROUP BY policy, methods, acr, proved_by
ORDER BY policy, actions DESC, methods, acr, proved_by
LIMIT 1000
