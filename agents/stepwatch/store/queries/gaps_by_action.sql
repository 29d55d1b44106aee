-- Which sensitive actions does no policy ask a proof for? A policy may be missing here.
SELECT action, sensitivity, decision_result, count() AS actions, uniqExact(subject) AS subjects, max(time) AS last
FROM bypasses
WHERE tenant = {tenant:String} AND time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')}
  AND bypass = 'policy_gap'
GROUP BY action, sensitivity, decision_result
ORDER BY actions DESC, action
LIMIT 100
