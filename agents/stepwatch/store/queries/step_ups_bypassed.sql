-- Where did somebody let a step-up be bypassed?
--
-- Part: people
-- Purpose: help desks and emergency codes: each bypass that a source reported.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | events at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   time | of the bypass
--   tenant | of the subject
--   subject | for whom
--   source | who reported it
--   session | in which
--   bound_action | for which action, where said
--   reason | why the step-up had been triggered
--   decision_reason | why it was bypassed, where said
--   challenge | id of the challenge
--   acted | policed actions of the subject within an hour after it
-- Read it so: a bypass proves nothing: what was done on it is unverified, and here it is counted.
SELECT time, tenant, subject, source, session, bound_action, reason, decision_reason, challenge, acted
FROM (
  SELECT
    tenant, subject, event_id, any(bypass.time) AS time, any(source) AS source, any(session) AS session,
    any(bound_action) AS bound_action, any(reason) AS reason, any(decision_reason) AS decision_reason,
    any(challenge) AS challenge,
    countIf(acting.at >= bypass.time AND acting.at < bypass.time + INTERVAL 1 HOUR) AS acted
  FROM (
    SELECT tenant, subject, event_id, time, source, session, bound_action, reason, decision_reason, challenge
    FROM authentications_current
    WHERE ({tenant:String} = '' OR tenant = {tenant:String})
      AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
      AND type = 'stepup.bypassed'
  ) AS bypass
  LEFT JOIN (
    SELECT tenant, subject, time AS at
    FROM audit_current
    WHERE ({tenant:String} = '' OR tenant = {tenant:String})
      AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')} + INTERVAL 1 HOUR
      AND policy != ''
  ) AS acting USING (tenant, subject)
  GROUP BY tenant, subject, event_id, bypass.source
)
ORDER BY time DESC, tenant, subject, source
LIMIT 1000
