-- Was a one-time code accepted twice?
--
-- Part: people
-- Purpose: one credential, one time step, two proofs: the code was read by somebody else, or the verifier has no
--     memory.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | events at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   tenant | of the subjects
--   credential | id of the credential
--   otp_step | its time step
--   proofs | how many different proofs were made of it
--   subjects | for whom they counted
--   first | when the first was accepted
--   last | when the last was accepted
-- Read it so: any row is serious. Verifiers report otp_step or not; where none does, an empty answer says nothing.
SELECT
  tenant, credential, otp_step, uniqExact(tuple(subject, if(verification = '', event_id, verification))) AS proofs,
  arraySort(groupUniqArray(subject)) AS subjects, min(time) AS first, max(time) AS last
FROM authentications_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND type = 'stepup.verified' AND credential != '' AND otp_step IS NOT NULL
GROUP BY tenant, credential, otp_step
HAVING proofs > 1
ORDER BY first, tenant, credential
LIMIT 1000
