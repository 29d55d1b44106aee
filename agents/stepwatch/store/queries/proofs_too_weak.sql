-- Which actions rested on a proof by too weak a method?
--
-- Part: people
-- Purpose: the people and the methods behind the reason weak_factor.
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
--   methods | methods of the nearest proof; empty where it is not in the table
--   acr | of the nearest proof
--   proof | its id
--   nearest | what was wrong with it, in words
--   action_id | id of the action at its source
-- Read it so: a method that is common here wants enrolment in a better one, or a policy that says that it will do.
--     Proofs are looked up from 8 days before the period to its end.
SELECT time, tenant, subject, action, policy, methods, acr, proof, nearest, action_id
FROM (
  SELECT
    time, tenant, subject, action, policy, action_id, JSONExtractString(nearest_miss, 'verification') AS proof,
    JSONExtractString(nearest_miss, 'sentence') AS nearest
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND verdict IN ('unverified', 'blind') AND has(failed, 'weak_factor')
) AS acted
LEFT JOIN (
  SELECT
    tenant, subject, if(verification = '', event_id, verification) AS proof, argMin(arraySort(amr), time) AS methods,
    argMin(acr, time) AS acr
  FROM authentications_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} - INTERVAL 8 DAY
    AND time < {until:DateTime64(6, 'UTC')}
    AND proved_at IS NOT NULL
  GROUP BY tenant, subject, proof
) AS proved USING (tenant, subject, proof)
ORDER BY time DESC, tenant, subject, action_id
LIMIT {rows:UInt32}
