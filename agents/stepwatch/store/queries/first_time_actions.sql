-- Who did something for the first time?
--
-- Part: investigate
-- Purpose: what a subject had never done before is where an intruder shows.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   subject | String | '' | only this one; '' for every subject
--   since | DateTime64(6, 'UTC') | 30d before until | first done at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
--   history_since | DateTime64(6, 'UTC') | 90d before since | what was done since then counts as done before
-- Columns (name | meaning):
--   first | when it was done for the first time
--   tenant | of the subject
--   subject | who
--   action | what
--   actions | how often in the period
--   first_verdict | verdict of the first one
--   first_ip | address it came from
--   known_since | when the subject was first heard of acting at all
-- Read it so: a subject whose known_since is in the period is new itself. What was done before history_since is not
--     known here.
SELECT first, tenant, subject, action, actions, first_verdict, first_ip, known_since
FROM (
  -- An action's time is the same in every row of it, so the long history need not be merged.
  SELECT
    tenant, subject, action, min(time) AS first, min(first) OVER (PARTITION BY tenant, subject) AS known_since
  FROM audit
  WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({subject:String} = '' OR subject = {subject:String})
    AND time >= {history_since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  GROUP BY tenant, subject, action
) AS known
INNER JOIN (
  SELECT
    tenant, subject, action, count() AS actions, argMin(verdict, time) AS first_verdict,
    argMin(client_ip, time) AS first_ip
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({subject:String} = '' OR subject = {subject:String})
    AND time >= greatest({since:DateTime64(6, 'UTC')}, {history_since:DateTime64(6, 'UTC')})
    AND time < {until:DateTime64(6, 'UTC')}
  GROUP BY tenant, subject, action
) AS done USING (tenant, subject, action)
WHERE first >= {since:DateTime64(6, 'UTC')}
ORDER BY first DESC, tenant, subject, action
LIMIT 1000
