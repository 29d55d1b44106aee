-- Which credentials were created or revoked, and what was proved by the new ones?
--
-- Part: investigate
-- Purpose: a credential added by an intruder proves all that comes after.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   subject | String | '' | only this one; '' for every subject
--   since | DateTime64(6, 'UTC') | 30d before until | events at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   time | of the change
--   tenant | of the subject
--   subject | whose
--   change | created, revoked or updated
--   credential | id of the credential
--   source | who reported it
--   client_ip | from where
--   client_device | by which device
--   used_within_day | verified actions by this credential within 24 hours after it
-- Read it so: created and used at once, from an address that the person does not have, is the alert
--     fresh_credential.
SELECT
  time, tenant, subject, change, credential, any(changed.source) AS source, any(ip) AS client_ip,
  any(device) AS client_device,
  countIf(used.at >= time AND used.at < time + INTERVAL 1 DAY) AS used_within_day
FROM (
  SELECT
    time, tenant, subject, credential_change AS change, credential, source, event_id, client_ip AS ip,
    client_device AS device
  FROM authentications_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({subject:String} = '' OR subject = {subject:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND type = 'credential.changed'
) AS changed
LEFT JOIN (
  SELECT tenant, subject, credential, time AS at
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({subject:String} = '' OR subject = {subject:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')} + INTERVAL 1 DAY
    AND verdict = 'verified' AND credential != ''
) AS used USING (tenant, subject, credential)
GROUP BY time, tenant, subject, change, credential, changed.source, event_id
ORDER BY time DESC, tenant, subject, credential, event_id
LIMIT 1000
