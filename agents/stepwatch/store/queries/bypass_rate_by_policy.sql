-- Of the actions that a policy asked a proof for and that took effect, how many had one?
SELECT
  policy,
  count() AS actions,
  countIf(verdict = 'verified') AS verified,
  countIf(verdict = 'unverified') AS unverified,
  countIf(verdict = 'blind') AS blind,
  round(100 * verified / actions, 3) AS verified_percent
FROM audit_current
WHERE tenant = {tenant:String} AND time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')}
  AND outcome IN ('success', 'unknown') AND verdict IN ('verified', 'unverified', 'blind')
GROUP BY policy
ORDER BY verified_percent, policy
