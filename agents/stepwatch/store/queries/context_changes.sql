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
  acted.time AS time, tenant, subject, action, policy,
  multiIf(device_changed AND ip_changed, 'device and ip', device_changed, 'device', 'ip') AS changed, action_ip,
  proof_ip, action_device, proof_device, proof, action_id
FROM (
  SELECT
    time, tenant, subject, action, policy, client_ip AS action_ip, client_device AS action_device,
    verification AS proof, action_id
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({subject:String} = '' OR subject = {subject:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND verdict = 'verified'
) AS acted
INNER JOIN (
  SELECT
    tenant, subject, if(verification = '', event_id, verification) AS proof, argMin(client_ip, time) AS proof_ip,
    argMin(client_device, time) AS proof_device
  FROM authentications_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({subject:String} = '' OR subject = {subject:String})
    AND time >= {since:DateTime64(6, 'UTC')} - INTERVAL 8 DAY
    AND time < {until:DateTime64(6, 'UTC')} + INTERVAL 1 DAY
    AND proved_at IS NOT NULL
  GROUP BY tenant, subject, proof
) AS proved USING (tenant, subject, proof)
WHERE (action_device != '' AND proof_device != '' AND action_device != proof_device AS device_changed)
  OR (action_ip != '' AND proof_ip != '' AND action_ip != proof_ip AS ip_changed)
ORDER BY time DESC, tenant, subject, action_id
LIMIT 1000
