-- How did each day go? Verdicts of one tenant by day (UTC) and policy.
SELECT toDate(time) AS day, policy, verdict, count() AS actions
FROM audit_current
WHERE tenant = {tenant:String} AND time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')}
GROUP BY day, policy, verdict
ORDER BY day, policy, actions DESC
