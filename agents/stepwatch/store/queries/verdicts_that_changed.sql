-- Which verdicts were revised, from what to what, and how late?
SELECT first.verdict AS was, current.verdict AS is, count() AS actions,
  quantileExact(0.5)(dateDiff('millisecond', first.decided_at, current.decided_at)) AS median_ms
FROM (
  SELECT tenant, subject, source, action_id, verdict, decided_at FROM audit FINAL
  WHERE tenant = {tenant:String} AND time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')} AND revision = 1
) AS first
INNER JOIN (
  SELECT tenant, subject, source, action_id, verdict, decided_at FROM audit_current
  WHERE tenant = {tenant:String} AND time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')} AND revision > 1
) AS current USING (tenant, subject, source, action_id)
GROUP BY was, is
ORDER BY actions DESC, was, is
