-- Who acts and never proves, or proves and never acts?
--
-- Part: people
-- Purpose: impossible to match: the commonest cause is one person under two names.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   tenant | of the subject
--   subject | who
--   what | acts_and_never_proves or proves_and_never_acts
--   policed_actions | actions that a policy matched
--   unverified | of these, those that no proof covers
--   proofs | how many proofs there are
--   last | when the subject was last heard of
-- Read it so: two rows that look like one person are an alias that is missing: `stepwatch identities unmatched`
--     proposes it. Who is not one of ours has no proof either: that is the other case.
SELECT
  tenant, subject, if(sum(proofs_seen) = 0, 'acts_and_never_proves', 'proves_and_never_acts') AS what,
  sum(matched) AS policed_actions, sum(without) AS unverified, sum(proofs_seen) AS proofs, max(heard) AS last
FROM (
  SELECT
    tenant, subject, countIf(verdict IN ('verified', 'unverified', 'blind')) AS matched,
    countIf(verdict = 'unverified') AS without, 0 AS proofs_seen, count() AS acts, max(time) AS heard
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
  GROUP BY tenant, subject
  UNION ALL
  SELECT tenant, subject, 0, 0, uniqExact(if(verification = '', event_id, verification)), 0, max(time)
  FROM authentications_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND proved_at IS NOT NULL
  GROUP BY tenant, subject
)
GROUP BY tenant, subject
HAVING policed_actions > 0 AND proofs = 0 OR proofs > 0 AND sum(acts) = 0
ORDER BY policed_actions DESC, proofs DESC, tenant, subject
LIMIT 1000
