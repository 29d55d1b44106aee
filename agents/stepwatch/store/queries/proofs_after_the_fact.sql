-- Who proved it only after it was done?
--
-- Part: people
-- Purpose: a proof after the deed is an application that asks too late.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
--   rows | UInt32 | 1000 | at most so many
-- Columns (name | meaning):
--   time | of the action
--   tenant | of the subject
--   subject | who
--   action | what was done
--   policy | id of the policy
--   after_s | seconds from the action to the subject's next proof
--   proof | id of that proof
--   methods | methods of that proof
--   action_id | id of the action at its source
-- Read it so: some milliseconds beyond the clock skew are clocks: repair them, or raise clock_skew. Seconds are an
--     application that lets the action happen while it still asks. The next proof is shown, of whatever kind; the
--     judge may mean a later one.
SELECT
  acted.time AS time, tenant, subject, action, policy,
  round(dateDiff('millisecond', acted.time, proved.proved_when) / 1000, 3) AS after_s, proof, methods, action_id
FROM (
  SELECT time, tenant, subject, action, policy, action_id
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND verdict = 'unverified' AND reason = 'after_the_fact'
) AS acted
ASOF LEFT JOIN (
  SELECT
    tenant, subject, time AS proved_when, if(verification = '', event_id, verification) AS proof,
    arraySort(amr) AS methods
  FROM authentications_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')} + INTERVAL 1 DAY
    AND proved_at IS NOT NULL
) AS proved ON acted.tenant = proved.tenant AND acted.subject = proved.subject AND acted.time < proved.proved_when
ORDER BY time DESC, tenant, subject, action_id
LIMIT {rows:UInt32}
