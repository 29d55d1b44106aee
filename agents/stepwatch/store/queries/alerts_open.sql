-- What is open now, the worst first?
SELECT severity, state, kind, subject, title, explanation, count, first_time, last_time, owner, runbook, alert_id
FROM alerts_current
WHERE tenant = {tenant:String} AND state != 'resolved'
ORDER BY indexOf(['low', 'medium', 'high', 'critical'], severity) DESC, first_time, alert_id
