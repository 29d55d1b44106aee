-- Who acted for somebody else?
--
-- Part: investigate
-- Purpose: impersonation and delegation, with the verdict on whoever really acted.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   tenant | of the subject
--   subject | who really acted
--   on_behalf_of | for whom
--   action | what was done
--   actions | how often
--   verified | those that a proof of the subject covers
--   unverified | those that none covers
--   first | when the first was
--   last | when the last was
-- Read it so: a proof of the person acted for does not count for whoever acted.
SELECT
  tenant, subject, on_behalf_of, action, count() AS actions, countIf(verdict = 'verified') AS verified,
  countIf(verdict = 'unverified') AS unverified, min(time) AS first, max(time) AS last
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND on_behalf_of NOT IN ('', subject)
GROUP BY tenant, subject, on_behalf_of, action
ORDER BY actions DESC, tenant, subject, on_behalf_of, action
LIMIT 1000
