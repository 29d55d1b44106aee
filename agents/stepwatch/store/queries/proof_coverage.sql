-- What did one proof cover?
--
-- Part: investigate
-- Purpose: everything that stands or falls with one proof, as when its credential turns out stolen.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   proof | String | required | id of the proof, as the column proof of other queries shows it
--   since | DateTime64(6, 'UTC') | 30d before until | what happened at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   time | when it happened
--   tenant | of the subject
--   kind | proof, or action that it covers
--   subject | whose
--   what | type of the event, or name of the action
--   result | methods, or verdict
--   session | in which
--   client_ip | from where
--   client_device | by which device
--   source | who reported it
--   id | its id there
-- Read it so: the proof comes first where it is in the period. A proof reported by two sources has two lines, and is
--     one proof.
SELECT time, tenant, kind, subject, what, result, session, client_ip, client_device, source, id
FROM (
  SELECT
    time, tenant, 'proof' AS kind, subject, type AS what, arrayStringConcat(amr, '+') AS result, session, client_ip,
    client_device, source, event_id AS id
  FROM authentications_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND proved_at IS NOT NULL AND if(verification = '', event_id, verification) = {proof:String}
  UNION ALL
  SELECT
    time, tenant, 'action', subject, action, concat(verdict, ' (', reason, ')'), session, client_ip,
    client_device, source, action_id
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND verification = {proof:String}
)
ORDER BY kind DESC, time, tenant, source, id
LIMIT 5000
