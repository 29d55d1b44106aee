-- Which verdicts were revised, from what to what, and how late?
--
-- Part: accounting
-- Purpose: a revision is evidence that arrived after the first word was said.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   was | the first verdict
--   is | the one in force
--   actions | how many
--   median_s | seconds from the first to the last word, median
-- Read it so: many from unverified to verified: grace is shorter than the feed is slow. From verified to unverified:
--     sessions or credentials revoked afterwards, or earlier uses of a proof that were reported late.
SELECT
  first.verdict AS was, current.verdict AS is, count() AS actions,
  round(quantileExact(0.5)(dateDiff('millisecond', first.decided_at, current.decided_at)) / 1000, 1) AS median_s
FROM (
  SELECT tenant, subject, source, action_id, verdict, decided_at
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND revision > 1
) AS current
INNER JOIN (
  SELECT tenant, subject, source, action_id, verdict, decided_at
  FROM audit
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND revision = 1
    AND (tenant, time) IN (
      SELECT tenant, time FROM audit_latest
      WHERE ({tenant:String} = '' OR tenant = {tenant:String})
        AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
        AND revision > 1
    )
  ORDER BY standing DESC
  LIMIT 1 BY tenant, subject, source, action_id
) AS first USING (tenant, subject, source, action_id)
GROUP BY was, is
ORDER BY actions DESC, was, is
