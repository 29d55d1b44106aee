-- What happened around one person, in order?
SELECT time, kind, what, result, session, source, id, detail
FROM subject_timeline
WHERE tenant = {tenant:String} AND subject = {subject:String}
  AND time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')}
ORDER BY time, kind, source, id
LIMIT 5000
