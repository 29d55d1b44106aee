-- What is open now, the worst first?
--
-- Part: accounting
-- Purpose: the work that waits for somebody.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
-- Columns (name | meaning):
--   severity | low, medium, high or critical
--   state | open or acknowledged
--   kind | unverified_action, blind or the name of a pattern
--   tenant | of the subject
--   subject | who
--   title | what happened, in a line
--   explanation | which proof is missing, and by how much
--   count | how many events it holds
--   first_time | of the first of them
--   last_time | of the last of them
--   owner | who is asked to act
--   runbook | where it says what to do
--   alert_id | its id
-- Read it so: source_silence has no tenant: it concerns all.
SELECT
  severity, state, kind, tenant, subject, title, explanation, count, first_time, last_time, owner, runbook, alert_id
FROM alerts_current
WHERE ({tenant:String} = '' OR tenant IN ('', {tenant:String}))
  AND state != 'resolved'
ORDER BY indexOf(['low', 'medium', 'high', 'critical'], severity) DESC, first_time, alert_id
LIMIT 1000
