-- How long after the end of its grace was an alert there? By day (UTC) of its opening.
SELECT toDate(opened_at) AS day, count() AS alerts, quantilesExact(0.5, 0.95, 0.99)(overdue_ms) AS overdue_ms
FROM alerts FINAL
WHERE tenant = {tenant:String} AND version = 1
  AND opened_at >= {from:DateTime64(6, 'UTC')} AND opened_at < {to:DateTime64(6, 'UTC')}
GROUP BY day
ORDER BY day
