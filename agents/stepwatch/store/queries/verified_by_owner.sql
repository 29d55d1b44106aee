-- Were all high-risk actions verified, by the team that owns the policy?
--
-- Part: verified
-- Purpose: the same by owner, so that each team sees its own.
-- Parameters (name | type | default | meaning):
--   tenant | String | '' | whose; '' for every tenant
--   since | DateTime64(6, 'UTC') | 30d before until | actions at this time or later
--   until | DateTime64(6, 'UTC') | now | and before this time
-- Columns (name | meaning):
--   owner | of the policies; empty where no alert ever named one
--   policies | ids of these policies
--   actions | actions that took effect (outcome success or unknown) and needed a proof
--   verified | those that a proof covers
--   unverified | those that none covers
--   blind | those about which nobody can tell: a source was silent, or the action came too late
--   blind_minutes | minutes (UTC) that hold a blind one
--   exempted | actions that took effect and that an exemption let pass; not among actions
--   verified_percent | verified of actions; NULL where there are none
-- Read it so: the owner is the one that the policy's last alert named. A policy without any alert has no owner here,
--     and nothing unverified or blind either.
SELECT
  owner, arraySort(groupUniqArray(policy)) AS policies,
  sum(needed) AS actions, sum(with_proof) AS verified, sum(without) AS unverified, sum(unknown) AS blind,
  uniqExactArray(minutes) AS blind_minutes, sum(let_pass) AS exempted,
  if(actions = 0, NULL, round(100 * verified / actions, 1)) AS verified_percent
FROM (
  SELECT
    tenant, policy,
    countIf(verdict IN ('verified', 'unverified', 'blind')) AS needed,
    countIf(verdict = 'verified') AS with_proof,
    countIf(verdict = 'unverified') AS without,
    countIf(verdict = 'blind') AS unknown,
    groupUniqArrayIf(toStartOfMinute(time), verdict = 'blind') AS minutes,
    countIf(verdict = 'exempt') AS let_pass
  FROM audit_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String})
    AND time >= {since:DateTime64(6, 'UTC')} AND time < {until:DateTime64(6, 'UTC')}
    AND policy != '' AND outcome IN ('success', 'unknown')
  GROUP BY tenant, policy
) AS of_policy
LEFT JOIN (
  SELECT tenant, policy, argMax(owner, updated_at) AS owner
  FROM alerts_current
  WHERE ({tenant:String} = '' OR tenant = {tenant:String}) AND policy != ''
  GROUP BY tenant, policy
) AS named USING (tenant, policy)
GROUP BY owner
ORDER BY verified_percent, owner
