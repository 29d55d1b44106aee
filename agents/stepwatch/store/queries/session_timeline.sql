-- What happened in one session, and in those that descend from it?
--
-- Part: investigate
-- Purpose: everything of one session or of one login.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   session | String | required | id of the session, or of the login (root session)
--   since | DateTime64(6, 'UTC') | 30d before until | what happened at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   time | when it happened
--   tenant | of the subject
--   kind | action or authentication
--   subject | who
--   what | name of the action, or type of the event
--   result | verdict and reason, or methods or failure
--   session | in which it happened
--   root_session | the login that it descends from, where said
--   client_ip | from where
--   client_device | by which device
--   source | who reported it
--   id | its id there
-- Read it so: more than one subject, or an address that changes within one session, is what to look for.
SELECT time, tenant, kind, subject, what, result, session, root_session, client_ip, client_device, source, id
FROM (
  SELECT
    time, tenant, 'action' AS kind, subject, action AS what, concat(verdict, ' (', reason, ')') AS result, session,
    root_session, client_ip, client_device, source, action_id AS id
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND (session = {session:String} OR root_session = {session:String})
  UNION ALL
  SELECT
    time, tenant, 'authentication', subject, type, if(failure = '', arrayStringConcat(amr, '+'), failure), session,
    root_session, client_ip, client_device, source, event_id
  FROM authentications_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND (session = {session:String} OR root_session = {session:String})
)
ORDER BY time, kind DESC, source, id
LIMIT 5000
