-- Were users verified properly? By which methods, and how fresh the proofs were.
SELECT
  policy, arraySort(amr) AS methods, acr, count() AS actions,
  quantilesExact(0.5, 0.95, 0.99)(verification_age_ms) AS age_ms
FROM audit_current
WHERE tenant = {tenant:String} AND time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')}
  AND verdict = 'verified'
GROUP BY policy, methods, acr
ORDER BY policy, actions DESC, methods
