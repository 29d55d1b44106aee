-- Which high-risk actions took effect without a fresh proof? The newest first.
SELECT time, bypass, subject, action, resource_type, resource_id, sensitivity, policy, reason, nearest_miss
FROM bypasses
WHERE tenant = {tenant:String} AND time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')}
ORDER BY time DESC, source, action_id
LIMIT 1000
