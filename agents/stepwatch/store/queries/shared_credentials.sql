-- Which credentials prove more than one subject?
--
-- Part: investigate
-- Purpose: one key for two people is a shared key, or one person under two names.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | events at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   tenant | of the subjects
--   credential | id of the credential
--   subjects | whom it proves
--   proofs | how many proofs
--   first | when the first was
--   last | when the last was
-- Read it so: names that look like one person are an alias that is missing.
SELECT
  tenant, credential, arraySort(groupUniqArray(subject)) AS subjects, count() AS proofs, min(time) AS first,
  max(time) AS last
FROM authentications_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND proved_at IS NOT NULL AND credential != ''
GROUP BY tenant, credential
HAVING length(subjects) > 1
ORDER BY length(subjects) DESC, tenant, credential
LIMIT 1000
