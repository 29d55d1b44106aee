-- Who did what to one resource?
--
-- Part: investigate
-- Purpose: each action on one payout, key or account.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   resource_id | String | required | id of the resource
--   resource_type | String | '' | its type; '' for any
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   time | when it was done
--   tenant | of the subject
--   subject | who
--   on_behalf_of | for whom, if for somebody else
--   action | what was done
--   resource_type | type of the resource
--   outcome | what became of it
--   policy | which policy matched
--   verdict | ours
--   reason | of the verdict
--   proof | id of the proof that covers it
--   methods | of that proof
--   session | in which
--   client_ip | from where
--   source | who reported it
--   action_id | its id there
-- Read it so: read downwards.
SELECT
  time, tenant, subject, on_behalf_of, action, resource_type, outcome, policy, verdict, reason, verification AS proof,
  arraySort(amr) AS methods, session, client_ip, source, action_id
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND resource_id = {resource_id:String}
  AND ({resource_type:String} = '' OR resource_type = {resource_type:String})
ORDER BY time, tenant, source, action_id
LIMIT 5000
