-- Where does an application ask for step-up without saying why? A defect of the trigger (contract section 3).
SELECT source, type, bound_action, count() AS events, uniqExact(subject) AS subjects, max(time) AS last
FROM authentications_current
WHERE tenant = {tenant:String} AND time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')}
  AND type IN ('stepup.required', 'stepup.challenged') AND reason IN ('', 'unknown')
GROUP BY source, type, bound_action
ORDER BY events DESC, source, type, bound_action
LIMIT 100
