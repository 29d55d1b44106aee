-- Who approved what for whom, and by which proof?
--
-- Part: investigate
-- Purpose: four eyes: each approval given or taken back.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   subject | String | '' | only this one; '' for every subject
--   since | DateTime64(6, 'UTC') | 30d before until | events at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   time | of the approval
--   tenant | of the subject
--   type | approval.granted or approval.revoked
--   subject | for whom
--   approver | who approved
--   is_self | whether both are one
--   approver_verification | the proof that the approver showed; empty where none
--   bound_action | for which action, where said
--   session | in which
--   source | who reported it
--   event_id | its id there
-- Read it so: an approver under an alias is compared by name here; the alert self_approval knows the aliases. An
--     approval without a proof of the approver is half a control.
SELECT
  time, tenant, type, subject, approver, CAST(approver = subject AS Bool) AS is_self,
  approver_verification, bound_action, session, source, event_id
FROM authentications_current
WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND ({subject:String} = '' OR subject = {subject:String})
  AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  AND type IN ('approval.granted', 'approval.revoked')
ORDER BY time DESC, tenant, subject, source, event_id
LIMIT 1000
