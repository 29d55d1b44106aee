-- Were all high-risk actions verified, day by day?
--
-- Part: verified
-- Purpose: the same by day, with blind minutes and exemptions.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   day | UTC
--   actions | actions that took effect (outcome success or unknown) and needed a proof
--   verified | those that a proof covers
--   unverified | those that none covers
--   blind | those about which nobody can tell: a source was silent, or the action came too late
--   blind_minutes | minutes (UTC) that hold a blind one
--   exempted | actions that took effect and that an exemption let pass; not among actions
--   verified_percent | verified of actions; NULL where there are none
-- Read it so: a day without a row had no action that a policy matched. A day with blind minutes had a feed that was
--     silent or late: source_silences says which.
SELECT
  toDate(time) AS day,
  countIf(verdict IN ('verified', 'unverified', 'blind')) AS actions,
  countIf(verdict = 'verified') AS verified,
  countIf(verdict = 'unverified') AS unverified,
  countIf(verdict = 'blind') AS blind,
  uniqExactIf(toStartOfMinute(time), verdict = 'blind') AS blind_minutes,
  countIf(verdict = 'exempt') AS exempted,
  if(actions = 0, NULL, round(100 * verified / actions, 1)) AS verified_percent
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND policy != '' AND outcome IN ('success', 'unknown')
GROUP BY day
ORDER BY day
