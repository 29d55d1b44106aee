-- What did one person do, verified how and triggered why?
--
-- Part: investigate
-- Purpose: each action of one subject with its proof and the reason of its trigger.
-- Parameters (name | type | default | meaning):
--   tenant | String | default | whose
--   subject | String | required | canonical id of the person or service
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
--   rows | UInt32 | 5000 | at most so many, from the beginning on
-- Columns (name | meaning):
--   time | when it was done
--   action | what was done
--   resource_type | to what
--   resource_id | to which
--   outcome | what became of it
--   policy | which policy matched
--   trigger_reason | why that asks for a proof
--   verdict | ours
--   reason | of the verdict
--   proof | id of the proof that covers it
--   methods | of that proof
--   age_ms | age of that proof at the action, ms
--   session | in which it was done
--   client_ip | from where
--   client_device | by which device
--   source | who reported it
--   action_id | its id there
-- Read it so: read downwards. Reads the table that is sorted by subject, so it is quick for any length of time.
SELECT
  time, action, resource_type, resource_id, outcome, policy, trigger_reason, verdict, reason, verification AS proof,
  arraySort(amr) AS methods, verification_age_ms AS age_ms, session, client_ip, client_device, source, action_id
FROM (
  SELECT * FROM audit
  WHERE tenant = {tenant:String} AND subject = {subject:String}
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  ORDER BY standing DESC
  LIMIT 1 BY tenant, subject, source, action_id
)
ORDER BY time, source, action_id
LIMIT {rows:UInt32}
