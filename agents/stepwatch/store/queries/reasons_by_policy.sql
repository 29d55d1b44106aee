-- And where they were not: what was wrong with the proof that came nearest.
SELECT policy, reason, failed, count() AS actions, uniqExact(subject) AS subjects
FROM audit_current
WHERE tenant = {tenant:String} AND time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')}
  AND verdict = 'unverified'
GROUP BY policy, reason, failed
ORDER BY policy, actions DESC, reason, failed
