-- How did the verdict of one action come about?
--
-- Part: investigate
-- Purpose: every revision of one action's verdict.
-- Parameters (name | type | default | meaning):
--   tenant | String | default | whose
--   source | String | required | who reported the action
--   action_id | String | required | its id there
-- Columns (name | meaning):
--   subject | who did it
--   action | what was done
--   revision | from 1; the last is in force
--   time | when it was done
--   decided_at | when the worker said so
--   verdict | at this revision
--   reason | of the verdict
--   policy | which policy matched
--   policy_version | of that policy's text
--   proof | id of the proof that covers it
--   age_ms | age of that proof, ms
--   nearest | what came nearest to a proof, in words
--   notes | what went wrong while judging
-- Read it so: a revision is new evidence that arrived before the action closed. Two subjects under one id are two
--     actions.
SELECT
  subject, action, revision, time, decided_at, verdict, reason, policy, policy_version, verification AS proof,
  verification_age_ms AS age_ms, JSONExtractString(nearest_miss, 'sentence') AS nearest, notes
FROM audit
WHERE tenant = {tenant:String} AND source = {source:String} AND action_id = {action_id:String}
ORDER BY subject, revision, standing DESC
LIMIT 1 BY subject, revision
