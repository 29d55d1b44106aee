-- Which actions shall we look at by hand?
--
-- Part: accounting
-- Purpose: a sample that somebody else can draw again: of each policy and verdict a few, chosen by a hash.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
--   per_group | UInt32 | 3 | so many of each policy and verdict
--   seed | String | '' | another word draws another sample
-- Columns (name | meaning):
--   policy | id of the policy; empty where none matched
--   verdict | ours
--   reason | of the verdict
--   time | when it was done
--   tenant | of the subject
--   subject | who
--   action | what was done
--   resource_id | to which resource
--   trigger_reason | why the policy asks for a proof
--   proof | id of the proof that covers it
--   methods | of that proof
--   age_ms | age of that proof at the action, ms
--   decision_result | what the application decided
--   source | who reported it
--   action_id | its id there
-- Read it so: the same seed and period give the same actions as long as their verdicts stay. Whoever audits chooses
--     the seed, not whoever is audited.
SELECT
  policy, verdict, reason, time, tenant, subject, action, resource_id, trigger_reason, verification AS proof,
  arraySort(amr) AS methods, verification_age_ms AS age_ms, decision_result, source, action_id
FROM audit_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND time IN (
    -- The draw: of each policy and verdict the smallest hashes, each with its time, by which the rows are found again.
    -- A thousand are as many as are shown.
    SELECT
      fromUnixTimestamp64Micro(
        toInt64(
          arrayJoin(
            arraySlice(
              groupArraySorted(1000)(
                bitShiftLeft(toUInt128(sipHash64({seed:String}, tenant, time, subject)), 64)
                  + toUInt128(toUnixTimestamp64Micro(time))
              ),
              1, {per_group:UInt32}
            )
          )
        ),
        'UTC'
      )
    FROM audit_current
    WHERE ({tenant:String} = '' OR tenant = {tenant:String})
      AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    GROUP BY policy, verdict
  )
ORDER BY policy, verdict, sipHash64({seed:String}, tenant, time, subject), source, action_id
LIMIT {per_group:UInt32} BY policy, verdict
LIMIT 1000
