-- Which verified actions came from another device or address than their proof?
--
-- Part: investigate
-- Purpose: a stolen session shows by it: the proof is the victim's, the action is not.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   subject | String | '' | only this one; '' for every subject
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   time | of the action
--   tenant | of the subject
--   subject | who
--   action | what was done
--   policy | id of the policy
--   changed | device, ip, or both
--   action_ip | address of the action
--   proof_ip | address of the proof
--   action_device | device of the action
--   proof_device | device of the proof
--   proof | its id
--   action_id | id of the action at its source
-- Read it so: addresses change on the move and devices seldom; both at once is the one to look at. Compared as text,
--     and only where both sides say one. Proofs are looked up from 8 days before the period on.
SELECT
  time, tenant, subject, action, policy,
  multiIf(device_changed AND ip_changed, 'device and ip', device_changed, 'device', 'ip') AS changed, action_ip,
  from_where.1 AS proof_ip, action_device, from_where.2 AS proof_device, proof, action_id
FROM (
  SELECT
    sipHash128(tenant, subject, verification) AS key, time, tenant, subject, action, policy, client_ip AS action_ip,
    client_device AS action_device, verification AS proof, action_id
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({subject:String} = '' OR subject = {subject:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND verdict = 'verified'
) AS acted
INNER JOIN (
  -- One proof is one tenant, subject and id; their hash is a shorter key than they are.
  SELECT
    sipHash128(tenant, subject, if(verification = '', event_id, verification)) AS key,
    argMin((client_ip, client_device), time) AS from_where
  FROM authentications_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({subject:String} = '' OR subject = {subject:String})
    AND time >= {since:DateTime64(6, 'UTC')} - INTERVAL 8 DAY
    AND time < {until:DateTime64(6, 'UTC')} + INTERVAL 1 DAY
    AND proved_at IS NOT NULL
  GROUP BY key
) AS proved USING (key)
WHERE (action_device != '' AND proof_device != '' AND action_device != proof_device AS device_changed)
  OR (action_ip != '' AND proof_ip != '' AND action_ip != proof_ip AS ip_changed)
ORDER BY time DESC, tenant, subject, action_id
LIMIT 1000
