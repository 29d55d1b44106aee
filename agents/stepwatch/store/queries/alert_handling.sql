-- What became of the alerts?
--
-- Part: accounting
-- Purpose: who answered them, and which took themselves back.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | alerts opened at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   kind | unverified_action, blind or the name of a pattern
--   policy | id of the policy; empty for patterns
--   owner | who is asked to act
--   severity | low, medium, high or critical
--   alerts | how many were opened
--   open | of these still open
--   acknowledged | of these acknowledged
--   by_person | resolved by a person
--   by_proof | resolved by a late verification
--   by_itself | resolved by a revision or a source that was heard again
--   expired | resolved because nobody touched them for 30 days
-- Read it so: expired ones are alerts that nobody answered. Many by_proof: grace is too short.
SELECT
  kind, policy, owner, severity, count() AS alerts, countIf(state = 'open') AS open,
  countIf(state = 'acknowledged') AS acknowledged, countIf(resolved_by = 'person') AS by_person,
  countIf(resolved_by = 'late_verification') AS by_proof,
  countIf(resolved_by IN ('revision', 'source_recovered')) AS by_itself, countIf(resolved_by = 'expired') AS expired
FROM alerts_current
WHERE ({tenant:String} = '' OR tenant IN ('', {tenant:String}))
  AND opened_at >= {since:DateTime64(6, 'UTC')} AND opened_at < {until:DateTime64(6, 'UTC')}
GROUP BY kind, policy, owner, severity
ORDER BY alerts DESC, kind, policy, owner, severity
