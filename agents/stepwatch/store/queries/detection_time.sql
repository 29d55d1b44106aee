-- How long after the end of its grace was an alert there?
--
-- Part: accounting
-- Purpose: the promise to on-call, by day (UTC) of the alert's opening.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | alerts opened at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   day | UTC
--   alerts | how many were opened
--   p50_ms | end of grace to alert, median, ms
--   p95_ms | 95th percentile, ms
--   p99_ms | 99th percentile, ms
-- Read it so: measured by the worker's wall clock. Of a run of `replay --into` it is 0: there nobody waited.
SELECT
  toDate(opened_at) AS day, count() AS alerts, quantileExact(0.5)(overdue_ms) AS p50_ms,
  quantileExact(0.95)(overdue_ms) AS p95_ms, quantileExact(0.99)(overdue_ms) AS p99_ms
FROM alerts FINAL
WHERE ({tenant:String} = '' OR tenant IN ('', {tenant:String}))
  AND version = 1 AND opened_at >= {since:DateTime64(6, 'UTC')} AND opened_at < {until:DateTime64(6, 'UTC')}
GROUP BY day
ORDER BY day
