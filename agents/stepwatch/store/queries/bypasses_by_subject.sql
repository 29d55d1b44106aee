-- Who did most of them?
SELECT subject, count() AS actions, uniqExact(action) AS kinds, min(time) AS first, max(time) AS last
FROM bypasses
WHERE tenant = {tenant:String} AND time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')}
GROUP BY subject
ORDER BY actions DESC, subject
LIMIT 100
