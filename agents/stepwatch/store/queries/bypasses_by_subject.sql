-- Who acted most often without a fresh proof?
--
-- Part: verified
-- Purpose: tells one person's habit from a fault that hits all.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   tenant | of the subject
--   subject | who
--   actions | how many took effect without a proof
--   kinds | how many different actions these were
--   unverified | of these, those that needed a proof and had none
--   blind | those about which nobody can tell
--   policy_gap | those that no policy asked a proof for
--   first | when the first was
--   last | when the last was
-- Read it so: one subject far ahead of the others is a service that needs an exemption or a proof, an alias that is
--     missing, or an intruder.
SELECT
  tenant, subject, count() AS actions, uniqExact(action) AS kinds,
  countIf(bypass = 'unverified') AS unverified, countIf(bypass = 'blind') AS blind,
  countIf(bypass = 'policy_gap') AS policy_gap, min(time) AS first, max(time) AS last
FROM bypasses
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
GROUP BY tenant, subject
ORDER BY actions DESC, tenant, subject
LIMIT 1000
